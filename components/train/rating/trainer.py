"""Trains a network and its embedding tables on one or more devices, batch by batch."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

from components.artifacts.model import Floats, Integers, RatingFactors
from components.train.checkpoints import State
from components.train.rating.batches import Batches
from components.train.rating.embeddings import EmbeddingTable
from components.train.rating.networks import Objective
from components.train.rating.optimizers import Devices

Share = tuple[Any, Any, Any]
"""A device's part of a batch: places in the fetched rows of users and of items, and stars, NDArrays
[n]."""


@dataclass(frozen=True)
class Batch:
    """The ratings of one step, on the devices.

    Attributes:
        rows: the rows of users and of items that the whole batch touches, NDArrays by device.
        shares: the share of the ratings of each device.
        weights: the weight of each squared error in a share, NDArrays [n] by device.
    """

    rows: tuple[list[Any], list[Any]]
    shares: list[Share]
    weights: list[Any]


class NetworkTrainer:
    """A network and its tables, equal on every device.

    Each device computes the gradients of all rows that the batch touches, from its own share of
    the ratings; Gluon's kvstore sums them, and every device takes the same step.
    """

    def __init__(
        self,
        network: gluon.HybridBlock,
        tables: tuple[EmbeddingTable, EmbeddingTable],
        devices: Devices,
        trainer: gluon.Trainer | None = None,
        decays: bool = False,
    ) -> None:
        """Compile the network.

        Args:
            network: the network, initialized on the devices.
            tables: the tables of users and of items.
            devices: where to train.
            trainer: Gluon's trainer of the network's own parameters, if it has any.
            decays: whether half the square of every embedding looked up is part of the objective.
        """
        self._network = network
        self._tables = tables
        self._trainer = trainer
        self._devices = devices
        self._decays = decays
        self._objective = Objective(network)
        for block in (self._network, self._objective):
            block.hybridize(static_alloc=True, static_shape=True)
        self._store = mx.kvstore.create("device") if len(devices) > 1 else None
        self._keys: set[str] = set()

    def step(self, batch: Batch) -> list[Any]:
        """Take a step, and return the squared errors of each share before it, NDArrays [n]."""
        fetched = [table.fetch(rows) for table, rows in zip(self._tables, batch.rows, strict=True)]
        with autograd.record():
            outcomes = [
                self._objective(*rows, *share)
                for *rows, share in zip(*fetched, batch.shares, strict=True)
            ]
        self._backward(outcomes, batch.weights)
        for number, (table, rows) in enumerate(zip(self._tables, batch.rows, strict=True)):
            self._sum_over_devices(number, table.gradients)
            table.update(rows)
        if self._trainer is not None:
            self._trainer.step(1)
        return [squares for squares, *_ in outcomes]

    def _backward(self, outcomes: list[tuple[Any, Any, Any]], weights: list[Any]) -> None:
        """Compute the gradients of the weighted squared errors and of the weight decay."""
        heads, gradients = [], []
        for (squares, *embeddings), weight in zip(outcomes, weights, strict=True):
            # The gradient of half a square is the number that was squared.
            decaying = embeddings if self._decays else []
            heads += [squares, *decaying]
            gradients += [weight, *decaying]
        autograd.backward(heads, gradients)

    def _sum_over_devices(self, number: int, gradients: list[Any]) -> None:
        """Replace the gradients of table `number` on each device by their sum."""
        if self._store is None:
            return
        key = f"{number} of {len(gradients[0])} rows"
        if key not in self._keys:
            self._store.init(key, gradients[0])
            self._keys.add(key)
        self._store.pushpull(key, gradients, out=gradients)

    def batches(self, batches: Batches, weight: float) -> Iterator[Batch]:
        """Put batches on the devices, in equal shares, with the weight of each squared error."""
        size = batches.stars.shape[1] // len(self._devices)
        cuts = [slice(i * size, (i + 1) * size) for i in range(len(self._devices))]
        sides = batches.users, batches.items
        rows = [
            [nd.array(side.rows, device, np.int32) for device in self._devices] for side in sides
        ]
        shares = [
            (
                *(nd.array(side.places[:, cut], device, np.int32) for side in sides),
                nd.array(batches.stars[:, cut], device),
            )
            for cut, device in zip(cuts, self._devices, strict=True)
        ]
        weights = [nd.full(size, weight, device) for device in self._devices]
        for i in range(len(batches.stars)):
            users, items = ([copy[i] for copy in side] for side in rows)
            yield Batch((users, items), [tuple(c[i] for c in share) for share in shares], weights)

    def catch_up(self) -> None:
        """Bring every row of both tables up to the last step."""
        for table in self._tables:
            table.catch_up()

    def predict(self, users: Integers, items: Integers) -> Floats:
        """The network's output for pairs of user and item indices, float32 [n]."""
        embeddings = (
            nd.take(table.weights, nd.array(side, self._devices[0], np.int32))
            for table, side in zip(self._tables, (users, items), strict=True)
        )
        stars: Floats = self._network(*embeddings).asnumpy()
        return stars

    def export(self, offset: float, bounds: tuple[float, float]) -> RatingFactors:
        """Factors that predict what the network does, with an offset added to each prediction."""
        users, items = (table.weights[:-1] for table in self._tables)
        factors: RatingFactors = self._network.export_factors(users, items, offset, bounds)
        return factors

    def state(self) -> State:
        """Tables, parameters and the states of their optimizers, to be restored later."""
        users, items = self._tables
        state = {**users.state("users"), **items.state("items")}
        if self._trainer is None:
            return state
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "trainer"
            self._trainer.save_states(str(file))
            state["trainer"] = np.frombuffer(file.read_bytes(), np.uint8)
        parameters = self._network.collect_params().values()
        return state | {
            f"parameter.{i}": p.list_data()[0].asnumpy() for i, p in enumerate(parameters)
        }

    def restore(self, state: State) -> None:
        """Set tables, parameters and optimizers to those of a state."""
        for name, table in zip(("users", "items"), self._tables, strict=True):
            table.restore(state, name)
        if self._trainer is None:
            return
        for i, parameter in enumerate(self._network.collect_params().values()):
            parameter.set_data(nd.array(state[f"parameter.{i}"]))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "trainer"
            file.write_bytes(state["trainer"].tobytes())
            self._trainer.load_states(str(file))
