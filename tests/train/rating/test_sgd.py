"""Networks learn by gradient descent, the same way every time, and say when they diverge."""

from dataclasses import replace
from itertools import islice
from typing import Any, Literal

import mxnet as mx
import numpy as np
import pytest

from components.errors import UserError
from components.train.rating.sgd import SgdModel
from components.train.rating.trials import mean_squared_error
from tests.train.worlds import CPU, held_out, planted, problem

TRAIN, VALIDATION, _ = held_out(planted())

NAMES: tuple[Literal["mf", "mlp"], ...] = ("mf", "mlp")


def make(name: Literal["mf", "mlp"], **changes: Any) -> SgdModel:
    # The beginning of mlp is meant for large tables.
    model = SgdModel(
        name=name,
        width=8,
        batch_size=64,
        learning_rate=0 if name == "mf" else 5e-4,
        dropout=0.2,
        weight_decay=0.02,
        seed=3,
        devices=(CPU,),
    )
    return replace(model, **changes)


@pytest.mark.parametrize("name", NAMES)
def test_the_export_predicts_what_the_network_predicts(name: Literal["mf", "mlp"]) -> None:
    *_, step = islice(make(name).train(problem(TRAIN)), 3)
    users, items = VALIDATION.users, VALIDATION.items
    assert step.predict(users, items) == pytest.approx(
        step.export().predict(users, items), abs=1e-5
    )


@pytest.mark.parametrize("name", NAMES)
def test_learning_lowers_the_training_loss(name: Literal["mf", "mlp"]) -> None:
    losses = [step.loss for step in islice(make(name).train(problem(TRAIN)), 10)]
    assert losses[-1] < 0.6 * losses[0]


def test_factorization_predicts_better_than_the_mean() -> None:
    *_, step = islice(make("mf").train(problem(TRAIN)), 10)
    assert mean_squared_error(step.predict, VALIDATION) < 0.7 * VALIDATION.stars.var()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_learns_the_same_model(name: Literal["mf", "mlp"]) -> None:
    first, second = (next(make(name).train(problem(TRAIN))).export() for _ in range(2))
    other = next(make(name, seed=4).train(problem(TRAIN))).export()
    np.testing.assert_array_equal(first.users, second.users)
    np.testing.assert_array_equal(first.items, second.items)
    assert not np.array_equal(first.users, other.users)


def test_a_customer_who_rated_nothing_keeps_the_vector_of_the_start() -> None:
    rows = TRAIN.users < 100
    some = TRAIN.where(rows)
    first, second = (step.export() for step in islice(make("mf").train(problem(some)), 2))
    np.testing.assert_array_equal(first.users[100:], second.users[100:])
    assert not np.array_equal(first.users[:100], second.users[:100])


def test_a_diverging_loss_names_the_epoch_the_batch_and_the_remedy() -> None:
    model = make("mlp", learning_rate=1e6)
    with pytest.raises(UserError, match=r"in epoch \d+, batch \d+: lower learning_rate, which is"):
        list(islice(model.train(problem(TRAIN)), 20))


def test_a_loss_beyond_all_bounds_stops_before_it_is_no_number() -> None:
    model = make("mf", learning_rate=500.0, batch_size=1024)
    with pytest.raises(UserError, match=r"the loss of mf is \S*\d in epoch \d+, batch \d+: lower"):
        list(islice(model.train(problem(TRAIN)), 20))


def test_two_devices_share_a_batch_and_learn_as_well_as_one() -> None:
    """On two devices of the CPU; GPUs take the same way through Gluon's kvstore."""
    pair = (mx.cpu(0), mx.cpu(1))
    one, two = (
        list(islice(make("mf", devices=devices).train(problem(TRAIN)), 8))[-1]
        for devices in ((CPU,), pair)
    )
    losses = [mean_squared_error(step.predict, VALIDATION) for step in (one, two)]
    assert losses[1] < 1.1 * losses[0]
    users, items = VALIDATION.users, VALIDATION.items
    assert two.predict(users, items) == pytest.approx(two.export().predict(users, items), abs=1e-5)
