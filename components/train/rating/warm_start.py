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

# So few test ratings, such as of a product that was rated again, change no figure.
_MOST_TESTED = 0.001
# Fewer new validation ratings tell too little of what is better.
_FEWEST_NEW = 0.1


@dataclass(frozen=True, eq=False)
class Start:
    """What to begin with, and what to judge by.

    Attributes:
        judged: the validation ratings, without those that the earlier model has learned from.
        factors: by the indices of the splits, NaN for those whom the earlier model does not know;
            None to begin afresh.
        digest: of the model that they are from, or nothing.
    """

    judged: Ratings
    factors: RatingFactors | None = None
    digest: str = ""


def open_start(location: str, splits: Splits) -> Start:
    """The factors of an earlier model, as far as they keep figures honest.

    Every factor remembers a little of every rating that was learned, and those of `mf` a lot: with
    factors that knew the held-out ratings its test error came out a tenth to a fifth too low. So
    there is a fresh start if the test ratings, or nearly all validation ratings, were learned.

    Args:
        location: a model's folder, or a store of deployed models, for the current one; or nothing.
        splits: who and what the factors are for.

    Raises:
        UserError: if the model is damaged, or the place cannot be read.
    """
    afresh = Start(splits.validation)
    if not location:
        return afresh
    with tempfile.TemporaryDirectory() as copies:
        folder: Path | None = Path(location)
        if not (Path(location) / FACTORS).is_file():
            folder = open_current(location, Path(copies))
        if folder is None:
            log.info("warm_start=%s has no model yet: beginning afresh", location)
            return afresh
        model, manifest = open_model(folder)
        start = carry_over(model, splits)
    if start.factors is None:
        log.info("warm_start=%s: beginning afresh", location)
        return afresh
    known = int((~np.isnan(start.factors.item_biases)).sum())
    log.info(
        "warm_start=%s knows %d of %d products; %d of %d validation ratings are new to it, and "
        "judged by",
        location,
        known,
        len(splits.products),
        len(start.judged),
        len(splits.validation),
    )
    return replace(start, digest=manifest.digest)


def carry_over(earlier: Model, splits: Splits) -> Start:
    """The factors of an earlier model by the indices of these splits, if they may be used."""
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
    """Write the factors that there are into a table [n, k + 1], its last column the biases.

    Of vectors of another width as many columns are written as both have.
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
    """Which of some ratings a model has learned from, by its own indices, -1 for none."""
    seen, products = earlier.seen, len(earlier.catalogue.products)
    owners = np.arange(len(earlier.catalogue.customers)).repeat(np.diff(seen.offsets))
    learned = np.delete(owners * products + seen.items, seen.held_out)
    found: npt.NDArray[np.bool_] = np.isin(users * products + items, learned)
    return found & (users >= 0) & (items >= 0)
