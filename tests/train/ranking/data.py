"""Small training sets, and the matrices that a plain reading of the formulas needs."""

from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt

from components.artifacts.splits import Ratings
from components.train.histories.histories import Histories
from components.train.histories.training_set import TrainingSet
from tests.evaluate.worlds import to_ratings

CUSTOMERS, PRODUCTS, DIMENSIONS = 40, 15, 6


def make_ratings(seed: int = 0, customers: int = CUSTOMERS, products: int = PRODUCTS) -> Ratings:
    """Some customers without ratings, most with a few, each on a day of its own."""
    generator = np.random.default_rng(seed)
    rated = generator.random((customers, products)) < generator.uniform(0, 0.6, (customers, 1))
    users, items = np.nonzero(rated)
    days = generator.permutation(len(users))
    return to_ratings([users, items, np.full(len(users), 4), days])


def make_training_set(seed: int = 0, dimensions: int = DIMENSIONS) -> TrainingSet:
    histories = Histories.of(make_ratings(seed), CUSTOMERS, PRODUCTS, seed)
    return TrainingSet(histories, dimensions, seed, mx.cpu())


def dense(histories: Histories) -> npt.NDArray[np.float64]:
    """A one wherever a customer rated a product."""
    matrix = np.zeros((histories.customers, histories.products))
    users = np.arange(histories.customers).repeat(histories.lengths)
    matrix[users, histories.items] = 1
    return matrix


def lists(histories: Histories) -> list[list[int]]:
    """Every customer's items, oldest first."""
    return [
        histories.items[start:end].tolist()
        for start, end in zip(histories.offsets[:-1], histories.offsets[1:], strict=True)
    ]


def close(computed: Any, expected: Any, tolerance: float = 1e-4) -> bool:
    """Whether float32 and float64 arrays agree, relative to the largest entry."""
    scale = max(1e-12, float(np.abs(expected).max(initial=0)))
    return float(np.abs(computed - expected).max(initial=0)) <= tolerance * scale
