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
from components.prepare.filtering import Removal, deduplicate, keep_active
from components.prepare.numbering import Numbered, read_numbered, renumber
from components.prepare.settings import PrepareSettings
from components.prepare.splitting import (
    NAMES,
    ORDER,
    TEST,
    TRAIN,
    VALIDATION,
    Parts,
    count_parts,
    drawn_from_ties,
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
    everything = read_numbered(ratings)
    before = compute_statistics(everything.ratings)
    kept, removals = _filter(everything.ratings, settings)
    result = renumber(Numbered(kept, everything.customers, everything.products))
    ordered = result.ratings.sort(ORDER)
    parts = split(ordered, settings)
    rows = count_parts(parts)
    log.info("%d to train, %d to validate, %d to test", *rows.values())
    if not all(rows.values()):
        raise UserError(advise(everything.ratings, settings))
    statistics = {
        "before": before,
        "after": compute_statistics(ordered),
        "removed": [asdict(one) for one in removals],
        "rows": rows,
        "new_customers": _count_new(ordered["user"], parts),
        "ties": _count_ties(ordered, parts),
    }
    with write_artifact(
        output, splits.KIND, splits.SCHEMA_VERSION, {ratings_format.KIND: folder.manifest}
    ) as artifact:
        _write_parts(artifact.path, ordered, parts)
        _write_indices(artifact.path, result, ratings)
        (artifact.path / splits.STATISTICS).write_text(json.dumps(statistics, indent=1) + "\n")
        artifact.details |= {
            "rows": rows,
            "scale": list(folder.scale),
            "settings": settings.model_dump(mode="json", include=set(PrepareSettings.model_fields)),
            "source": folder.manifest.details["source"],
            "source_version": folder.manifest.details["source_version"],
        }
    return statistics


def _filter(ratings: pl.DataFrame, settings: PrepareSettings) -> tuple[pl.DataFrame, list[Removal]]:
    single = deduplicate(ratings, settings.deduplicate)
    kept, removals = keep_active(
        single,
        settings.min_customer_ratings,
        settings.min_product_ratings,
        fixpoint=settings.fixpoint,
    )
    log.info("%d of %d ratings are left without duplicates", len(single), len(ratings))
    log.info("kept %d ratings, rounds of filtering: %d", len(kept), removals[-1].round)
    if kept.is_empty():
        raise UserError(advise(ratings, settings))
    return kept, [Removal.between("deduplicate", 1, ratings, single), *removals]


def _count_new(users: pl.Series, parts: Parts) -> dict[str, int]:
    """The number of customers in each held-out part who are in no part before it."""
    rows = pl.DataFrame({"user": users, "part": parts})
    first = rows.group_by("user").agg(pl.col("part").min())["part"]
    counts = {name: int((first == NAMES[name]).sum()) for name in ("validation", "test")}
    log.info("new customers: %d to validate, %d to test", *counts.values())
    return counts


def _count_ties(ordered: pl.DataFrame, parts: Parts) -> dict[str, int]:
    """The number of ratings in each held-out part that the seed chose among equal instants."""
    drawn = parts[drawn_from_ties(ordered, parts)]
    counts = {name: int((drawn == NAMES[name]).sum()) for name in ("validation", "test")}
    log.info("chosen at random among equal times: %d to validate, %d to test", *counts.values())
    return counts


def _write_parts(folder: Path, ordered: pl.DataFrame, parts: Parts) -> None:
    names = {TRAIN: splits.TRAIN, VALIDATION: splits.VALIDATION, TEST: splits.TEST}
    for part, name in names.items():
        rows = ordered.filter(pl.Series(parts == part))
        table = rows.select(splits.RATINGS_SCHEMA.names).to_arrow().cast(splits.RATINGS_SCHEMA)
        pq.write_table(table, folder / name)


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
