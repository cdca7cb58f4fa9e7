"""Degenerate data are found, each kind under its own name and no other."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from components.artifacts.splits import Ratings
from components.evaluate.data import EvaluationData
from components.evaluate.degeneracy import degeneracies
from components.evaluate.intervals import Bootstrap
from components.evaluate.results import EvaluationResults, HistoryStatistics, ScoredRows, System
from tests.evaluate.worlds import make_sets

CUSTOMERS, PRODUCTS = 100, 40


def data() -> EvaluationData:
    return EvaluationData(*make_sets(CUSTOMERS, PRODUCTS, 0), CUSTOMERS, PRODUCTS, (1.0, 5.0))


def found(
    data: EvaluationData, error: float | None = 0.7, random_place: int | None = 20
) -> list[str]:
    """Names of what is degenerate.

    Args:
        field: the ratings.
        error: by which every prediction is off, or None where stars are not predicted.
        random_place: where every test item stands in the random lists, or None likewise.
    """
    count = len(data.test)
    stars = None if error is None else (data.test.stars + error).astype(np.float32)
    lists = None if random_place is None else np.full((count, 20), -1, np.int32)
    systems = {"model": System(stars, lists), "random": System(None, lists)}
    if lists is not None and random_place is not None and random_place < 20:
        lists[:, random_place] = data.test.items
    results = EvaluationResults(
        ScoredRows(data.test, {}, np.ones(count, bool), np.ones(count, bool)),
        systems,
        HistoryStatistics(np.ones(data.products, int), csr_matrix((1, 1)), count),
        Bootstrap(count, 100, 0),
    )
    return [check.name for check in degeneracies(data, results) if not check.passed]


def constant(data: EvaluationData) -> EvaluationData:
    def equal(rows: Ratings) -> Ratings:
        return replace(rows, stars=np.full_like(rows.stars, 4))

    return replace(
        data, train=equal(data.train), validation=equal(data.validation), test=equal(data.test)
    )


def test_ordinary_data_are_not_degenerate() -> None:
    assert found(data()) == []


def test_equal_stars_are_degenerate_where_stars_are_predicted() -> None:
    assert found(constant(data()), error=0.0) == ["constant_stars"]
    assert found(constant(data()), error=None) == []


@pytest.mark.parametrize(("error", "degenerate"), [(0.19, True), (0.21, False)])
def test_an_error_below_a_twentieth_of_the_scale_is_degenerate(
    error: float, degenerate: bool
) -> None:
    assert found(data(), error) == ["near_zero_error"] * degenerate
    assert found(replace(data(), scale=(1, 9)), error) == ["near_zero_error"]


@pytest.mark.parametrize(("products", "degenerate"), [(10, True), (11, False)])
def test_a_catalogue_that_a_list_holds_is_degenerate_where_products_are_ranked(
    products: int, degenerate: bool
) -> None:
    small = EvaluationData(*make_sets(CUSTOMERS, products, 0), CUSTOMERS, products, (1.0, 5.0))
    assert found(small) == ["short_catalogue"] * degenerate
    assert found(small, random_place=None) == []


def test_random_lists_that_find_much_are_degenerate_in_a_catalogue_that_is_long_enough() -> None:
    assert found(data(), random_place=3) == ["strong_random_ranking"]
    assert found(replace(data(), products=10), random_place=3) == ["short_catalogue"]
