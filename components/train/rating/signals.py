"""What customers chose to rate, whatever the stars: a few numbers a row that tell of its taste."""

from functools import lru_cache
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import nd

from components.train.ranking.histories import Histories
from components.train.ranking.training_set import TrainingSet
from components.train.rating.learning import Problem

_LEAST = 1e-6


@lru_cache(maxsize=1)
def implicit_signals(
    problem: Problem, width: int, seed: int, device: mx.Context
) -> tuple[Any, Any]:
    """The leading singular vectors of where ratings are, NDArrays [customers, w], [products, w].

    Of D_u^-1/2 A D_i^-1/2, where A has a one for each rating and D counts them; each column with
    mean 0 and variance 1.
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
