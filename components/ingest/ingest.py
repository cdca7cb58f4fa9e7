"""The ingest step: read every object of the source into one `ratings` artifact."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.artifacts import ratings
from components.artifacts.folder import write_artifact
from components.errors import UserError
from components.ingest.checks import REMEDIES, Limits
from components.ingest.contents import Contents, find_contents
from components.ingest.download import ObjectStream
from components.ingest.formats import Format
from components.ingest.intake import Intake, Tally
from components.ingest.objects import SourceObject, Storage
from components.ingest.products import describe_products
from components.ingest.reading import read_batches
from components.ingest.scale import find_strays
from components.ingest.settings import IngestSettings
from components.ingest.source import open_source

log = logging.getLogger(__name__)


def ingest(settings: IngestSettings, output: Path) -> dict[str, Any]:
    """Read the source and write a `ratings` artifact.

    Returns:
        The details in the artifact's manifest.

    Raises:
        UserError: if the source cannot be found or read, has no ratings, or too many of its rows
            are not ratings.
    """
    storage = Storage(anonymous=settings.anonymous, requester_pays=settings.requester_pays)
    source = open_source(storage, settings)
    contents = find_contents(storage, source, settings)
    layout = contents.layout
    log.info("%s: format %s", settings.source, contents.format)
    limits = Limits(*layout.scale, settings.first_day, settings.last_day)
    if settings.engine == "spark":
        from components.ingest.spark import read_source
    else:
        read_source = _read_source
    with write_artifact(output, ratings.KIND, ratings.SCHEMA_VERSION) as artifact:
        tally, sources = read_source(storage, contents, limits, artifact.path)
        _judge(tally, settings, limits)
        _tell_scale(tally, layout)
        log.info("%d of %d products have a title", tally.titled, tally.products)
        artifact.details |= {
            "settings": settings.model_dump(mode="json", include=set(IngestSettings.model_fields)),
            "source": settings.source,
            "sources": sources,
            "source_version": source.version,
            "format": contents.format,
            **_describe(tally, layout),
        }
    return artifact.details


def _read_source(
    storage: Storage, contents: Contents, limits: Limits, folder: Path
) -> tuple[Tally, list[dict[str, Any]]]:
    """Write the tables of a `ratings` artifact; what was met, and which bytes were read."""
    with Intake(folder, limits) as intake:
        sources = [
            _ingest_object(storage, one, contents.layout, intake) for one in contents.ratings
        ]
        for source, layout in contents.products:
            sources.append(describe_products(storage, source, layout, intake.describe))
    return intake.tally, sources


def _ingest_object(
    storage: Storage, source: SourceObject, layout: Format, intake: Intake
) -> dict[str, Any]:
    before = intake.tally.rows
    with ObjectStream(storage, source) as stream:
        for batch in read_batches(stream, layout, source.uri):
            intake.take(batch, source.uri)
        log.info("%s: %d ratings", source.uri, intake.tally.rows - before)
        return {**asdict(source), "sha256": stream.sha256}


def _judge(tally: Tally, settings: IngestSettings, limits: Limits) -> None:
    for reason, count in sorted(tally.rejects.items()):
        log.info("rejected %d rows: %s", count, reason)
    rejected = tally.rejects.total()
    if rejected > settings.max_rejected_fraction * tally.total:
        [(reason, _)] = tally.rejects.most_common(1)
        remedies = {**REMEDIES, limits.range_flaw: "check rating_column, min_rating and max_rating"}
        remedy = remedies.get(reason, "check the format and its columns")
        raise UserError(
            f"{rejected} of {tally.total} rows are not ratings ({tally.in_words}, …): "
            f"{remedy}, or raise max_rejected_fraction"
        )
    if not tally.rows and not tally.outside:
        raise UserError(
            f"{settings.source} holds no ratings in its {tally.total} rows: upload it again, or "
            f"check the name"
        )
    if not tally.rows:
        raise UserError(
            f"{settings.source} has no ratings between {settings.first_day or 'the first day'} "
            f"and {settings.last_day or 'the last'}, but {tally.outside} on other days: "
            f"check the source and the window"
        )


def _tell_scale(tally: Tally, layout: Format) -> None:
    log.info("stars from %.7g to %.7g", tally.lowest, tally.highest)
    strays = find_strays(tally.stars)
    high = tally.highest in strays
    if not strays or layout.scale[high] is not None:
        return
    others = tally.stars.keys() - strays
    log.warning(
        "%d of %d ratings are far %s the others, such as %.7g: if they are not real ratings, set "
        "%s=%.7g",
        sum(tally.stars[value] for value in strays),
        tally.rows,
        "above" if high else "below",
        strays[-1] if high else strays[0],
        "max_rating" if high else "min_rating",
        max(others) if high else min(others),
    )


def _describe(tally: Tally, layout: Format) -> dict[str, Any]:
    lowest, highest = layout.scale
    return {
        "rows": tally.rows,
        "outside_window": tally.outside,
        "rejects": dict(sorted(tally.rejects.items())),
        "scale": [
            tally.lowest if lowest is None else lowest,
            tally.highest if highest is None else highest,
        ],
        "resolution": tally.resolution,
    }
