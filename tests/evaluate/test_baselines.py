"""Baselines are what their definitions say."""

import numpy as np
import pytest

from components.evaluate import baselines
from components.evaluate.top_lists import LENGTH, histories_of
from tests.evaluate.worlds import make_sets, to_ratings

RATINGS = to_ratings([[0, 0, 1, 1, 2], [0, 1, 0, 2, 0], [5, 3, 4, 1, 3], [10, 11, 90, 91, 99]])


def test_the_global_mean_is_the_same_for_everyone() -> None:
    mean = baselines.global_mean(RATINGS, 3, 4)
    assert mean.predict(np.array([0, 2]), np.array([3, 1])).tolist() == pytest.approx([3.2, 3.2])


def test_an_item_mean_is_the_products_own_and_else_the_mean_of_all() -> None:
    mean = baselines.item_mean(RATINGS, 3, 4)
    stars = mean.predict(np.zeros(4, int), np.arange(4))
    assert stars.tolist() == pytest.approx([4.0, 3.0, 1.0, 3.2])


def test_biases_find_who_is_kind_and_what_is_good() -> None:
    generator = np.random.default_rng(0)
    users, items = (column.ravel() for column in np.indices((60, 40)))
    kind, good = generator.normal(0, 0.7, 60), generator.normal(0, 0.7, 40)
    stars = 3 + kind[users] + good[items] + generator.normal(0, 0.3, len(users))
    chance = generator.random(len(users))
    train, validation = (
        to_ratings([column[mask] for column in (users, items, stars, users)])
        for mask in (chance < 0.5, (chance >= 0.5) & (chance < 0.7))
    )
    biases = baselines.shrunken_bias(train, validation, 60, 40, (-9, 9))
    left = chance >= 0.7
    error = biases.predict(users[left], items[left]) - stars[left]
    assert np.square(error).mean() < 0.12


def test_biases_shrink_to_the_mean_where_stars_are_chance() -> None:
    generator = np.random.default_rng(1)
    users, items = generator.integers(100, size=600), generator.integers(80, size=600)
    stars = generator.normal(3, 1, 600)
    train = to_ratings([column[:400] for column in (users, items, stars, users)])
    validation = to_ratings([column[400:] for column in (users, items, stars, users)])
    biases = baselines.shrunken_bias(train, validation, 100, 80, (-9, 9))
    assert np.abs(biases.predict(np.arange(80), np.arange(80)) - 3).max() < 0.4


def test_popularity_orders_by_count_and_recent_popularity_by_the_latest_days() -> None:
    seen = histories_of(to_ratings([[], [], [], []]), 1, 4)
    counts = baselines.counts_by_item(RATINGS, 4)
    recent = baselines.counts_since(RATINGS, 9, 4)
    ties = np.array([3, 2, 1, 0])
    assert counts.tolist() == [3, 1, 1, 0]
    assert recent.tolist() == [1, 0, 1, 0]
    assert baselines.popular_lists([counts], seen, ties)[0, :4].tolist() == [0, 2, 1, 3]
    assert baselines.popular_lists([recent, counts], seen, ties)[0, :4].tolist() == [0, 2, 1, 3]


def test_what_was_bought_together_is_recommended_by_confidence() -> None:
    # Product 1 goes with 0 in two of three histories, 2 in one; 3 is the most popular of all.
    baskets = [(0, 1), (0, 1), (0, 2), (3, 4), (3, 4), (3, 4), (3, 4)]
    users = np.repeat(np.arange(len(baskets)), 2)
    ratings = to_ratings([users, np.ravel(baskets), np.ones(14), np.arange(14)])
    everyone = histories_of(ratings, len(baskets), 5)
    asked = histories_of(to_ratings([[0], [0], [5], [0]]), 1, 5)
    lists = baselines.cooccurrence_lists(
        baselines.count_cooccurrences(everyone), asked, asked, np.arange(5)
    )
    assert lists[0, :4].tolist() == [1, 2, 3, 4]
    assert lists[0, 4] == -1


def test_random_lists_cover_the_catalogue_evenly_and_repeat_with_their_seed() -> None:
    train, _, _ = make_sets(400, 60, 0)
    seen = histories_of(train, 400, 60)
    lists = baselines.random_lists(seen, 1)
    counts = np.bincount(lists[:, :10].ravel(), minlength=60)
    assert counts.min() > 0.6 * counts.mean()
    assert (lists == baselines.random_lists(seen, 1)).all()
    assert (lists != baselines.random_lists(seen, 2)).any()
    for user in range(400):
        assert not set(lists[user].tolist()) & set(seen[user].indices.tolist())
        assert len(set(lists[user].tolist())) == LENGTH
