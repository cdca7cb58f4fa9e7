"""Lists are the best unseen products, however they are computed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from components.artifacts.model import Floats, RankingFactors
from components.evaluate import top_lists
from components.evaluate.top_lists import LENGTH, best_in_order, best_unseen, history_vectors


def slowly(scores: Floats, seen: csr_matrix, ties: np.ndarray) -> list[list[int]]:  # type: ignore[type-arg]
    """Sort every product of every customer."""
    lists = []
    for row, hidden in zip(scores, seen.toarray(), strict=True):
        items = [int(item) for item in np.lexsort((ties, -row)) if not hidden[item]][:LENGTH]
        lists.append(items + [-1] * (LENGTH - len(items)))
    return lists


@given(
    products=st.sampled_from([3, LENGTH, LENGTH + 1, 300, 5000]),
    distinct=st.sampled_from([1, 2, 50, 10**6]),
    seed=st.integers(0, 1000),
)
def test_the_best_unseen_products_are_those_of_a_full_sort(
    products: int, distinct: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, distinct, (5, products)).astype(np.float32)
    seen = csr_matrix((generator.random((5, products)) < 0.2).astype(np.float32))
    ties = generator.permutation(products)
    lists = best_unseen(lambda block: scores[block].copy(), seen, ties)
    assert lists.tolist() == slowly(scores, seen, ties)


@given(products=st.integers(1, 60), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_a_common_order_skips_what_was_seen(products: int, share: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    seen = csr_matrix((generator.random((4, products)) < share).astype(np.float32))
    order = generator.permutation(products)
    starts = generator.integers(products, size=4)
    for row, items in enumerate(best_in_order(order, starts, seen).tolist()):
        turned = np.roll(order, -starts[row])
        expected = [int(item) for item in turned if not seen[row, item]][:LENGTH]
        assert items == expected + [-1] * (LENGTH - len(expected))


def test_blocks_do_not_change_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    scores = generator.random((50, 200), dtype=np.float32)
    seen, ties = csr_matrix((50, 200), dtype=np.float32), np.arange(200)
    whole = best_unseen(lambda block: scores[block].copy(), seen, ties)
    monkeypatch.setattr(top_lists, "_BLOCK", 700)
    assert (best_unseen(lambda block: scores[block].copy(), seen, ties) == whole).all()


def test_scores_that_are_no_numbers_are_never_listed() -> None:
    scores = np.full((1, 40), np.nan, np.float32)
    scores[0, 7] = 1
    seen, ties = csr_matrix((1, 40), dtype=np.float32), np.arange(40)
    assert set(best_unseen(lambda _: scores.copy(), seen, ties)[0].tolist()) == {7, -1}


def test_vectors_of_many_histories_are_those_of_each() -> None:
    generator = np.random.default_rng(2)
    histories = generator.random((30, 4), dtype=np.float32)
    factors = RankingFactors(
        items=histories,
        item_biases=np.zeros(30, np.float32),
        histories=histories,
        recency=np.array([0.8], np.float32),
        window=np.array([3], np.int32),
        users=np.zeros((0, 4), np.float32),
    )
    items, offsets = generator.permutation(30).astype(np.int32), np.array([0, 8, 8, 30])
    seen = csr_matrix((np.ones(30, np.float32), items, offsets), shape=(3, 30))
    expected = [factors.vector(items[a:b]) for a, b in ((0, 8), (8, 8), (8, 30))]
    assert np.allclose(history_vectors(factors, seen), expected, atol=1e-6)
