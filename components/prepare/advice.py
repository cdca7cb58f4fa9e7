"""Advise settings that keep enough ratings, if the given ones keep too few."""

from bisect import bisect_right
from typing import Literal

import polars as pl

from components.prepare.filtering import deduplicate, keep_active
from components.prepare.settings import PrepareSettings
from components.prepare.splitting import ORDER, count_parts, split

_SPLITS = ("last", "temporal", "random")

Threshold = Literal["min_customer_ratings", "min_product_ratings"]


def advise(ratings: pl.DataFrame, settings: PrepareSettings) -> str:
    """Say in one line that too few ratings are left, and which settings would keep enough.

    Args:
        ratings: all ratings, at least one.
        settings: the settings that keep too few.
    """
    ratings = deduplicate(ratings, settings.deduplicate)
    problem = (
        f"too few of the {len(ratings)} ratings are left to train, validate and test with (a "
        f"customer has at most {_most(ratings, 'user')}, a product at most "
        f"{_most(ratings, 'item')})"
    )
    better = _nearest_that_work(ratings, settings)
    if better is None:
        return f"{problem}, whatever the settings: ingest more ratings"
    changes = [f"{name}={value}" for name, value in better if value != getattr(settings, name)]
    kept = len(_filter(ratings, better))
    return f"{problem}: set {' and '.join(changes)}, which keeps {kept}, or ingest more ratings"


def _most(ratings: pl.DataFrame, column: str) -> int:
    """The largest number of ratings of one customer or product."""
    return int(ratings[column].value_counts()["count"].max())  # type: ignore[arg-type]


def _nearest_that_work(ratings: pl.DataFrame, settings: PrepareSettings) -> PrepareSettings | None:
    """Settings with the same split if some thresholds work with it, else with another split."""
    for way in dict.fromkeys((settings.split, *_SPLITS)):
        if better := _lower(ratings, settings.model_copy(update={"split": way})):
            return better
    return None


def _lower(ratings: pl.DataFrame, settings: PrepareSettings) -> PrepareSettings | None:
    """The settings with the highest thresholds that work; that of products is lowered first."""
    any_product = settings.model_copy(update={"min_product_ratings": 1})
    better = _lower_one(ratings, any_product, "min_customer_ratings")
    if better is None:
        return None
    asked = better.model_copy(update={"min_product_ratings": settings.min_product_ratings})
    return _lower_one(ratings, asked, "min_product_ratings")


def _lower_one(
    ratings: pl.DataFrame, settings: PrepareSettings, name: Threshold
) -> PrepareSettings | None:
    """The settings with the highest working value of a threshold, at most the given one.

    A lower threshold keeps at least as much, so if one works, all lower ones do.
    """

    def changed(value: int) -> PrepareSettings:
        return settings.model_copy(update={name: value})

    values = range(1, getattr(settings, name) + 1)
    highest = bisect_right(values, False, key=lambda value: not _works(ratings, changed(value)))
    return changed(highest) if highest else None


def _works(ratings: pl.DataFrame, settings: PrepareSettings) -> bool:
    """Whether filtering and splitting leave ratings in every part."""
    kept = _filter(ratings, settings).sort(ORDER)
    return not kept.is_empty() and all(count_parts(split(kept, settings)).values())


def _filter(ratings: pl.DataFrame, settings: PrepareSettings) -> pl.DataFrame:
    kept, _ = keep_active(
        ratings,
        settings.min_customer_ratings,
        settings.min_product_ratings,
        fixpoint=settings.fixpoint,
    )
    return kept
