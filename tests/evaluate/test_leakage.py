"""Every way to fool an evaluation raises its alarm."""

from dataclasses import replace

import numpy as np
import pytest

from components.artifacts.instants import RESOLUTIONS
from components.artifacts.model import Model
from components.artifacts.splits import Ratings
from components.evaluate import leakage
from tests.evaluate.worlds import make_model, make_sets

CUSTOMERS, PRODUCTS = 40, 24
Sets = tuple[Ratings, Ratings, Ratings]


@pytest.fixture(scope="module")
def sets() -> Sets:
    return make_sets(CUSTOMERS, PRODUCTS, 0)


@pytest.fixture(scope="module")
def model(sets: Sets) -> Model:
    return make_model(sets, CUSTOMERS, PRODUCTS)


def test_an_id_that_no_table_knows(sets: Sets) -> None:
    train, _, test = sets
    strange = replace(test, items=np.where(np.arange(len(test)) < 2, PRODUCTS, test.items))
    check = leakage.out_of_range({"train": train, "test": strange}, CUSTOMERS, PRODUCTS)
    assert (check.passed, check.figure) == (False, 2)
    assert check.reason == "Leakage: 2 with an id out of range (2 in test)."
    assert leakage.out_of_range({"train": train, "test": test}, CUSTOMERS, PRODUCTS).passed


def test_a_pair_in_two_sets(sets: Sets) -> None:
    train, validation, test = sets
    check = leakage.in_two_sets({"train": train, "test": train.where(train.users == 0)}, PRODUCTS)
    assert (check.passed, check.figure) == (False, 6)
    fine = {"train": train, "validation": validation, "test": test}
    assert leakage.in_two_sets(fine, PRODUCTS).passed


def test_a_test_rating_older_than_what_was_learned(sets: Sets) -> None:
    train, _, test = sets
    older = replace(test, instants=np.where(np.arange(len(test)) == 3, 0, test.instants))
    check = leakage.older_than_history(older, train, CUSTOMERS)
    assert (check.passed, check.figure) == (False, 1)
    assert leakage.older_than_history(test, train, CUSTOMERS).passed


def test_a_test_rating_older_by_a_microsecond(sets: Sets) -> None:
    train, _, _ = sets
    train = replace(train, instants=train.instants + RESOLUTIONS["day"] // 2)
    last = np.append(np.diff(train.users) > 0, True)
    test = train.where(last)
    older = replace(test, instants=test.instants - (np.arange(len(test)) == 3))
    check = leakage.older_than_history(older, train, CUSTOMERS)
    assert (check.passed, check.figure) == (False, 1)


def test_test_ratings_that_the_seed_chose_among_equal_ones_are_counted(sets: Sets) -> None:
    train, _, test = sets
    last = np.append(np.diff(train.users) > 0, True)
    newest = train.instants[last]
    few = np.arange(len(test)) < 3
    tied = replace(test, instants=np.where(few, newest, newest + 1))
    check = leakage.older_than_history(tied, train, CUSTOMERS)
    assert check.passed
    assert check.reason == (
        "No customer's test rating is older than their training ratings; 3 of 40 are as old as "
        "the newest of these: the seed chose them."
    )


def test_a_customer_without_history_is_no_alarm(sets: Sets) -> None:
    train, _, test = sets
    assert leakage.older_than_history(test, train.where(train.users > 0), CUSTOMERS).passed


def test_a_factor_that_is_no_number(model: Model) -> None:
    assert leakage.unfinite(model).passed
    assert model.rating is not None
    broken = replace(model.rating, offset=np.array([np.nan], np.float32))
    check = leakage.unfinite(replace(model, rating=broken))
    assert not check.passed
    assert "rating.offset" in check.reason


def test_an_export_that_disagrees_with_the_trained_network(model: Model, sets: Sets) -> None:
    _, _, test = sets
    assert model.rating is not None
    stars = model.rating.predict(test.users, test.items)
    probes = {"users": test.users.tolist(), "items": test.items.tolist(), "stars": stars.tolist()}
    assert leakage.disagreeing_export(model, probes).passed
    probes["stars"][0] += 0.01
    check = leakage.disagreeing_export(model, probes)
    assert not check.passed
    assert check.figure == pytest.approx(0.01, abs=1e-4)


def test_a_probe_that_is_no_number_disagrees(model: Model) -> None:
    probes = {"users": [0], "items": [0], "stars": [float("nan")]}
    assert not leakage.disagreeing_export(model, probes).passed
