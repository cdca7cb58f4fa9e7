"""The peers of the quality benchmark, tuned on validation: run inside their own environment.

`python -m benchmarks.quality_peers MODEL DATA.npz SEED` prints one JSON object. Each peer tries
its candidates in order until its time is up, then learns from train and validation with the best.
The time is that of the processor, so other work on the machine takes nothing from it.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.quality_data import Array, Data, Part, Predict, Scores, Task

SECONDS = 20
"""What each model may spend on choosing its settings, of the processor's time."""

Config = dict[str, Any]
Peer = tuple[Callable[..., Any], list[Config]]
"""What learns from a task, to give scores or to predict stars, and the candidates."""

_RECENCIES = (0.99, 0.95, 0.9, 0.8, 0.5)


def grid(**candidates: Any) -> list[Config]:
    """All combinations; the first named changes most slowly."""
    return [dict(zip(candidates, values, strict=True)) for values in product(*candidates.values())]


@lru_cache(maxsize=16)
def history(task: Task, recency: float) -> Any:
    """Weights `recency**age` [customers, products] of what each customer rated, the newest 1."""
    users = task.known.users
    ages = np.searchsorted(users, users, side="right") - 1 - np.arange(len(users))
    weights = (recency**ages).astype(np.float32)
    return sp.csr_matrix((weights, (users, task.known.items)), (task.customers, task.products))


@lru_cache(maxsize=1)
def rated_together(task: Task) -> Array:
    """How many customers rated both products."""
    rated = history(task, 1.0)
    return np.asarray((rated.T @ rated).toarray(), dtype=np.float64)


def popularity(task: Task, days: int) -> Scores:
    """Ratings of the latest days; all ratings if days is 0, and to order what is else equal."""
    latest = task.known.days > task.known.days.max() - (days or 10**6)
    counts = np.bincount(task.known.items[latest], minlength=task.products)
    counts = counts + 1e-6 * np.bincount(task.known.items, minlength=task.products)
    return lambda users: np.repeat(counts[None], len(users), axis=0)


def item_knn(task: Task, shrink: float, neighbours: int, recency: float) -> Scores:
    """Cosine of the customers of two products, the nearest neighbours of each kept."""
    weights = _cosines(task, shrink, neighbours)
    return lambda users: history(task, recency)[users] @ weights


@lru_cache(maxsize=1)
def _cosines(task: Task, shrink: float, neighbours: int) -> Array:
    together = rated_together(task)
    lengths = np.sqrt(np.diag(together))
    cosines = together / (np.outer(lengths, lengths) + shrink + 1e-9)
    np.fill_diagonal(cosines, 0)
    if neighbours < len(cosines):
        cosines[cosines < -np.partition(-cosines, neighbours, axis=0)[neighbours]] = 0
    return np.asarray(cosines, dtype=np.float32)


def ease(task: Task, regularization: float, recency: float) -> Scores:
    """Steck 2019, "Embarrassingly shallow autoencoders for sparse data", closed form."""
    weights = _ease(task, regularization)
    return lambda users: history(task, recency)[users] @ weights


@lru_cache(maxsize=1)
def _ease(task: Task, regularization: float) -> Array:
    inverse = np.linalg.inv(rated_together(task) + regularization * np.eye(task.products))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights, dtype=np.float32)


def implicit_als(
    task: Task, seed: int, factors: int, regularization: float, alpha: float, recency: float
) -> Scores:
    """The `implicit` library; with recency, customers are folded in anew with weights by age."""
    model = _implicit(task, seed, factors, regularization, alpha)
    if recency == 1:
        return lambda users: model.user_factors[users] @ model.item_factors.T
    rows = (alpha * history(task, recency)).tocsr()
    return lambda users: model.recalculate_user(users, rows[users]) @ model.item_factors.T


@lru_cache(maxsize=1)
def _implicit(task: Task, seed: int, factors: int, regularization: float, alpha: float) -> Any:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors, regularization=regularization, alpha=alpha, random_state=seed
    )
    model.fit(history(task, 1.0), show_progress=False)
    return model


def surprise_svd(
    task: Task, seed: int, factors: int, regularization: float, epochs: int
) -> Predict:
    """Biased matrix factorization by SGD, of scikit-surprise."""
    from surprise import SVD, Dataset, Reader

    rows = _frame(task.known, "user", "item", "rating")
    known = Dataset.load_from_df(rows, Reader(rating_scale=task.scale)).build_full_trainset()
    model = SVD(n_factors=factors, n_epochs=epochs, reg_all=regularization, random_state=seed)
    model.fit(known)
    return lambda users, items: np.array(
        [model.predict(user, item).est for user, item in zip(users, items, strict=True)]
    )


def cmfrec_als(task: Task, seed: int, factors: int, regularization: float) -> Predict:
    """Explicit ALS with biases, of cmfrec."""
    from cmfrec import CMF

    model = CMF(k=factors, lambda_=regularization, random_state=seed, nthreads=1, verbose=False)
    model.fit(_frame(task.known, "UserId", "ItemId", "Rating"))
    return lambda users, items: _filled(task, model.predict(users, items))


def lenskit_als(task: Task, seed: int, factors: int, regularization: float) -> Predict:
    """Explicit ALS with biases, of lenskit."""
    from lenskit.algorithms.als import BiasedMF

    model = BiasedMF(factors, iterations=20, reg=regularization, rng_spec=seed)
    model.fit(_frame(task.known, "user", "item", "rating"))

    def predict(users: Array, items: Array) -> Array:
        # What its predict_for_user computes, for all pairs at once.
        bias = model.bias.mean_ + bias_of(users, "user") + bias_of(items, "item")
        rows = model.user_index_.get_indexer(users), model.item_index_.get_indexer(items)
        known = (rows[0] >= 0) & (rows[1] >= 0)
        product = np.einsum(
            "nk,nk->n", model.user_features_[rows[0]], model.item_features_[rows[1]]
        )
        return np.asarray(bias + np.where(known, product, 0))

    def bias_of(ids: Array, side: str) -> Array:
        offsets = getattr(model.bias, f"{side}_offsets_")
        return np.asarray(offsets.reindex(ids, fill_value=0))

    return predict


def myfm(task: Task, seed: int, rank: int, iterations: int) -> Predict:
    """Bayesian factorization machine by Gibbs sampling, of myFM."""
    from myfm import MyFMRegressor

    def rows(users: Array, items: Array) -> Any:
        width = task.customers + task.products
        columns = np.stack([users, items + task.customers], axis=1).ravel()
        offsets = np.arange(0, len(columns) + 1, 2)
        return sp.csr_matrix((np.ones(len(columns)), columns, offsets), (len(users), width))

    groups = np.repeat([0, 1], [task.customers, task.products]).tolist()
    model = MyFMRegressor(rank=rank, random_seed=seed)
    known = task.known
    model.fit(
        rows(known.users, known.items),
        known.stars,
        n_iter=iterations,
        group_shapes=None,
        grouping=groups,
    )
    return lambda users, items: model.predict(rows(users, items))


def _frame(part: Part, *names: str) -> Any:
    import pandas as pd

    columns = (part.users, part.items, part.stars.astype(np.float64))
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def _filled(task: Task, stars: Array) -> Array:
    """The mean of all where a library knows nothing."""
    return np.where(np.isfinite(stars), stars, task.known.stars.mean())


_KNN = {"shrink": (10.0, 50.0, 0.0), "neighbours": (100, 10**9, 20)}
_EASE = {"regularization": (300.0, 100.0, 1000.0, 30.0, 3000.0)}
_ALS = {"factors": (64, 32), "regularization": (1.0, 10.0, 0.1), "alpha": (1.0, 5.0)}

RANKING: dict[str, Peer] = {
    "popularity": (popularity, grid(days=(0,))),
    "recent_popularity": (popularity, grid(days=(0, 365, 90, 30, 7))),
    "item_knn": (item_knn, grid(**_KNN, recency=(1.0,))),
    "item_knn_recency": (item_knn, grid(**_KNN, recency=(1.0, *_RECENCIES))),
    "ease": (ease, grid(**_EASE, recency=(1.0,))),
    "ease_recency": (ease, grid(**_EASE, recency=(1.0, *_RECENCIES))),
    "implicit_als": (implicit_als, grid(**_ALS, recency=(1.0,))),
    "implicit_als_recency": (implicit_als, grid(**_ALS, recency=(1.0, *_RECENCIES))),
}
RATING: dict[str, Peer] = {
    "surprise_svd": (
        surprise_svd,
        grid(epochs=(20, 50), regularization=(0.1, 0.02, 0.05), factors=(20, 100, 50)),
    ),
    "cmfrec": (cmfrec_als, grid(regularization=(10.0, 3.0, 30.0, 100.0), factors=(16, 8, 40))),
    "lenskit_als": (lenskit_als, grid(regularization=(0.1, 1.0, 0.3, 5.0), factors=(16, 8, 40))),
    "myfm": (myfm, grid(iterations=(200, 500), rank=(8, 4, 16))),
}

_SEEDED = ("implicit_als", "implicit_als_recency", *RATING)


def run(name: str, data: Data, seed: int) -> dict[str, Any]:
    """Choose on validation, learn again from all but the test ratings, and judge."""
    learn, candidates = RANKING.get(name) or RATING[name]
    build = partial(learn, seed=seed) if name in _SEEDED else learn
    start = time.process_time()
    tried: list[tuple[float, int]] = []
    validation = data.validation
    for number, config in enumerate(candidates):
        if time.process_time() - start > SECONDS:
            break
        learned = build(validation, **config)
        if name in RANKING:
            tried.append((-validation.ranking_metrics(learned)["ndcg50"], number))
        else:
            tried.append((validation.rating_metrics(learned)["mse"], number))
    chosen = candidates[min(tried)[1]]
    test = data.test
    learned = build(test, **chosen)
    measure = test.ranking_metrics if name in RANKING else test.rating_metrics
    seconds = time.process_time() - start
    return {**measure(learned), "chosen": chosen, "tried": len(tried), "seconds": round(seconds, 1)}


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    _, model_name, path, seed_text = sys.argv
    print(json.dumps(run(model_name, Data.load(Path(path)), int(seed_text))))
