"""The best products are those of a plain sort, however many customers are asked for at once."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from components.artifacts.model import RankingFactors, RatingFactors
from components.artifacts.top_n import Ranker

PRODUCTS, WIDTH = 6000, 16


def make_factors(seed: int = 0) -> RankingFactors:
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((PRODUCTS, WIDTH), dtype=np.float32)
    items[1::7] = items[0::7][: len(items[1::7])]  # equal scores, to be in order of index
    return RankingFactors(
        items=items,
        item_biases=np.repeat(rng.standard_normal(PRODUCTS // 60, dtype=np.float32), 60),
        histories=items,
        recency=np.ones(1, np.float32),
        window=np.ones(1, np.int32),
        users=np.zeros((0, WIDTH), np.float32),
    )


FACTORS = make_factors()
RANKER = Ranker(FACTORS, None)
VECTORS = np.random.default_rng(1).standard_normal((40, WIDTH), dtype=np.float32)
SEEN = [np.random.default_rng(user).integers(0, PRODUCTS, user) for user in range(40)]


def sorted_scores(vector: npt.NDArray[np.float32], without: npt.NDArray[np.int64]) -> list[int]:
    """Every product by score, best first, computed in float64."""
    scores = FACTORS.items.astype(np.float64) @ vector.astype(np.float64) + FACTORS.item_biases
    order = np.argsort(-scores.astype(np.float32), kind="stable")
    return [item for item in order.tolist() if item not in set(without.tolist())]


@pytest.mark.parametrize("together", [1, 2, 15, 16, 40])
def test_the_best_are_those_of_a_plain_sort_however_many_are_asked_together(together: int) -> None:
    for start in range(0, 40, together):
        users = range(start, min(start + together, 40))
        seen, counts = [SEEN[user] for user in users], [user % 12 + 1 for user in users]
        lists = RANKER.best(VECTORS[users.start : users.stop], seen, counts, [None] * len(counts))
        for user, count, (items, scores) in zip(users, counts, lists, strict=True):
            assert items.tolist() == sorted_scores(VECTORS[user], SEEN[user])[:count]
            assert (np.diff(scores) <= 0).all()


def test_answers_are_the_same_to_the_last_bit_alone_and_in_company() -> None:
    company = RANKER.best(VECTORS, SEEN, [20] * 40, [None] * 40)
    for vector, seen, (items, scores) in zip(VECTORS, SEEN, company, strict=True):
        [(alone, alone_scores)] = RANKER.best(vector[None], [seen], [20], [None])
        assert alone.tolist() == items.tolist()
        assert alone_scores.tolist() == scores.tolist()


@pytest.mark.parametrize("weight", [0.3, 3.0, 300.0])
def test_lists_with_expected_stars_are_those_of_a_plain_sort(weight: float) -> None:
    """A small weight leaves the pool of products as it is, a large one asks for all of them."""
    random = np.random.default_rng(2)
    rating = RatingFactors(
        users=random.standard_normal((40, 3), dtype=np.float32),
        items=random.standard_normal((PRODUCTS, 3), dtype=np.float32),
        user_biases=random.standard_normal(40, dtype=np.float32),
        item_biases=random.standard_normal(PRODUCTS, dtype=np.float32),
        offset=np.array([3], np.float32),
        bounds=np.array([1, 5], np.float32),
    )
    factors = replace(FACTORS, stars_weight=np.array([weight], np.float32))
    raters = [rating.rater(user) if user % 4 else None for user in range(40)]
    lists = Ranker(factors, rating).best(VECTORS, SEEN, [10] * 40, raters)
    every = np.arange(PRODUCTS, dtype=np.int32)
    for vector, seen, rater, (items, scores) in zip(VECTORS, SEEN, raters, lists, strict=True):
        expected = factors.items.astype(np.float64) @ vector + factors.item_biases
        if rater is not None:
            expected -= np.float32(weight) * rating.penalties(rater, every)
        expected[seen] = -np.inf
        order = np.argsort(-expected.astype(np.float32), kind="stable")[:10]
        assert items.tolist() == order.tolist()
        assert scores == pytest.approx(expected[order], rel=1e-5, abs=1e-5)


def test_a_mask_leaves_out_what_it_covers_and_fewer_come_back_where_fewer_remain() -> None:
    mask = np.ones(PRODUCTS, dtype=bool)
    mask[[5, 50, 500]] = False
    [(items, _)] = RANKER.best(VECTORS[:1], [mask], [10], [None])
    assert sorted(items.tolist()) == [5, 50, 500]
    assert len(RANKER.best(VECTORS[:1], [np.arange(PRODUCTS)], [10], [None])[0][0]) == 0


def test_similar_products_are_the_largest_cosines_without_the_product_itself() -> None:
    unit = FACTORS.items / np.linalg.norm(FACTORS.items, axis=1, keepdims=True)
    cosines = unit @ unit[3]
    cosines[3] = -np.inf
    items, scores = RANKER.similar(3, 10)
    assert set(items.tolist()) == set(np.argsort(-cosines)[:10].tolist())
    assert scores == pytest.approx(cosines[items], abs=1e-6)
