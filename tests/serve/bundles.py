"""Small bundles to serve, in the format that the pipeline writes."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from components.artifacts.folder import write_artifact
from components.artifacts.model import (
    KIND,
    SCHEMA_VERSION,
    Catalogue,
    Model,
    RankingFactors,
    RatingFactors,
    Seen,
    write_model,
)
from components.artifacts.precomputed import precompute, write_precomputed
from components.artifacts.strings import StringTable

CATEGORIES = ["Bows, Rosin & Strings", "Drums", "Guitars"]


def make_model(
    customers: int = 30, products: int = 50, width: int = 8, *, seed: int = 0, learned: bool = False
) -> Model:
    """A random model; customer `C007` is of index 7, and `P007` likewise.

    Args:
        customers, products: how many. Customer i has rated i % 20 + 1 products.
        width: length of the vectors.
        seed: another seed, another model.
        learned: whether customers have vectors of their own, rather than from histories.
    """
    rng = np.random.default_rng(seed)

    def floats(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.standard_normal(shape, dtype=np.float32)

    counts = np.minimum(np.arange(customers) % 20 + 1, products)
    items = [rng.choice(products, count, replace=False) for count in counts]
    seen = Seen(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        items=np.concatenate(items).astype(np.int32),
        stars=rng.integers(1, 6, counts.sum()).astype(np.float32),
    )
    popularity = np.bincount(seen.items, minlength=products).astype(np.float32)
    catalogue = Catalogue(
        customers=StringTable.of(f"C{number:06d}" for number in range(customers)),
        products=StringTable.of(f"P{number:06d}" for number in range(products)),
        titles=StringTable.of(f"Café “No. {number}”" for number in range(products)),
        categories=StringTable.of(CATEGORIES),
        category=(np.arange(products) % len(CATEGORIES)).astype(np.int32),
        popularity=popularity,
        recent_popularity=popularity,
    )
    rating = RatingFactors(
        users=floats(customers, width) / 4,
        items=floats(products, width) / 4,
        user_biases=floats(customers) / 4,
        item_biases=floats(products) / 4,
        offset=np.array([3.6], dtype=np.float32),
        bounds=np.array([1, 5], dtype=np.float32),
    )
    ranking = RankingFactors(
        items=floats(products, width),
        item_biases=floats(products) / 10,
        histories=floats(products, width),
        recency=np.array([0.8], dtype=np.float32),
        window=np.array([10], dtype=np.int32),
        users=floats(customers if learned else 0, width),
        stars_weight=np.array([20], dtype=np.float32),
    )
    return Model(catalogue, seen, rating, ranking)


def write_bundle(
    folder: Path,
    model: Model,
    *,
    lists_of: int = 0,
    description: Mapping[str, Any] = MappingProxyType({"name": "test"}),
) -> Path:
    """Write a bundle folder, with lists of so many products computed ahead."""
    with write_artifact(folder, KIND, SCHEMA_VERSION) as writer:
        write_model(writer, model, dict(description), [])
        if lists_of:
            write_precomputed(writer.path, precompute(model, lists_of))
    return folder
