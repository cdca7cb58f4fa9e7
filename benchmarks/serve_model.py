"""The model that `serve` answers from, of the size of a large shop, and requests for it.

Random factors: how fast answers come does not depend on what they say. Every folder is made once.
"""

import json
from collections.abc import Iterator
from pathlib import Path

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

CUSTOMERS, PRODUCTS, WIDTH = 100_000, 40_000, 64
RATINGS_EACH = 20
LENGTH_OF_LISTS = 20
PAIRS_A_REQUEST = 2
REQUESTS = 20_000

WORDS = ("acoustic", "brass", "cable", "drum", "guitar", "light", "microphone", "piano", "stand")


def make_bundles(folder: Path) -> tuple[Path, Path]:
    """A bundle without lists computed ahead, and the same one with them."""
    live, with_lists = folder / "live", folder / "with-lists"
    if not with_lists.exists():
        model = make_model()
        with write_artifact(live, KIND, SCHEMA_VERSION) as writer:
            write_model(writer, model, {"name": "benchmark"}, [])
        lists = precompute(model, LENGTH_OF_LISTS)
        with write_artifact(with_lists, KIND, SCHEMA_VERSION) as writer:
            write_model(writer, model, {"name": "benchmark"}, [])
            write_precomputed(writer.path, lists)
    return live, with_lists


def make_model() -> Model:
    """A model whose customers have rated about as many products each."""
    rng = np.random.default_rng(0)

    def floats(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.standard_normal(shape, dtype=np.float32) / 8

    counts = rng.poisson(RATINGS_EACH - 1, CUSTOMERS) + 1
    items = rng.integers(0, PRODUCTS, counts.sum()).astype(np.int32)
    popularity = np.bincount(items, minlength=PRODUCTS).astype(np.float32)
    titles = rng.choice(WORDS, (PRODUCTS, 5)).tolist()
    return Model(
        catalogue=Catalogue(
            customers=StringTable.of(f"{10_000_000 + number}" for number in range(CUSTOMERS)),
            products=StringTable.of(f"B{number:09d}" for number in range(PRODUCTS)),
            titles=StringTable.of(" ".join(words) for words in titles),
            categories=StringTable.of(["Musical Instruments"]),
            category=np.zeros(PRODUCTS, np.int32),
            popularity=popularity,
            recent_popularity=popularity,
        ),
        seen=Seen(
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=items,
            stars=rng.integers(1, 6, len(items)).astype(np.float32),
        ),
        rating=RatingFactors(
            users=floats(CUSTOMERS, WIDTH),
            items=floats(PRODUCTS, WIDTH),
            user_biases=floats(CUSTOMERS),
            item_biases=floats(PRODUCTS),
            offset=np.array([3.6], np.float32),
            bounds=np.array([1, 5], np.float32),
        ),
        ranking=RankingFactors(
            items=floats(PRODUCTS, WIDTH),
            item_biases=floats(PRODUCTS),
            histories=floats(PRODUCTS, WIDTH),
            recency=np.array([0.8], np.float32),
            window=np.array([50], np.int32),
            users=floats(0, WIDTH),
            stars_weight=np.array([2], np.float32),
        ),
    )


def make_requests(model: Model, folder: Path) -> dict[str, Path]:
    """Files of requests, a line each: pairs in two forms, customers, the most that is allowed."""
    rng = np.random.default_rng(1)
    customers, products = model.catalogue.customers.to_list(), model.catalogue.products.to_list()
    users = rng.integers(0, CUSTOMERS, (REQUESTS, PAIRS_A_REQUEST)).tolist()
    items = rng.integers(0, PRODUCTS, (REQUESTS, PAIRS_A_REQUEST)).tolist()
    pairs = [
        ([customers[user] for user in some], [products[item] for item in others])
        for some, others in zip(users, items, strict=True)
    ]
    return {
        "instances": _write(folder / "instances.txt", map(_instances, pairs)),
        "columns": _write(folder / "columns.txt", map(_columns, pairs)),
        "customers": _write(folder / "customers.txt", (some[0] for some, _ in pairs)),
        "most_lists": _write(folder / "most_lists.txt", iter([_most_lists(customers, products)])),
        "most_pairs": _write(folder / "most_pairs.txt", iter([_most_pairs(customers, products)])),
    }


def export(model: Model, folder: Path) -> None:
    """The ids as JSON and the rating factors as NumPy's archive, for programs without ours."""
    assert model.rating is not None
    ids = {
        "customers": model.catalogue.customers.to_list(),
        "products": model.catalogue.products.to_list(),
    }
    (folder / "ids.json").write_text(json.dumps(ids))
    np.savez(folder / "factors.npz", **vars(model.rating))


def _instances(pairs: tuple[list[str], list[str]]) -> str:
    fields = ("customer_id", "product_id")
    instances = [dict(zip(fields, pair, strict=True)) for pair in zip(*pairs, strict=True)]
    return json.dumps({"instances": instances})


def _most_lists(customers: list[str], products: list[str]) -> str:
    """The most lists that one request may ask for, with the most filters."""
    asked = {"customers": customers[:256], "n": 100, "include_seen": True}
    return json.dumps(asked | {"exclude": products[:1000], "categories": ["Musical Instruments"]})


def _most_pairs(customers: list[str], products: list[str]) -> str:
    """The most pairs that one request may ask for."""
    return json.dumps({"customer_id": customers[:10_000], "product_id": products[:10_000]})


def _columns(pairs: tuple[list[str], list[str]]) -> str:
    return json.dumps({"customer_id": pairs[0], "product_id": pairs[1]})


def _write(file: Path, lines: Iterator[str]) -> Path:
    file.write_text("\n".join(lines) + "\n")
    return file
