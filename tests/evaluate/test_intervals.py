"""Intervals are those of an independent bootstrap, and hold the truth as often as they say."""

import numpy as np
import pytest
import scipy.stats

from components.evaluate import intervals
from components.evaluate.intervals import Bootstrap, interval


def test_an_interval_is_scipys() -> None:
    values = np.random.default_rng(0).exponential(1, 400)
    ours = interval(Bootstrap(400, 5000, 1).means(values, np.ones(400)), 0.95)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", random_state=2
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_groups_of_customers_spread_as_customers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    customers = 3000
    values, ones = np.random.default_rng(0).exponential(1, customers), np.ones(customers)
    each = interval(Bootstrap(customers, 2000, 1).means(values, ones), 0.95)
    monkeypatch.setattr(intervals, "_GROUPS", 600)
    grouped = interval(Bootstrap(customers, 2000, 1).means(values, ones), 0.95)
    assert grouped.high - grouped.low == pytest.approx(each.high - each.low, rel=0.1)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(3), 0
    for trial in range(200):
        values = generator.normal(2, 1, 150)
        spread = interval(Bootstrap(150, 300, trial).means(values, np.ones(150)), 0.9)
        held += spread.low <= 2 <= spread.high
    assert 0.83 <= held / 200 <= 0.96


def test_a_paired_difference_spreads_less_than_its_parts() -> None:
    generator = np.random.default_rng(4)
    hard, ones = generator.exponential(1, 500), np.ones(500)
    bootstrap = Bootstrap(500, 1000, 0)
    first, second = bootstrap.means(hard, ones), bootstrap.means(hard + 0.01, ones)
    assert np.ptp(second - first) < 1e-9
    assert np.ptp(first) > 0.1


def test_customers_with_many_ratings_count_by_their_ratings() -> None:
    sums, counts = np.array([10.0, 0.0]), np.array([10.0, 1.0])
    means = Bootstrap(2, 500, 0).means(sums, counts)
    assert set(np.round(np.unique(means), 6)) == {0.0, round(10 / 11, 6), 1.0}


def test_resamples_without_a_value_are_no_numbers() -> None:
    assert np.isnan(Bootstrap(3, 100, 0).means(np.zeros(3), np.zeros(3))).all()
