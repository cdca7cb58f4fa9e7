"""Learn a network by stochastic gradient descent on batches of ratings."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd
from tqdm import tqdm

from components.artifacts.model import Floats, Integers
from components.artifacts.splits import Ratings
from components.errors import UserError
from components.train.checkpoints import State
from components.train.rating.learning import Problem, Step
from components.train.rating.networks import MatrixFactorization, Mlp, Objective

_LEARNING_RATES = {"mf": 0.1, "mlp": 0.02}
_MOMENTUM = 0.9
# A loss so many times that of predicting no stars at all will not come back.
_EXPLODED = 1e3

Batch = list[tuple[Any, Any, Any]]
"""Users, items and stars above the offset, NDArrays [n], by device."""


@dataclass(frozen=True)
class GradientModel:
    """A network with its hyperparameters.

    `mf` learns by AdaGrad, `mlp` by SGD with momentum. Either updates only the rows of the
    embeddings that a batch touches, so a step costs the same in any catalogue. On several devices
    each learns from its share of a batch, and their gradients are summed by Gluon's kvstore.
    """

    name: Literal["mf", "mlp"]
    width: int
    batch_size: int
    learning_rate: float
    dropout: float
    weight_decay: float
    seed: int
    devices: tuple[mx.Context, ...]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What tells it from others of its name."""
        own = "weight_decay" if self.name == "mf" else "dropout"
        return {
            "num_embeddings": self.width,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate or _LEARNING_RATES[self.name],
            own: getattr(self, own),
        }

    def learn(self, problem: Problem, state: State | None = None) -> Iterator[Step]:
        """Learn without end, an epoch a step; go on from a state if there is one.

        Raises:
            UserError: if the loss is no longer a number, or beyond all bounds.
        """
        # mlp has no bias to hold the mean, and needs none: its towers are not negative.
        offset = float(problem.ratings.stars.mean()) if self.name == "mf" else 0.0
        self._seed_epoch(0)
        network = self._network(problem)
        objective = Objective(network, self.weight_decay)
        objective.hybridize(static_alloc=True, static_shape=True)
        trainer = self._trainer(network)
        if state is not None:
            _restore(network, trainer, state)
        for epoch in count(1 if state is None else int(state["epoch"][0]) + 1):
            random = self._seed_epoch(epoch)
            batches = self._batches(problem.ratings, offset, random, f"{self.name} epoch {epoch}")
            losses = [_update(objective, trainer, batch) for batch in batches]
            limit = _EXPLODED * float(np.square(problem.ratings.stars).mean())
            loss = self._mean(losses, epoch, limit)
            export = partial(network.export_factors, offset, problem.bounds)
            predict = partial(self._predict, network, offset, problem.bounds)
            yield Step(loss, export, predict, partial(_state, network, trainer, epoch))

    def _seed_epoch(self, epoch: int) -> np.random.Generator:
        """Each epoch has a seed of its own, so that none needs to know what the others drew."""
        random = np.random.default_rng([self.seed, epoch])
        mx.random.seed(int(random.integers(2**31)))
        return random

    def _predict(
        self,
        network: Any,
        offset: float,
        bounds: tuple[float, float],
        users: Integers,
        items: Integers,
    ) -> Floats:
        above, _ = network(
            *(nd.array(side, ctx=self.devices[0], dtype="int32") for side in (users, items))
        )
        stars: Floats = (above + offset).clip(*bounds).asnumpy()
        return stars

    def _network(self, problem: Problem) -> Any:
        size = problem.customers, problem.products, self.width
        network = MatrixFactorization(*size) if self.name == "mf" else Mlp(*size, self.dropout)
        network.initialize(mx.init.Xavier(), ctx=list(self.devices))
        network.hybridize(static_alloc=True, static_shape=True)
        if problem.start is not None and isinstance(network, MatrixFactorization):
            network.begin_with(problem.start)
        return network

    def _trainer(self, network: Any) -> gluon.Trainer:
        rate = self.learning_rate or _LEARNING_RATES[self.name]
        if self.name == "mf":
            return gluon.Trainer(network.collect_params(), "adagrad", {"learning_rate": rate})
        options = {"learning_rate": rate, "momentum": _MOMENTUM, "lazy_update": True}
        return gluon.Trainer(network.collect_params(), "sgd", options)

    def _batches(
        self, ratings: Ratings, offset: float, random: np.random.Generator, progress: str
    ) -> Iterator[Batch]:
        """All ratings in a new order, on the devices, in as many equal shares."""
        shares = len(self.devices)
        order = random.permutation(len(ratings))[: len(ratings) // shares * shares]
        stars = ratings.stars - np.float32(offset)
        columns = [
            [
                nd.array(column[order[place::shares]], ctx=device, dtype=column.dtype)
                for column in (ratings.users, ratings.items, stars)
            ]
            for place, device in enumerate(self.devices)
        ]
        size = max(1, self.batch_size // shares)
        starts = range(0, len(order) // shares, size)
        for start in tqdm(starts, desc=progress, unit="batch", disable=None, leave=False):
            rows = slice(start, start + size)
            yield [(users[rows], items[rows], stars[rows]) for users, items, stars in columns]

    def _mean(self, losses: list[list[Any]], epoch: int, limit: float) -> float:
        """The mean over the batches of an epoch."""
        by_share = [nd.concat(*share, dim=0).asnumpy() for share in zip(*losses, strict=True)]
        by_batch = np.mean(by_share, axis=0)
        lost = np.flatnonzero(~(by_batch < limit))
        if len(lost):
            rate = self.hyperparameters["learning_rate"]
            raise UserError(
                f"the loss of {self.name} is {by_batch[lost[0]]:g} in epoch {epoch}, batch "
                f"{lost[0] + 1}: lower learning_rate, which is {rate:g}"
            )
        return float(by_batch.mean(dtype=np.float64))


def _update(objective: Objective, trainer: gluon.Trainer, batch: Batch) -> list[Any]:
    """One step of the optimizer; the mean squared error of each share, NDArrays [1]."""
    with autograd.record():
        losses, squares = zip(*(objective(*share) for share in batch), strict=True)
    autograd.backward(list(losses))
    trainer.step(sum(len(loss) for loss in losses))
    return [part.mean() for part in squares]


def _state(network: Any, trainer: gluon.Trainer, epoch: int) -> State:
    """The parameters, what the optimizer remembers of them, and the number of the epoch."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optimizer"
        trainer.save_states(str(file))
        optimizer = np.frombuffer(file.read_bytes(), np.uint8)
    parameters = network.collect_params().values()
    return {
        **{f"parameter.{i}": p.list_data()[0].asnumpy() for i, p in enumerate(parameters)},
        "optimizer": optimizer,
        "epoch": np.array([epoch], np.int32),
    }


def _restore(network: Any, trainer: gluon.Trainer, state: State) -> None:
    for i, parameter in enumerate(network.collect_params().values()):
        parameter.set_data(nd.array(state[f"parameter.{i}"]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optimizer"
        file.write_bytes(state["optimizer"].tobytes())
        trainer.load_states(str(file))
