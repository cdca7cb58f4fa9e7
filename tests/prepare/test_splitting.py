"""What is held out is newer, apart, and the same every time."""

import random
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.prepare.filtering import keep_active
from components.prepare.settings import PrepareSettings
from components.prepare.splitting import TEST, TRAIN, VALIDATION, drawn_from_ties, split
from tests.prepare.tables import (
    Row,
    frame,
    latest_slowly,
    rows,
    table_of,
    tied_slowly,
    unique_pairs,
)

fractions = st.sampled_from([0.05, 0.1, 0.3])
ways = st.sampled_from(["last", "temporal", "random"])


def split_table(table: list[Row], way: str, **changes: object) -> pl.DataFrame:
    """The rows in order, with their parts."""
    ordered = frame(table).sort("user", "rated_at", "item")
    settings = PrepareSettings.model_validate({"split": way, **changes})
    return ordered.with_columns(part=pl.Series(split(ordered, settings)))


tables = rows.map(unique_pairs)


@given(tables)
def test_the_last_two_of_each_customer_are_held_out(table: list[Row]) -> None:
    for _, history in split_table(table, "last").group_by("user", maintain_order=True):
        parts = history["part"].to_list()
        if len(parts) < 3:
            assert set(parts) == {TRAIN}
        else:
            assert Counter(parts) == {TRAIN: len(parts) - 2, VALIDATION: 1, TEST: 1}


@given(tables, st.integers(0, 3))
def test_the_instant_decides_what_is_held_out(table: list[Row], seed: int) -> None:
    parts = split_table(table, "last", seed=seed)
    for user, (test, validation, train) in latest_slowly(table).items():
        history = parts.filter(user=user).with_columns(pl.col("rated_at").to_physical())
        assert history.filter(part=TEST)["rated_at"].to_list() == [test]
        assert history.filter(part=VALIDATION)["rated_at"].to_list() == [validation]
        assert sorted(history.filter(part=TRAIN)["rated_at"]) == train


@given(tables, ways, st.integers(0, 3))
def test_a_tie_is_one_customer_at_one_instant_in_two_parts(
    table: list[Row], way: str, seed: int
) -> None:
    assume(way != "temporal" or len({row[3] for row in table}) >= 3)
    parts = split_table(table, way, seed=seed)
    rows = parts.with_columns(pl.col("rated_at").to_physical()).drop("part").rows()
    tied = tied_slowly(rows, parts["part"].to_list())
    assert drawn_from_ties(parts, parts["part"].to_numpy()).tolist() == tied
    assert way != "temporal" or not any(tied)


def test_splits_of_three_seeds_differ_in_ties_alone() -> None:
    """Customers rate as they do on MovieLens: in sittings, several products in one second."""
    chance = np.random.default_rng(0)
    table = [
        (user, item, 5.0, 1_000_000 * (1000 * sitting + int(chance.integers(0, 30))))
        for user in range(300)
        for sitting in range(3)
        for item in range(20 * sitting, 20 * sitting + 10)
    ]
    splits = [split_table(table, "last", seed=seed)["part"].to_numpy() for seed in range(3)]
    ordered = split_table(table, "last")
    tied = [drawn_from_ties(ordered, parts) for parts in splits]
    differ = np.ptp(splits, axis=0) > 0
    assert (tied[0] == tied[1]).all()
    assert (tied[0] == tied[2]).all()
    assert not (differ & ~tied[0]).any()
    assert 0 < np.count_nonzero(differ & (splits[0] == TEST)) < 150


def test_a_product_is_not_held_out_for_its_place_among_those_of_an_instant() -> None:
    """A hundred customers rate the same ten products at once: chance decides, not the id."""
    table = [(user, item, 5.0, 0) for user in range(100) for item in range(10)]
    held_out = split_table(table, "last").filter(part=TEST)
    counts = np.bincount(held_out["item"].to_numpy(), minlength=10)
    assert counts.sum() == 100
    assert counts.max() < 25


@given(tables)
def test_no_test_rating_is_older_than_one_to_train_with(table: list[Row]) -> None:
    for _, history in split_table(table, "last").group_by("user"):
        assert newest(history, TRAIN) <= oldest(history, VALIDATION)
        assert newest(history, VALIDATION) <= oldest(history, TEST)


@given(tables, fractions, st.integers(0, 60), st.integers(1, 2), st.integers(1, 2))
def test_a_temporal_split_is_one_of_time_for_all(
    table: list[Row], fraction: float, at_once: int, min_customer: int, min_product: int
) -> None:
    """Also with customers of few ratings, and with many ratings at the last instant."""
    bulk = [(user + 10, user % 6, 5.0, 9) for user in range(at_once)]
    kept, _ = keep_active(frame([*table, *bulk]), min_customer, min_product, fixpoint=True)
    assume(kept["rated_at"].n_unique() >= 3)
    parts = split_table(table_of(kept), "temporal", test_fraction=fraction)
    assert parts["part"].n_unique() == 3
    assert newest(parts, TRAIN) < oldest(parts, VALIDATION)
    assert newest(parts, VALIDATION) < oldest(parts, TEST)


@given(tables, fractions)
def test_a_temporal_part_of_more_than_an_instant_is_no_more_than_its_fraction(
    table: list[Row], fraction: float
) -> None:
    assume(len({row[3] for row in table}) >= 3)
    parts = split_table(table, "temporal", test_fraction=fraction)
    for part in (VALIDATION, TEST):
        held_out = parts.filter(part=part)
        if held_out["rated_at"].n_unique() > 1:
            assert len(held_out) <= max(1, round(fraction * len(table)))


@given(rows.map(lambda table: [(*row[:3], row[3] % 2) for row in table]).map(unique_pairs))
def test_with_fewer_than_three_times_nothing_is_held_out_by_time(table: list[Row]) -> None:
    assert split_table(table, "temporal")["part"].eq(TRAIN).all()


def test_a_last_instant_of_most_ratings_leaves_its_fraction_of_the_others_to_validate_with() -> (
    None
):
    """As when a shop moved house, and stamped what it had with that day."""
    table = [(user, item, 5.0, item) for user in range(10) for item in range(100)]
    table += [(user + 10, item, 5.0, 100) for user in range(95) for item in range(100)]
    parts = split_table(table, "temporal", test_fraction=0.1)["part"].to_numpy()
    assert np.bincount(parts).tolist() == [890, 110, 9500]


@given(tables, fractions)
def test_a_random_split_takes_a_part_of_every_customer(table: list[Row], fraction: float) -> None:
    for _, history in split_table(table, "random", test_fraction=fraction).group_by("user"):
        counts = Counter(history["part"].to_list())
        expected = max(1, int(len(history) * fraction)) if len(history) >= 3 else 0
        assert counts[TEST] == counts[VALIDATION] == expected
        assert counts[TRAIN] > 0


@given(tables, st.sampled_from(["last", "random"]))
def test_customers_with_too_few_ratings_stay_in_training(table: list[Row], way: str) -> None:
    few = split_table(table, way).filter(pl.len().over("user") < 3)
    assert few["part"].eq(TRAIN).all()


@given(tables, ways, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    table: list[Row], way: str, chance: random.Random
) -> None:
    shuffled = chance.sample(table, len(table))
    assert split_table(table, way).equals(split_table(shuffled, way))


def test_a_temporal_split_holds_out_about_its_fraction() -> None:
    table = [(user, item, 5.0, 20 * item + user) for user in range(20) for item in range(50)]
    parts = split_table(table, "temporal", test_fraction=0.1)["part"].to_numpy()
    assert np.bincount(parts).tolist() == [800, 100, 100]


def test_another_seed_is_another_random_split() -> None:
    table = [(user, item, 5.0, 0) for user in range(20) for item in range(20)]
    first, again, other = (split_table(table, "random", seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize("way", ["last", "random"])
def test_everyone_with_three_ratings_is_tested_once(way: str) -> None:
    table = [(user, item, 5.0, item) for user in range(5) for item in range(3)]
    parts = split_table(table, way)
    assert parts.filter(part=TEST)["user"].to_list() == [0, 1, 2, 3, 4]


def newest(ratings: pl.DataFrame, part: int) -> int:
    instants = ratings.filter(part=part)["rated_at"].to_physical()
    return int(instants.max()) if len(instants) else -1  # type: ignore[arg-type]


def oldest(ratings: pl.DataFrame, part: int) -> int:
    instants = ratings.filter(part=part)["rated_at"].to_physical()
    return int(instants.min()) if len(instants) else 10**6  # type: ignore[arg-type]
