"""A step in some rows is that of the whole table, and leaves the other rows as they were."""

import mxnet as mx
import numpy as np
import numpy.typing as npt
import pytest
from mxnet import nd

from components.train.rating.batches import touched_rows
from components.train.rating.embeddings import EmbeddingTable
from components.train.rating.optimizers import AdaGrad, Momentum, Optimizer
from tests.train.worlds import CPU

COUNT, WIDTH, STEPS, SIZE = 300, 6, 40, 16
# The last column is to stay as it is.
GROUPS = np.array([[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]], np.float32)
RATE, FIRST = 0.2, AdaGrad._INITIAL

Table32 = npt.NDArray[np.float32]
OPTIMIZERS: dict[str, Optimizer] = {
    "adagrad": AdaGrad(RATE, 1.0, GROUPS, [CPU]),
    "momentum": Momentum(RATE, 0.9),
}


def begin() -> Table32:
    table: Table32 = np.random.default_rng(0).normal(size=(COUNT, WIDTH)).astype(np.float32)
    return table


def steps() -> list[tuple[npt.NDArray[np.int32], Table32]]:
    """Whom each step touches, and a gradient for each of the rows."""
    random = np.random.default_rng(1)
    chosen = random.zipf(1.3, (STEPS, SIZE)).astype(np.int32) % COUNT
    rows = touched_rows(chosen, COUNT).rows
    gradients = random.normal(size=(*rows.shape, WIDTH)).astype(np.float32)
    gradients[rows == COUNT] = 0
    return list(zip(rows, gradients, strict=True))


def take(table: EmbeddingTable, rows: npt.NDArray[np.int32], gradient: Table32) -> None:
    places = [nd.array(rows, dtype="int32")]
    table.fetch(places)
    table.gradients[0][:] = gradient
    table.update(places)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_step_changes_no_other_rows(optimizer: Optimizer) -> None:
    table = EmbeddingTable(begin(), optimizer, [CPU])
    for rows, gradient in steps()[:3]:
        before = table.state("")
        take(table, rows, gradient)
        after = table.state("")
        others = np.setdiff1d(np.arange(COUNT), rows)
        for name in before.keys() - {".steps"}:
            np.testing.assert_array_equal(after[name][others], before[name][others])
        touched = rows[rows < COUNT]
        assert (after[".0"][touched, :5] != before[".0"][touched, :5]).all()


def test_adagrad_is_that_of_its_formula() -> None:
    table = EmbeddingTable(begin(), OPTIMIZERS["adagrad"], [CPU])
    wanted = begin().astype(np.float64)
    squares = np.zeros((COUNT, 2))
    for rows, gradient in steps():
        take(table, rows, gradient)
        dense = np.zeros((COUNT, WIDTH))
        dense[rows[rows < COUNT]] = gradient[rows < COUNT]
        squares += np.stack([(dense[:, :4] ** 2).mean(axis=1), dense[:, 4] ** 2], axis=1)
        wanted[:, :4] -= RATE * dense[:, :4] / np.sqrt(squares[:, :1] + FIRST)
        wanted[:, 4] -= RATE * dense[:, 4] / np.sqrt(squares[:, 1] + FIRST)
    np.testing.assert_allclose(table.weights[:-1].asnumpy(), wanted, rtol=1e-4, atol=1e-5)


def test_adagrad_learns_the_same_from_gradients_in_any_unit() -> None:
    divided = EmbeddingTable(begin(), AdaGrad(RATE, 0.02, GROUPS, [CPU]), [CPU])
    plain = EmbeddingTable(begin(), OPTIMIZERS["adagrad"], [CPU])
    for rows, gradient in steps():
        take(plain, rows, gradient)
        take(divided, rows, gradient / np.float32(0.02))
    np.testing.assert_allclose(
        divided.weights.asnumpy(), plain.weights.asnumpy(), rtol=1e-4, atol=1e-5
    )


def test_momentum_moves_all_rows_as_dense_sgd_does() -> None:
    """MXNet's own update of whole tables, and ours brought up to date now and then."""
    table = EmbeddingTable(begin(), OPTIMIZERS["momentum"], [CPU])
    wanted, velocity = nd.array(begin()), nd.zeros((COUNT, WIDTH))
    for number, (rows, gradient) in enumerate(steps()):
        take(table, rows, gradient)
        dense = np.zeros((COUNT + 1, WIDTH), np.float32)
        dense[rows] = gradient
        mx.nd.sgd_mom_update(
            wanted, nd.array(dense[:-1]), velocity, lr=RATE, momentum=0.9, out=wanted
        )
        if number % 15 == 0:
            table.catch_up()
    table.catch_up()
    np.testing.assert_allclose(table.weights[:-1].asnumpy(), wanted.asnumpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_table_goes_on_from_its_state(optimizer: Optimizer) -> None:
    whole, stopped, resumed = (EmbeddingTable(begin(), optimizer, [CPU]) for _ in range(3))
    for number, (rows, gradient) in enumerate(steps()):
        take(whole, rows, gradient)
        if number == STEPS // 2:
            resumed.restore(stopped.state("users"), "users")
        take(stopped if number < STEPS // 2 else resumed, rows, gradient)
    np.testing.assert_array_equal(resumed.weights.asnumpy(), whole.weights.asnumpy())
