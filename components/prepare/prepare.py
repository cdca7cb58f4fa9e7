"""The prepare step: filter, number and split the ratings of a `ratings` artifact."""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import ratings as ratings_format
from components.artifacts import splits
from components.artifacts.folder import write_artifact
from components.artifacts.ratings import RatingsFolder
from components.errors import UserError
from components.prepare.advice import advise
from components.prepare.filtering import Removal, Size, deduplicate, keep_active
from components.prepare.numbering import Numbered, read_numbered, renumber
from components.prepare.settings import PrepareSettings
from components.prepare.splitting import (
    ORDER,
    Parts,
    count_new,
    count_parts,
    count_ties,
    divide,
    split,
)
from components.prepare.statistics import compute_statistics

log = logging.getLogger(__name__)


def prepare(settings: PrepareSettings, ratings: Path, output: Path) -> dict[str, Any]:
    """Filter, number and split ratings, and write a `splits` artifact.

    Args:
        settings: which ratings to keep, and which to hold out.
        ratings: the folder of the `ratings` artifact.
        output: where to write the `splits` artifact.

    Returns:
        The content of its `statistics.json`.

    Raises:
        UserError: if the ratings are damaged, or too few are left after filtering to split them.
    """
    folder = RatingsFolder.open(ratings)
    if settings.engine == "spark":
        from components.prepare.spark import prepare_tables
    else:
        prepare_tables = _prepare_tables
    with write_artifact(
        output, splits.KIND, splits.SCHEMA_VERSION, {ratings_format.KIND: folder.manifest}
    ) as artifact:
        statistics = prepare_tables(settings, ratings, artifact.path)
        _tell(statistics)
        (artifact.path / splits.STATISTICS).write_text(json.dumps(statistics, indent=1) + "\n")
        artifact.details |= {
            "rows": statistics["rows"],
            "scale": list(folder.scale),
            "settings": settings.model_dump(mode="json", include=set(PrepareSettings.model_fields)),
            "source": folder.manifest.details["source"],
            "source_version": folder.manifest.details["source_version"],
        }
    return statistics


def _prepare_tables(settings: PrepareSettings, ratings: Path, folder: Path) -> dict[str, Any]:
    """Write the tables of a `splits` artifact, and return its statistics."""
    everything = read_numbered(ratings)
    before = compute_statistics(everything.ratings)
    kept, removals = _filter(everything.ratings, settings)
    result = renumber(Numbered(kept, everything.customers, everything.products))
    ordered = result.ratings.sort(ORDER)
    parts = split(ordered, settings)
    rows = count_parts(parts)
    if not all(rows.values()):
        raise UserError(advise(everything.ratings, settings))
    _write_parts(folder, ordered, parts)
    _write_indices(folder, result, ratings)
    return {
        "before": before,
        "after": compute_statistics(ordered),
        "removed": [asdict(one) for one in removals],
        "rows": rows,
        "new_customers": count_new(ordered, parts),
        "ties": count_ties(ordered, parts),
    }


def _tell(statistics: dict[str, Any]) -> None:
    single = statistics["before"]["rows"] - statistics["removed"][0]["rows"]
    rounds = statistics["removed"][-1]["round"]
    log.info("%d ratings are left without duplicates", single)
    log.info("kept %d ratings, rounds of filtering: %d", statistics["after"]["rows"], rounds)
    log.info("%d to train, %d to validate, %d to test", *statistics["rows"].values())
    new = statistics["new_customers"].values()
    log.info("new customers: %d to validate, %d to test", *new)
    log.info(
        "chosen at random among equal times: %d to validate, %d to test",
        *statistics["ties"].values(),
    )


def _filter(ratings: pl.DataFrame, settings: PrepareSettings) -> tuple[pl.DataFrame, list[Removal]]:
    single = deduplicate(ratings, settings.deduplicate)
    kept, removals = keep_active(
        single,
        settings.min_customer_ratings,
        settings.min_product_ratings,
        fixpoint=settings.fixpoint,
    )
    if kept.is_empty():
        raise UserError(advise(ratings, settings))
    return kept, [
        Removal.between("deduplicate", 1, Size.of(ratings), Size.of(single)),
        *removals,
    ]


def _write_parts(folder: Path, ordered: pl.DataFrame, parts: Parts) -> None:
    for name, rows in divide(ordered, parts).items():
        pq.write_table(rows, folder / name)


def _write_indices(folder: Path, result: Numbered, ratings: Path) -> None:
    customers = pa.table(
        [result.customers.to_arrow().cast(pa.string()), _counts(result.ratings["user"])],
        schema=splits.CUSTOMERS_SCHEMA,
    )
    pq.write_table(customers, folder / splits.CUSTOMERS)
    known = pl.read_parquet(ratings / ratings_format.PRODUCTS, glob=False)
    products = (
        pl.DataFrame({"product_id": result.products})
        .join(known, on="product_id", how="left", maintain_order="left")
        .with_columns(pl.Series("ratings", _counts(result.ratings["item"])))
    )
    table = products.select(splits.PRODUCTS_SCHEMA.names).to_arrow()
    pq.write_table(table.cast(splits.PRODUCTS_SCHEMA), folder / splits.PRODUCTS)


def _counts(numbers: pl.Series) -> npt.NDArray[np.int32]:
    return np.bincount(numbers.to_numpy()).astype(np.int32)
