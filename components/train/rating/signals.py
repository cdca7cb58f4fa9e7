"""Implicit signals: a few numbers for each user and item that tell what was rated, not how."""

from functools import lru_cache
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import nd

from components.train.histories.histories import Histories
from components.train.histories.training_set import TrainingSet
from components.train.rating.trials import Problem

_LEAST = 1e-6


@lru_cache(maxsize=1)
def implicit_signals(
    problem: Problem, width: int, seed: int, device: mx.Context
) -> tuple[Any, Any]:
    """The leading singular vectors of D_u^-1/2 A D_i^-1/2, standardised.

    A has a one for each rating; D_u and D_i are diagonal and hold the numbers of ratings of users
    and of items. Each column has mean 0 and variance 1.

    Args:
        problem: the ratings.
        width: the number of signals, w.
        seed: the seed of the subspace iteration.
        device: where to compute.

    Returns:
        NDArrays [customers, w] and [products, w].
    """
    histories = Histories.of(problem.ratings, problem.customers, problem.products, seed)
    items = TrainingSet(histories, width, seed, device).embedding
    items = items / nd.maximum(nd.norm(items, axis=0, keepdims=True), _LEAST)
    by_user = np.maximum(histories.lengths, 1) ** -0.5
    by_item = np.maximum(histories.popularity, 1) ** -0.5
    rows = histories.matrix(by_user, by_item, device)
    users = nd.concat(*(nd.sparse.dot(block, items) for block in rows), dim=0)
    return _standardised(users), _standardised(items)


def _standardised(columns: Any) -> Any:
    centred = columns - columns.mean(axis=0, keepdims=True)
    spread = nd.sqrt((centred**2).mean(axis=0, keepdims=True))
    return centred / nd.maximum(spread, _LEAST)
