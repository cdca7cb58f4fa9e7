"""The best model on validation is learned again from all but the test ratings."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from components.artifacts.splits import TEST, Ratings, Splits
from components.errors import UserError
from components.train.ranking.selection import fit_ranking
from components.train.ranking.settings import RankingSettings
from tests.evaluate.worlds import make_sets, to_ratings, write_ratings, write_splits

CUSTOMERS, PRODUCTS = 300, 60
SMALL = RankingSettings(ranking_dimensions=16)


def cut(rows: list[tuple[int, int, int, int]]) -> tuple[Ratings, Ratings, Ratings]:
    """Each customer's last rating to test, the one before to validate."""
    ratings = to_ratings(list(np.array(rows).T))
    left = np.searchsorted(ratings.users, ratings.users, side="right") - np.arange(len(ratings))
    return ratings.where(left > 2), ratings.where(left == 2), ratings.where(left == 1)


def walks() -> tuple[Ratings, Ratings, Ratings]:
    """Everybody goes from a product of their own to the next few, one a day."""
    generator = np.random.default_rng(0)
    starts = generator.integers(PRODUCTS, size=CUSTOMERS)
    return cut(
        [
            (user, (start + step) % PRODUCTS, 5, 100 + step)
            for user, start in enumerate(starts)
            for step in range(8)
        ]
    )


def fashions() -> tuple[Ratings, Ratings, Ratings]:
    """Nobody has a taste; a few products are liked by most."""
    generator = np.random.default_rng(0)
    chances = 0.7 ** np.arange(PRODUCTS)
    rows = []
    for user in range(CUSTOMERS):
        items = generator.choice(PRODUCTS, 8, replace=False, p=chances / chances.sum())
        rows += [
            (user, item, 5, 100 + step) for step, item in enumerate(generator.permutation(items))
        ]
    return cut(rows)


@pytest.fixture
def make_splits(tmp_path: Path) -> Callable[..., Splits]:
    def make(sets: tuple[Ratings, Ratings, Ratings]) -> Splits:
        ratings = write_ratings(tmp_path / "ratings")
        return Splits.open(write_splits(tmp_path / "splits", ratings, sets, CUSTOMERS, PRODUCTS))

    return make


def test_where_order_tells_the_next_product_the_ridge_finds_it(
    make_splits: Callable[..., Splits],
) -> None:
    splits = make_splits(walks())
    settings = RankingSettings(ranking_model="ridge", ranking_dimensions=32)
    factors, _, _ = fit_ranking(splits, settings, mx.cpu())
    known = splits.train.merged_with(splits.validation)
    hits = 0
    for user, target in zip(splits.test.users, splits.test.items, strict=True):
        history = known.items[known.users == user]
        scores = factors.scores(factors.customer_vector(user, history)[None])[0]
        scores[history] = -np.inf
        hits += target in np.argsort(-scores)[:3]
    assert hits / CUSTOMERS > 0.9


def test_the_choice_is_never_worse_on_validation_than_popularity(
    make_splits: Callable[..., Splits],
) -> None:
    _, chosen, trials = fit_ranking(make_splits(fashions()), SMALL, mx.cpu())
    popular = max(trial["ndcg_at_50"] for trial in trials if trial["model"] == "popularity")
    assert chosen["ndcg_at_50"] >= popular > 0.1
    assert chosen in trials
    assert {trial["model"] for trial in trials} == {"popularity", "ridge", "autoencoder", "als"}


def test_validation_ratings_are_learned_from_in_the_end_and_test_ratings_never(
    make_splits: Callable[..., Splits],
) -> None:
    splits = make_splits(fashions())
    (splits.path / TEST).unlink()
    settings = RankingSettings(ranking_model="popularity")
    factors, chosen, _ = fit_ranking(splits, settings, mx.cpu())
    assert chosen["parameters"] == {"days": 0}
    known = splits.train.merged_with(splits.validation)
    assert (factors.item_biases == np.bincount(known.items, minlength=PRODUCTS)).all()


@pytest.mark.parametrize("model", ["ridge", "autoencoder", "als"])
def test_the_same_seed_gives_the_same_bytes(model: str, make_splits: Callable[..., Splits]) -> None:
    splits = make_splits(make_sets(CUSTOMERS, PRODUCTS, 0))
    settings = RankingSettings.model_validate({"ranking_model": model, "ranking_dimensions": 16})
    first, second = (fit_ranking(splits, settings, mx.cpu()) for _ in range(2))
    for array in fields(first[0]):
        assert getattr(first[0], array.name).tobytes() == getattr(second[0], array.name).tobytes()
    assert first[1:] == second[1:]


def test_what_is_set_is_not_searched(make_splits: Callable[..., Splits]) -> None:
    settings = RankingSettings(
        ranking_model="ridge",
        ranking_dimensions=1,
        ranking_recency=0.7,
        ranking_regularization=10,
    )
    splits = make_splits(make_sets(CUSTOMERS, PRODUCTS, 0))
    factors, _, trials = fit_ranking(splits, settings, mx.cpu())
    assert [trial["parameters"] for trial in trials] == [
        {"recency": 0.7, "dimensions": 1, "regularization": 10}
    ]
    assert factors.items.shape == (PRODUCTS, 1)


def test_without_validation_ratings_the_error_says_what_to_do(
    make_splits: Callable[..., Splits],
) -> None:
    train, validation, test = make_sets(CUSTOMERS, PRODUCTS, 0)
    empty = validation.where(np.zeros(len(validation), dtype=bool))
    with pytest.raises(UserError, match="no validation ratings"):
        fit_ranking(make_splits((train, empty, test)), SMALL, mx.cpu())
