"""The deployed model answers for today's customers and products as it would have served them."""

from dataclasses import replace

import numpy as np
import pytest

from components.artifacts.model import Model
from components.artifacts.strings import StringTable
from components.evaluate.champion import align
from tests.evaluate.worlds import customer_ids, make_model, make_sets, product_ids

CUSTOMERS, PRODUCTS = 40, 24


@pytest.fixture(scope="module")
def model() -> Model:
    model = make_model(make_sets(CUSTOMERS, PRODUCTS, 0), CUSTOMERS, PRODUCTS)
    assert model.rating is not None
    generator = np.random.default_rng(0)
    biases = generator.normal(0, 1, PRODUCTS).astype(np.float32)
    return replace(model, rating=replace(model.rating, item_biases=biases))


def test_predicts_the_same_whatever_the_order_of_ids(model: Model) -> None:
    customers, products = customer_ids(CUSTOMERS)[::-1], product_ids(PRODUCTS)[::-1]
    aligned = align(model, customers, products)
    assert aligned is not None
    assert model.rating is not None
    assert aligned.rating is not None
    users, items = (column.ravel() for column in np.indices((CUSTOMERS, PRODUCTS)))
    theirs = model.rating.predict(CUSTOMERS - 1 - users, PRODUCTS - 1 - items)
    assert np.allclose(aligned.rating.predict(users, items), theirs)
    assert aligned.known.all()


def test_never_lists_a_product_and_has_no_opinion_of_a_customer_that_are_new(model: Model) -> None:
    aligned = align(model, ["new", *customer_ids(3)], ["P", *product_ids(PRODUCTS)])
    assert aligned is not None
    assert aligned.ranking is not None
    assert aligned.rating is not None
    assert aligned.ranking.scores(np.ones((1, 4), np.float32))[0, 0] == -np.inf
    assert aligned.rating.predict(np.array([0]), np.array([0])) == aligned.rating.offset
    assert aligned.known.tolist() == [False, True, True, True]


def test_is_judged_on_the_rows_that_it_did_not_learn_from(model: Model) -> None:
    train, validation, test = make_sets(CUSTOMERS, PRODUCTS, 0)
    aligned = align(model, customer_ids(CUSTOMERS), product_ids(PRODUCTS))
    assert aligned is not None
    assert not aligned.held_out(train).any()
    assert not aligned.held_out(validation).any()
    assert aligned.held_out(test).all()


def test_rows_that_it_learned_under_other_indices_are_left_out(model: Model) -> None:
    train, _, _ = make_sets(CUSTOMERS, PRODUCTS, 0)
    last = PRODUCTS - 1
    renamed = StringTable.of([*(f"X{item}" for item in range(last)), product_ids(PRODUCTS)[last]])
    stranger = replace(model, catalogue=replace(model.catalogue, products=renamed))
    aligned = align(stranger, customer_ids(CUSTOMERS), product_ids(PRODUCTS))
    assert aligned is not None
    assert aligned.held_out(train.where(train.items != last)).all()


def test_a_model_of_another_catalogue_is_not_compared(model: Model) -> None:
    assert align(model, customer_ids(CUSTOMERS), ["other", "others"]) is None
