"""The ingest step as Kubeflow runs it: `resolve`, then `ingest` of the resolved version."""

from __future__ import annotations

from pathlib import Path

from kfp import dsl

from components.ingest.settings import IngestSettings, SourceSettings


def resolve(settings: SourceSettings) -> str:
    """Tell which version of the source there is, so that ingest is repeated when it changes.

    Must not be cached.

    Args:
        settings: Of the source.

    Returns:
        The version, a digest over the ETags and version ids of all objects.
    """
    from components.ingest.source import resolve

    return resolve(settings)


def ingest(
    settings: IngestSettings,
    ratings: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Read star ratings from S3, whatever their format.

    Args:
        settings: Of the source, and which ratings to take.
        ratings: Every rating, the products, and the rows that could not be read.
        metrics: Rows read, and rows rejected by reason.
    """
    from components.ingest.ingest import ingest

    details = ingest(settings, Path(ratings.path))
    ratings.metadata.update({name: details[name] for name in ("source", "source_version")})
    metrics.log_metric("ratings", details["rows"])
    metrics.log_metric("ratings_outside_window", details["outside_window"])
    for reason, count in details["rejects"].items():
        metrics.log_metric(f"rejected: {reason}", count)
