"""The ingest step: every object of the source into one `ratings` artifact."""

import logging
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from components.artifacts import ratings
from components.artifacts.folder import write_artifact
from components.artifacts.ratings import RatingsWriter
from components.errors import UserError
from components.ingest.catalogue import Catalogue
from components.ingest.checks import Checked, Limits, check
from components.ingest.download import ObjectStream
from components.ingest.formats import Format, format_of
from components.ingest.objects import SourceObject, Storage
from components.ingest.reading import Batch, read_batches
from components.ingest.settings import IngestSettings
from components.ingest.source import open_source

_RAW_CHARACTERS = 1000
_REJECTS_SHOWN = 3

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """What was met so far.

    Attributes:
        rows: ratings kept. outside: ratings on days that were not wanted.
        rejects: rows that are no ratings, by reason. examples: the first of them, in words.
        lowest: the lowest rating kept. highest: the highest.
        sources: facts about every object read.
    """

    rows: int = 0
    outside: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    lowest: float = float("inf")
    highest: float = float("-inf")
    sources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All rows read."""
        return self.rows + self.outside + self.rejects.total()


def ingest(settings: IngestSettings, output: Path) -> dict[str, Any]:
    """Read the source and write a `ratings` artifact.

    Returns:
        The details in the artifact's manifest.

    Raises:
        UserError: if the source cannot be found or read, has no ratings, or too many rows are no
            ratings.
    """
    storage = Storage(anonymous=settings.anonymous, requester_pays=settings.requester_pays)
    layout = format_of(settings)
    limits = Limits(*layout.scale, settings.first_day, settings.last_day)
    version, objects = open_source(storage, settings)
    with write_artifact(output, ratings.KIND, ratings.SCHEMA_VERSION) as artifact:
        tally = Tally()
        catalogue = Catalogue()
        with RatingsWriter(artifact.path) as writer:
            for source in objects:
                _ingest_object(storage, source, layout, limits, writer, catalogue, tally)
            writer.write_products(catalogue.table())
        _judge(tally, settings)
        artifact.details |= _details(tally, layout, version)
    return artifact.details


def _ingest_object(
    storage: Storage,
    source: SourceObject,
    layout: Format,
    limits: Limits,
    writer: RatingsWriter,
    catalogue: Catalogue,
    tally: Tally,
) -> None:
    before = tally.rows
    with ObjectStream(storage, source) as stream:
        for batch in read_batches(stream, layout, source.uri):
            checked = check(batch.cells, limits)
            _keep(checked.ratings, writer, tally)
            catalogue.add(checked.ratings)
            _reject(checked, batch, source, writer, tally)
            tally.outside += checked.outside
        tally.sources.append({**asdict(source), "sha256": stream.sha256})
    log.info("%s: %d ratings", source.uri, tally.rows - before)


def _keep(kept: pl.DataFrame, writer: RatingsWriter, tally: Tally) -> None:
    if kept.is_empty():
        return
    columns = kept.select("customer", "product", "rating", "date").to_arrow()
    names = ratings.RATINGS_SCHEMA.names
    writer.add_ratings(columns.rename_columns(names).cast(ratings.RATINGS_SCHEMA))
    tally.rows += len(kept)
    lowest, highest = kept.select(
        lowest=pl.col("rating").min(), highest=pl.col("rating").max()
    ).row(0)
    tally.lowest, tally.highest = min(tally.lowest, lowest), max(tally.highest, highest)


def _reject(
    checked: Checked, batch: Batch, source: SourceObject, writer: RatingsWriter, tally: Tally
) -> None:
    rejects = checked.rejects
    if rejects.is_empty():
        return
    raw = batch.raw(rejects["row"].to_list())
    table = rejects.select(
        object=pl.lit(source.uri),
        line=pl.col("row").cast(pl.Int64) + batch.first_line,
        reason="reason",
        raw=pl.Series([line[:_RAW_CHARACTERS] for line in raw]),
    )
    writer.add_rejects(table.to_arrow().cast(ratings.REJECTS_SCHEMA))
    tally.rejects.update(rejects["reason"].to_list())
    for row in table.head(_REJECTS_SHOWN - len(tally.examples)).to_dicts():
        tally.examples.append(f"{row['object']} line {row['line']}, {row['reason']}")


def _judge(tally: Tally, settings: IngestSettings) -> None:
    for reason, count in sorted(tally.rejects.items()):
        log.info("rejected %d rows: %s", count, reason)
    rejected = tally.rejects.total()
    if rejected > settings.max_rejected_fraction * tally.total:
        raise UserError(
            f"{rejected} of {tally.total} rows are no ratings ({'; '.join(tally.examples)}, …): "
            f"check format and columns, or raise max_rejected_fraction"
        )
    if not tally.rows:
        raise UserError(
            f"{settings.source} has no ratings between {settings.first_day or 'the first day'} "
            f"and {settings.last_day or 'the last'}, and {tally.outside} on other days: "
            f"check the source and the window"
        )


def _details(tally: Tally, layout: Format, version: str) -> dict[str, Any]:
    lowest, highest = layout.scale
    return {
        "sources": tally.sources,
        "source_version": version,
        "rows": tally.rows,
        "outside_window": tally.outside,
        "rejects": dict(sorted(tally.rejects.items())),
        "scale": [
            tally.lowest if lowest is None else lowest,
            tally.highest if highest is None else highest,
        ],
    }
