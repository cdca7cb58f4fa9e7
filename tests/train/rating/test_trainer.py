"""A trainer that fetches only the touched rows learns what one of whole tables learns."""

from collections.abc import Callable
from itertools import product
from typing import Any

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd

from components.train.rating.batches import iterate_batches
from components.train.rating.embeddings import EmbeddingTable
from components.train.rating.networks import INITIAL, MatrixFactorization, Mlp
from components.train.rating.optimizers import AdaGrad, Devices, Momentum
from components.train.rating.trainer import NetworkTrainer
from tests.train.worlds import CPU, ITEMS, USERS, planted, problem

RATINGS = planted()
WIDTH, SIZE, RATE = 5, 64, 0.1
PAIR = [mx.cpu(0), mx.cpu(1)]


def run(network_trainer: NetworkTrainer, weight: Callable[[int], float]) -> None:
    """Two epochs in the order of the ratings."""
    order = np.arange(len(RATINGS), dtype=np.int32)
    for batches in [*iterate_batches(RATINGS, order, SIZE, (USERS, ITEMS))] * 2:
        for batch in network_trainer.batches(batches, weight(batches.stars.shape[1])):
            network_trainer.step(batch)
    network_trainer.catch_up()


def slices() -> list[slice]:
    starts = range(0, len(RATINGS), SIZE)
    return [slice(start, start + SIZE) for _, start in product(range(2), starts)]


def matrix_factorization(decay: float, devices: Devices) -> NetworkTrainer:
    network = MatrixFactorization(WIDTH)
    network.initialize(ctx=devices)
    starts = network.start(problem(RATINGS), np.random.default_rng(0))
    users, items = (
        EmbeddingTable(start, AdaGrad(RATE, decay, groups, devices), devices)
        for start, groups in zip(starts, network.groups(), strict=True)
    )
    return NetworkTrainer(network, (users, items), devices, decays=True)


def mlp(devices: Devices, dropout: float = 0.0) -> tuple[NetworkTrainer, Mlp]:
    mx.random.seed(0)
    network = Mlp(WIDTH, dropout)
    network.initialize(INITIAL, ctx=devices)
    starts = network.start(problem(RATINGS))
    users, items = (EmbeddingTable(start / 8, Momentum(0.01, 0.9), devices) for start in starts)
    options = {"learning_rate": 0.01, "momentum": 0.9}
    trainer = gluon.Trainer(network.collect_params(), "sgd", options)
    return NetworkTrainer(network, (users, items), devices, trainer), network


class Notebook(gluon.HybridBlock):  # type: ignore[misc]
    """The published network, with whole tables as its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.users = gluon.nn.Embedding(USERS, WIDTH)
        self.items = gluon.nn.Embedding(ITEMS, WIDTH)
        self.user_dense = gluon.nn.Dense(WIDTH, activation="relu", in_units=WIDTH)
        self.item_dense = gluon.nn.Dense(WIDTH, activation="relu", in_units=WIDTH)

    def hybrid_forward(self, F: Any, users: Any, items: Any) -> Any:  # noqa: N803
        user, item = self.user_dense(self.users(users)), self.item_dense(self.items(items))
        return F.sum(user * item, axis=1)


def test_mlp_learns_what_the_published_loop_learns() -> None:
    """Gluon's dense embeddings, L2 loss and trainer, as the notebook has them."""
    network_trainer, network = mlp([CPU])
    notebook = Notebook()
    notebook.initialize()
    state, before = network_trainer.state(), network_trainer.predict(RATINGS.users, RATINGS.items)
    notebook.users.weight.set_data(nd.array(state["users.0"][:-1]))
    notebook.items.weight.set_data(nd.array(state["items.0"][:-1]))
    for mine, theirs in (
        (network.user_dense, notebook.user_dense),
        (network.item_dense, notebook.item_dense),
    ):
        theirs.weight.set_data(mine.weight.data())
        theirs.bias.set_data(mine.bias.data())
    options = {"learning_rate": 0.01, "momentum": 0.9}
    trainer = gluon.Trainer(notebook.collect_params(), "sgd", options)
    squared = gluon.loss.L2Loss()
    for rows in slices():
        users, items, stars = (
            nd.array(column[rows]) for column in (RATINGS.users, RATINGS.items, RATINGS.stars)
        )
        with autograd.record():
            loss = squared(notebook(users, items), stars)
        loss.backward()
        trainer.step(len(loss))
    run(network_trainer, lambda size: 0.5 / size)
    predicted = network_trainer.predict(RATINGS.users, RATINGS.items)
    wanted = notebook(nd.array(RATINGS.users), nd.array(RATINGS.items)).asnumpy()
    assert np.abs(predicted - RATINGS.stars).mean() < 0.6 * np.abs(before - RATINGS.stars).mean()
    np.testing.assert_allclose(predicted, wanted, atol=1e-3)
    after = network_trainer.state()
    for name, table in (("users.0", notebook.users), ("items.0", notebook.items)):
        assert np.abs(after[name] - state[name]).max() > 0.1
        np.testing.assert_allclose(after[name][:-1], table.weight.data().asnumpy(), atol=1e-4)


def test_matrix_factorization_learns_by_the_gradient_of_its_formula() -> None:
    """Dense, in NumPy: e = p q + b + c - stars, squared, with the squares of p, q, b and c."""
    decay = 0.3
    network_trainer = matrix_factorization(decay, [CPU])
    state = network_trainer.state()
    tables = [state[f"{side}.0"][:-1].astype(np.float64) for side in ("users", "items")]
    squares = [np.zeros((len(table), 2)) for table in tables]
    ones = [WIDTH + 1, WIDTH]
    biases = [WIDTH, WIDTH + 1]
    for rows in slices():
        places = RATINGS.users[rows], RATINGS.items[rows]
        left, right = (table[place] for table, place in zip(tables, places, strict=True))
        errors = ((left * right).sum(axis=1) - RATINGS.stars[rows])[:, None]
        by_rating = errors * right + decay * left, errors * left + decay * right
        for side in range(2):
            gradient = np.zeros_like(tables[side])
            np.add.at(gradient, places[side], by_rating[side])
            gradient[:, ones[side]] = 0
            bias = gradient[:, biases[side]]
            mean = (gradient[:, :WIDTH] ** 2).mean(axis=1)
            squares[side] += np.stack([mean, bias**2], axis=1)
            rates = RATE / np.sqrt(squares[side] + AdaGrad._INITIAL)
            tables[side][:, :WIDTH] -= rates[:, :1] * gradient[:, :WIDTH]
            tables[side][:, biases[side]] -= rates[:, 1] * bias
    run(network_trainer, lambda _: 0.5 / decay)
    after = network_trainer.state()
    for name, table in zip(("users.0", "items.0"), tables, strict=True):
        assert np.abs(after[name] - state[name]).max() > 0.1
        np.testing.assert_allclose(after[name][:-1], table, atol=1e-4)


@pytest.mark.parametrize("name", ["mf", "mlp"])
def test_two_devices_learn_what_one_learns(name: str) -> None:
    """On two devices of the CPU; GPUs take the same way through Gluon's kvstore."""
    one, two = (
        matrix_factorization(0.02, devices) if name == "mf" else mlp(devices)[0]
        for devices in ([CPU], PAIR)
    )
    for network_trainer in (one, two):
        run(network_trainer, lambda size: 0.5 / 0.02 if name == "mf" else 0.5 / size)
    first, second = one.state(), two.state()
    for table in ("users.0", "items.0"):
        np.testing.assert_allclose(first[table], second[table], atol=1e-4)
