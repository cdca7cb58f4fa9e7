"""A network and its tables on some devices, learning from one batch after another."""

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
from components.train.rating.networks import Objective
from components.train.rating.tables import Devices, Table

Share = tuple[Any, Any, Any]
"""Places in the fetched rows of users and items, and stars, NDArrays [n]."""


@dataclass(frozen=True)
class Batch:
    """Ratings to take a step by, NDArrays by device.

    Attributes:
        rows: of either table, what the whole batch touches. shares: of the ratings, by device.
        weights: of the squared errors of a share, [n].
    """

    rows: tuple[list[Any], list[Any]]
    shares: list[Share]
    weights: list[Any]


class Learner:
    """What is learned, on every device the same.

    Each device finds the gradients of the rows that the whole batch touches, by its own share of
    the ratings; Gluon's kvstore sums them, and each takes the same step.
    """

    def __init__(
        self,
        network: gluon.HybridBlock,
        tables: tuple[Table, Table],
        devices: Devices,
        trainer: gluon.Trainer | None = None,
        decays: bool = False,
    ) -> None:
        """Begin.

        Args:
            network: initialized on the devices.
            tables: of users and of items.
            devices: where to learn.
            trainer: of the network's own parameters, if it has any.
            decays: whether half the square of every embedding looked up is part of the objective.
        """
        self._network, self._tables, self._trainer = network, tables, trainer
        self._devices, self._decays = devices, decays
        self._objective = Objective(network)
        for block in (self._network, self._objective):
            block.hybridize(static_alloc=True, static_shape=True)
        self._store = mx.kvstore.create("device") if len(devices) > 1 else None
        self._keys: set[str] = set()

    def learn(self, batch: Batch) -> list[Any]:
        """Take a step; the squared errors of each share before it, NDArrays [n]."""
        fetched = [table.fetch(rows) for table, rows in zip(self._tables, batch.rows, strict=True)]
        with autograd.record():
            outcomes = [
                self._objective(*rows, *share)
                for *rows, share in zip(*fetched, batch.shares, strict=True)
            ]
        self._backward(outcomes, batch.weights)
        for number, (table, rows) in enumerate(zip(self._tables, batch.rows, strict=True)):
            self._add_up(number, table.gradients)
            table.learn(rows)
        if self._trainer is not None:
            self._trainer.step(1)
        return [squares for squares, *_ in outcomes]

    def _backward(self, outcomes: list[tuple[Any, Any, Any]], weights: list[Any]) -> None:
        """Gradients of the weighted squares, and of the embeddings' own."""
        heads, gradients = [], []
        for (squares, *embeddings), weight in zip(outcomes, weights, strict=True):
            # The gradient of half a square is what was squared.
            decaying = embeddings if self._decays else []
            heads += [squares, *decaying]
            gradients += [weight, *decaying]
        autograd.backward(heads, gradients)

    def _add_up(self, number: int, gradients: list[Any]) -> None:
        """Give each device the sum."""
        if self._store is None:
            return
        key = f"{number} of {len(gradients[0])} rows"
        if key not in self._keys:
            self._store.init(key, gradients[0])
            self._keys.add(key)
        self._store.pushpull(key, gradients, out=gradients)

    def batches(self, batches: Batches, weight: float) -> Iterator[Batch]:
        """Batches on the devices, in equal shares, with the weight of each squared error."""
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

    def settle(self) -> None:
        """Bring all rows up to the last step."""
        for table in self._tables:
            table.settle()

    def predict(self, users: Integers, items: Integers) -> Floats:
        """What the network says of some pairs, float32 [n]."""
        embeddings = (
            nd.take(table.weights, nd.array(side, self._devices[0], np.int32))
            for table, side in zip(self._tables, (users, items), strict=True)
        )
        stars: Floats = self._network(*embeddings).asnumpy()
        return stars

    def export(self, offset: float, bounds: tuple[float, float]) -> RatingFactors:
        """Plain factors that predict what the network does, and an offset."""
        users, items = (table.weights[:-1] for table in self._tables)
        factors: RatingFactors = self._network.export_factors(users, items, offset, bounds)
        return factors

    def state(self) -> State:
        """All that it takes to go on: rows and parameters, and what is remembered of them."""
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
        """Go on from a state."""
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
