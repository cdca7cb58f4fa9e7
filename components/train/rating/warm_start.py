"""Begin with the factors of an earlier model, for the customers and products that it knows."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.artifacts.bundles import open_current
from components.artifacts.model import (
    FACTORS,
    Catalogue,
    Floats,
    Model,
    RatingFactors,
    Seen,
    open_model,
)
from components.artifacts.splits import Splits

log = logging.getLogger(__name__)


def open_start(location: str, splits: Splits) -> tuple[RatingFactors | None, str]:
    """The factors to begin with, and the digest of the model that they are from.

    Args:
        location: a model's folder, or a store of deployed models, for the current one; or nothing.
        splits: who and what the factors are for.

    Returns:
        None and no digest where there is nothing to begin with, as before the first deployment.

    Raises:
        UserError: if the model is damaged, or the place cannot be read.
    """
    if not location:
        return None, ""
    with tempfile.TemporaryDirectory() as copies:
        folder: Path | None = Path(location)
        if not (Path(location) / FACTORS).is_file():
            folder = open_current(location, Path(copies))
        if folder is None:
            log.info("warm_start=%s has no model yet: beginning afresh", location)
            return None, ""
        model, manifest = open_model(folder)
        start = carry_over(model, splits)
    known = 0 if start is None else int((~np.isnan(start.item_biases)).sum())
    log.info("warm_start=%s knows %d of %d products", location, known, len(splits.products))
    return start, manifest.digest


def carry_over(earlier: Model, splits: Splits) -> RatingFactors | None:
    """The factors of an earlier model by the indices of these splits, NaN where it has none.

    A customer whose held-out ratings the earlier model has learned from begins afresh, lest
    validation and test measure its memory.

    Returns:
        The factors, or None if the earlier model does not predict stars.
    """
    if earlier.rating is None:
        return None
    catalogue = earlier.catalogue
    users = catalogue.customers.places(splits.customers["customer_id"].to_pylist())
    items = catalogue.products.places(splits.products["product_id"].to_pylist())
    users[_remembered(earlier.seen, catalogue, splits, users, items)] = -1
    rating = earlier.rating
    return RatingFactors(
        users=_taken(rating.users, users),
        items=_taken(rating.items, items),
        user_biases=_taken(rating.user_biases, users),
        item_biases=_taken(rating.item_biases, items),
        offset=rating.offset,
        bounds=rating.bounds,
    )


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


def _remembered(
    seen: Seen,
    catalogue: Catalogue,
    splits: Splits,
    users: npt.NDArray[np.int64],
    items: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    """Customers of whose held-out ratings the earlier model has learned any."""
    owners = np.arange(len(catalogue.customers)).repeat(np.diff(seen.offsets))
    learned = owners * len(catalogue.products) + seen.items
    learned = np.delete(learned, seen.held_out)
    held_out = splits.validation.merged_with(splits.test)
    user, item = users[held_out.users], items[held_out.items]
    pairs = user * len(catalogue.products) + item
    remembered: npt.NDArray[np.int32] = held_out.users[
        (user >= 0) & (item >= 0) & np.isin(pairs, learned)
    ]
    return remembered
