"""What customers chose to rate tells of their taste, whatever the stars."""

import mxnet as mx
import numpy as np

from components.artifacts.model import Integers
from components.train.rating.signals import implicit_signals
from components.train.rating.trials import Problem
from tests.evaluate.worlds import TASTES, make_sets


def within_and_between(columns: object, rows: Integers) -> tuple[float, float]:
    """Mean correlation of rows of one taste, and of rows of different tastes."""
    correlations = np.corrcoef(np.asarray(columns))
    same = rows[:, None] % TASTES == rows % TASTES
    return float(correlations[same].mean()), float(correlations[~same].mean())


def test_rows_of_one_taste_have_signals_alike() -> None:
    train, _, _ = make_sets(240, 60, 0)
    users, items = implicit_signals(Problem(train, 240, 60, (1, 5)), 4, 0, mx.cpu())
    for columns in (users.asnumpy(), items.asnumpy()):
        assert columns.shape[1] == 4
        np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-2)
        np.testing.assert_allclose(columns.std(axis=0), 1, atol=1e-2)
        within, between = within_and_between(columns, np.arange(len(columns)))
        assert within > between + 0.4


def test_stars_do_not_matter() -> None:
    train, _, _ = make_sets(60, 30, 0)
    other = train.where(train.stars > 0)
    other.stars[:] = 1
    signals = [
        implicit_signals(Problem(rows, 60, 30, (1, 5)), 3, 0, mx.cpu()) for rows in (train, other)
    ]
    for first, second in zip(*signals, strict=True):
        assert (first.asnumpy() == second.asnumpy()).all()
