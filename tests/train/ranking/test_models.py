"""Each model solves the equations that its docstring states, whatever the size of the blocks."""

import mxnet as mx
import numpy as np
import numpy.typing as npt
import pytest

from components.train.histories import histories as histories_module
from components.train.histories.histories import Histories
from components.train.histories.training_set import TrainingSet
from components.train.ranking import als
from components.train.ranking.als import ImplicitAls
from components.train.ranking.autoencoder import Autoencoder
from components.train.ranking.popularity import Popularity
from components.train.ranking.ridge import Ridge
from components.train.ranking.selection import RankingModel
from components.train.ranking.settings import RankingSettings
from components.train.sizes import ALS_WIDTH
from tests.train.arrays import largest
from tests.train.ranking.data import (
    CUSTOMERS,
    DIMENSIONS,
    PRODUCTS,
    close,
    dense,
    lists,
    make_ratings,
    make_training_set,
)

Matrix = npt.NDArray[np.float64]


@pytest.fixture(params=[1 << 15, 7], ids=["one block", "many blocks"])
def data(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TrainingSet:
    monkeypatch.setattr(histories_module, "_BLOCK_ROWS", request.param)
    return make_training_set()


def test_embedding_is_the_truncated_svd(data: TrainingSet) -> None:
    rated = dense(data.histories)
    by_user, by_item = (np.maximum(rated.sum(axis=axis), 1) ** -0.5 for axis in (1, 0))
    _, values, vectors = np.linalg.svd(by_user[:, None] * rated * by_item)
    expected = vectors[:DIMENSIONS].T * values[:DIMENSIONS] ** 0.5
    found = data.embedding.asnumpy()
    signs = np.sign((found * expected).sum(axis=0))
    assert close(found, signs * expected, 1e-2)
    assert (np.diff(np.linalg.norm(found, axis=0)) <= 1e-5).all()


def test_embedding_is_no_wider_than_the_catalogue() -> None:
    assert make_training_set(dimensions=99).embedding.shape == (PRODUCTS, PRODUCTS)


def test_ridge_is_the_regression_of_items_on_what_lies_around_them(data: TrainingSet) -> None:
    embedding = data.embedding.asnumpy().astype(np.float64)
    earlier: tuple[list[Matrix], list[int]] = ([], [])
    later: tuple[list[Matrix], list[int]] = ([], [])
    for items in lists(data.histories):
        for contexts, order in ((earlier, items), (later, items[::-1])):
            for place in range(1, len(order)):
                before = embedding[order[:place][::-1]]
                contexts[0].append(0.8 ** np.arange(place) @ before)
                contexts[1].append(order[place])
    past, future = np.array(earlier[0]), np.array(later[0])
    scale = np.sqrt((past**2).mean())
    past, future = past / scale, future / scale
    ones = np.eye(PRODUCTS)
    gram = past.T @ past + 0.3 * future.T @ future + 30 * np.eye(DIMENSIONS)
    targets = past.T @ ones[earlier[1]] + 0.3 * future.T @ ones[later[1]]
    factors = Ridge(data).fit(DIMENSIONS, 0.8, 30.0)
    assert close(factors.items.T, np.linalg.solve(gram, targets), 1e-3)
    assert close(factors.histories, embedding / scale)
    assert factors.users.shape == (0, DIMENSIONS)


def test_autoencoder_predicts_each_item_from_the_others(data: TrainingSet) -> None:
    rated = dense(data.histories)
    embedding = data.embedding.asnumpy().astype(np.float64)
    embedding /= np.sqrt(((rated @ embedding) ** 2).mean())
    expected = np.empty((PRODUCTS, DIMENSIONS))
    for item in range(PRODUCTS):
        others = rated @ embedding - np.outer(rated[:, item], embedding[item])
        gram = others.T @ others + 3 * np.eye(DIMENSIONS)
        expected[item] = np.linalg.solve(gram, others.T @ rated[:, item])
    factors = Autoencoder(data).fit(DIMENSIONS, 0.99, 3.0)
    assert close(factors.items, expected, 1e-3)
    assert close(factors.histories, embedding)


def test_narrow_vectors_are_the_leading_columns(data: TrainingSet) -> None:
    wide, narrow = (Ridge(data).fit(width, 0.8, 30.0) for width in (DIMENSIONS, 3))
    assert (wide.histories[:, :3] == narrow.histories).all()
    assert narrow.items.shape == (PRODUCTS, 3)


@pytest.mark.parametrize(
    ("model", "set_to", "tried"),
    [
        (Ridge, 256, {256, 128, 64}),
        (Autoencoder, 100, {100, 50, 25}),
        (ImplicitAls, 16, {16}),
        (ImplicitAls, 256, {32}),
    ],
)
def test_the_widths_tried_are_those_that_the_setting_promises(
    model: type[RankingModel], set_to: int, tried: set[int]
) -> None:
    settings = RankingSettings(ranking_dimensions=set_to)
    assert {parameters["dimensions"] for parameters in model.candidates(settings)} == tried
    description = RankingSettings.model_fields["ranking_dimensions"].description
    assert f"als tries this width only, and at most {ALS_WIDTH}" in str(description)


def test_als_solves_every_customers_normal_equations(data: TrainingSet) -> None:
    weight, regularization = 0.1, 0.03
    factors = ImplicitAls(data).fit(4, 0.8, regularization)
    items = factors.items.astype(np.float64)
    shared = weight * items.T @ items + regularization * weight * PRODUCTS * np.eye(4)
    systems = []
    for user, history in enumerate(lists(data.histories)):
        weights = np.diag(0.8 ** np.arange(len(history))[::-1])
        rated = items[history]
        own = regularization * len(history) * np.eye(4)
        systems.append(shared + own + rated.T @ weights @ rated)
        expected = np.linalg.solve(systems[-1], rated.T @ weights.sum(axis=1))
        np.testing.assert_allclose(factors.users[user], expected, rtol=1e-2, atol=1e-4)
    expected = np.linalg.solve(np.mean(systems, axis=0), items.T).T
    assert close(factors.histories, expected, 1e-3)


@pytest.mark.parametrize("width", [4, 16])
def test_als_in_many_blocks_learns_as_in_one(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ImplicitAls(make_training_set()).fit(width, 0.8, 0.03)
    monkeypatch.setattr(als, "_BLOCK_CELLS", 64)
    blocks = ImplicitAls(make_training_set()).fit(width, 0.8, 0.03)
    assert close(blocks.items, whole.items, 1e-3)
    assert close(blocks.users, whole.users, 1e-3)


def test_als_makes_no_array_that_grows_with_the_ratings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(als, "_BLOCK_CELLS", 1 << 12)
    customers, width = 3000, 16
    ratings = make_ratings(customers=customers)
    data = TrainingSet(Histories.of(ratings, customers, PRODUCTS, 0), width, 0, mx.cpu())
    with largest() as cells:
        ImplicitAls(data).fit(width, 0.8, 0.03)
    assert cells[0] <= customers * width


def test_popularity_counts_the_latest_days_and_then_all() -> None:
    data = make_training_set()
    histories = data.histories
    latest = histories.days > histories.days.max() - 20
    recent = np.bincount(histories.items[latest], minlength=PRODUCTS)
    scores = Popularity(data).fit(20).item_biases
    assert (np.lexsort((histories.popularity, recent)) == np.lexsort((scores,))).all()
    ever = Popularity(data).fit(0)
    assert (ever.item_biases == histories.popularity).all()
    assert ever.scores(ever.users[:2]).shape == (2, PRODUCTS)
    assert len(ever.users) == CUSTOMERS
