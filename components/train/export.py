"""The parts of a model that are not learned: the catalogue and the rated products."""

import numpy as np

from components.artifacts.model import Catalogue, Floats, Seen
from components.artifacts.splits import Ratings, Splits
from components.artifacts.strings import StringTable

_RECENT_DAYS = 90


def export_catalogue(splits: Splits) -> Catalogue:
    """Ids, titles and categories by index, with the popularity of every product."""
    products = splits.products
    names = products["product_category"].fill_null("").to_pylist()
    categories = sorted(set(names))
    place = {name: index for index, name in enumerate(categories)}
    every = _all_ratings(splits)
    recent = every.days > every.days.max(initial=0) - _RECENT_DAYS
    return Catalogue(
        customers=StringTable.of(splits.customers["customer_id"].to_pylist()),
        products=StringTable.of(products["product_id"].to_pylist()),
        titles=StringTable.of(products["product_title"].fill_null("").to_pylist()),
        categories=StringTable.of(categories),
        category=np.array([place[name] for name in names], np.int32),
        popularity=_counts(every.items, len(products)),
        recent_popularity=_counts(every.items[recent], len(products)),
    )


def export_seen(splits: Splits) -> Seen:
    """All rated products of each customer, those of the test included: never recommend them."""
    every = _all_ratings(splits)
    offsets = np.searchsorted(every.users, np.arange(len(splits.customers) + 1)).astype(np.int64)
    pairs = every.users.astype(np.int64) * len(splits.products) + every.items
    test = splits.test.users.astype(np.int64) * len(splits.products) + splits.test.items
    held_out = np.flatnonzero(np.isin(pairs, test)).astype(np.int32)
    return Seen(offsets=offsets, items=every.items, stars=every.stars, held_out=held_out)


def _all_ratings(splits: Splits) -> Ratings:
    return splits.train.merged_with(splits.validation).merged_with(splits.test)


def _counts(items: np.ndarray, products: int) -> Floats:  # type: ignore[type-arg]
    return np.bincount(items, minlength=products).astype(np.float32)
