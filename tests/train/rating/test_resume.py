"""Any model goes on from the state after a step as if it had not stopped."""

from itertools import islice

import mxnet as mx
import numpy as np
import pytest

from components.train.rating.bayes import Bayes
from components.train.rating.sgd import SgdModel
from components.train.rating.trials import RatingModel
from tests.train.worlds import CPU, held_out, planted, problem

TRAIN, _, _ = held_out(planted())


def network(name: str, devices: tuple[mx.Context, ...] = (CPU,)) -> SgdModel:
    rate = 0 if name == "mf" else 5e-4
    return SgdModel(name, 8, 64, rate, 0.2, 0.02, 3, devices)  # type: ignore[arg-type]


MODELS: dict[str, RatingModel] = {
    "bayes": Bayes(3, 4.0, True, 0, CPU),
    "mf": network("mf"),
    "mlp": network("mlp"),
    "mf on two devices": network("mf", (mx.cpu(0), mx.cpu(1))),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_goes_on_from_a_state_to_the_same_factors(model: RatingModel) -> None:
    *_, second, third, fourth = islice(model.train(problem(TRAIN)), 4)
    *_, stopped = islice(model.train(problem(TRAIN)), 2)
    resumed = list(islice(model.train(problem(TRAIN), stopped.state()), 2))
    assert stopped.loss == second.loss
    assert [step.loss for step in resumed] == [third.loss, fourth.loss]
    np.testing.assert_array_equal(resumed[-1].export().users, fourth.export().users)
    np.testing.assert_array_equal(resumed[-1].export().item_biases, fourth.export().item_biases)
