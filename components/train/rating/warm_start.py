"""Begin with the factors of an earlier model, for the customers and products that it knows."""

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.artifacts.bundles import open_current
from components.artifacts.model import (
    FACTORS,
    Floats,
    Model,
    RatingFactors,
    open_model,
)
from components.artifacts.splits import Ratings, Splits

log = logging.getLogger(__name__)

# At most this part of the test ratings may be known: a few, such as of products that were rated
# again, do not change the test error.
_MOST_TESTED = 0.001
# At least this part of the validation ratings must be new, to choose by.
_FEWEST_NEW = 0.1


@dataclass(frozen=True, eq=False)
class Start:
    """The factors to begin with, and the validation ratings to choose by.

    Attributes:
        judged: the validation ratings that the earlier model did not learn from.
        factors: by the indices of the splits, NaN for customers and products that the earlier
            model does not know; None for a cold start.
        digest: of the earlier model, or empty.
    """

    judged: Ratings
    factors: RatingFactors | None = None
    digest: str = ""


def open_start(location: str, splits: Splits) -> Start:
    """Open the factors of an earlier model, if they do not distort the evaluation.

    Factors retain something of every rating that they learned from, those of `mf` a lot: with
    factors that had learned the test ratings, the test error of `mf` was a tenth to a fifth too
    low. Training therefore starts afresh if the earlier model has learned the test ratings or
    nearly all validation ratings.

    Args:
        location: the folder of a model, or a store of deployed models, whose current one is
            taken; empty for a cold start.
        splits: the customers and products that the factors are for.

    Raises:
        UserError: if the model is damaged, or the location cannot be read.
    """
    afresh = Start(splits.validation)
    if not location:
        return afresh
    with tempfile.TemporaryDirectory() as copies:
        folder: Path | None = Path(location)
        if not (Path(location) / FACTORS).is_file():
            folder = open_current(location, Path(copies))
        if folder is None:
            log.info("warm_start=%s has no model yet: starting afresh", location)
            return afresh
        model, manifest = open_model(folder)
        start = carry_over(model, splits)
    if start.factors is None:
        log.info("warm_start=%s: starting afresh", location)
        return afresh
    known = int((~np.isnan(start.factors.item_biases)).sum())
    log.info(
        "warm_start=%s knows %d of %d products; the %d of %d validation ratings that are new to "
        "it are used",
        location,
        known,
        len(splits.products),
        len(start.judged),
        len(splits.validation),
    )
    return replace(start, digest=manifest.digest)


def carry_over(earlier: Model, splits: Splits) -> Start:
    """Convert the factors of an earlier model to the indices of these splits, if usable."""
    if earlier.rating is None:
        log.info("the earlier model does not predict stars")
        return Start(splits.validation)
    catalogue = earlier.catalogue
    users = catalogue.customers.places(splits.customers["customer_id"].to_pylist())
    items = catalogue.products.places(splits.products["product_id"].to_pylist())
    tested, validated = (
        _learned(earlier, users[held_out.users], items[held_out.items])
        for held_out in (splits.test, splits.validation)
    )
    if tested.sum() > _MOST_TESTED * len(tested):
        log.warning("the earlier model has learned %d of the test ratings", tested.sum())
        return Start(splits.validation)
    if (~validated).sum() < _FEWEST_NEW * len(validated):
        log.warning("the earlier model has learned %d of the validation ratings", validated.sum())
        return Start(splits.validation)
    rating = earlier.rating
    factors = RatingFactors(
        users=_taken(rating.users, users),
        items=_taken(rating.items, items),
        user_biases=_taken(rating.user_biases, users),
        item_biases=_taken(rating.item_biases, items),
        offset=rating.offset,
        bounds=rating.bounds,
    )
    return Start(splits.validation.where(~validated), factors)


def overlay(table: npt.NDArray[Any], vectors: Floats, biases: Floats) -> None:
    """Copy known factors into a table; if the widths differ, the columns that both have.

    Args:
        table: [n, k + 1], whose last column is the biases; it is changed in place.
        vectors: [n, width], NaN where unknown.
        biases: [n], NaN where unknown.
    """
    known = ~np.isnan(biases)
    width = min(table.shape[1] - 1, vectors.shape[1])
    table[known, :width] = vectors[known, :width]
    table[known, -1] = biases[known]


def _taken(values: Floats, places: npt.NDArray[np.int64]) -> Floats:
    taken: Floats = values[places]
    taken[places < 0] = np.nan
    return taken


def _learned(
    earlier: Model, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which ratings the model has learned from, given its own indices, -1 for unknown ones."""
    seen, products = earlier.seen, len(earlier.catalogue.products)
    owners = np.arange(len(earlier.catalogue.customers)).repeat(np.diff(seen.offsets))
    learned = np.delete(owners * products + seen.items, seen.held_out)
    found: npt.NDArray[np.bool_] = np.isin(users * products + items, learned)
    return found & (users >= 0) & (items >= 0)
