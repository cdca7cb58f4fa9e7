"""Bayesian matrix factorization finds a planted taste, and does the same every time."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

from components.train.rating import bayes, trials
from components.train.rating.bayes import Bayes
from components.train.rating.trials import Snapshot, mean_squared_error
from tests.train.arrays import largest
from tests.train.worlds import CPU, ITEMS, USERS, held_out, planted, problem

TRAIN, VALIDATION, TEST = held_out(planted())


def learn(steps: int = 12, **changes: Any) -> Snapshot:
    settings: dict[str, Any] = {"rank": 3, "precision": 4.0, "counts": True, "seed": 0}
    *_, last = islice(Bayes(**(settings | changes), device=CPU).train(problem(TRAIN)), steps)
    return last


def test_vectors_predict_better_than_biases_alone_where_there_is_a_taste() -> None:
    biases, vectors = (learn(rank=rank, precision=4.0).export() for rank in (0, 3))
    assert mean_squared_error(vectors.predict, TEST) < 0.75 * mean_squared_error(
        biases.predict, TEST
    )


def test_rank_0_solves_the_regularised_biases() -> None:
    """Against the normal equations of the biases, written out, at the prior of the last sweep."""
    factors = learn(rank=0, steps=30, precision=2.0).export()
    residual = TRAIN.stars - factors.offset[0] - factors.item_biases[TRAIN.items]
    sums = np.bincount(TRAIN.users, residual, USERS)
    counts = np.bincount(TRAIN.users, minlength=USERS)
    # With equal counts the shrunken bias is linear in the sum, whatever the prior is.
    assert np.unique(counts).tolist() == [12]
    slope = np.polyfit(sums, factors.user_biases, 1)
    assert np.polyval(slope, sums) == pytest.approx(factors.user_biases, abs=2e-3)
    assert 0 < slope[0] * 12 < 1


def test_the_export_predicts_what_the_model_predicts() -> None:
    step = learn()
    users, items = VALIDATION.users, VALIDATION.items
    assert step.predict(users, items) == pytest.approx(
        step.export().predict(users, items), abs=1e-5
    )


def test_the_same_seed_learns_the_same_model() -> None:
    first, second = learn().export(), learn().export()
    np.testing.assert_array_equal(first.users, second.users)
    np.testing.assert_array_equal(first.items, second.items)


def test_rows_in_many_blocks_are_solved_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learn(steps=3).export()
    monkeypatch.setattr(bayes, "_BLOCK_ROWS", 7)
    blocks = learn(steps=3).export()
    assert blocks.users == pytest.approx(whole.users, abs=1e-4)
    assert blocks.item_biases == pytest.approx(whole.item_biases, abs=1e-4)


def test_customers_in_many_groups_are_solved_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learn(steps=3).export()
    monkeypatch.setattr(bayes, "GROUP_ROWS", 31)
    groups = learn(steps=3).export()
    assert groups.users == pytest.approx(whole.users, abs=1e-4)
    assert groups.item_biases == pytest.approx(whole.item_biases, abs=1e-4)


def test_of_all_customers_no_array_is_wider_than_their_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bayes, "GROUP_ROWS", 64)
    monkeypatch.setattr(trials, "_BLOCK_ROWS", 64)
    customers, rank = 3000, 16
    task = problem(planted(users=customers, each=6), users=customers)
    with largest() as cells:
        list(islice(Bayes(rank, 4.0, True, 0, CPU).train(task), 2))
    assert cells == [customers * (rank + 1)]


def test_a_product_that_nobody_rated_gets_the_prior() -> None:
    rows = TRAIN.items != 5
    some = TRAIN.where(rows)
    *_, last = islice(Bayes(2, 4.0, True, 0, CPU).train(problem(some)), 3)
    assert np.isfinite(last.export().items).all()
    assert last.export().items.shape == (ITEMS, 2)
    assert abs(last.export().item_biases[5]) < 1.5
