"""Learn a network by stochastic gradient descent on batches of ratings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd
from tqdm import tqdm

from components.artifacts.model import Floats, Integers
from components.artifacts.splits import Ratings
from components.errors import UserError
from components.train.rating.learning import Problem, Step
from components.train.rating.networks import MatrixFactorization, Mlp

_LEARNING_RATES = {"mf": 0.1, "mlp": 0.02}
_MOMENTUM = 0.9


@dataclass(frozen=True)
class GradientModel:
    """A network with its hyperparameters.

    `mf` learns by AdaGrad, `mlp` by SGD with momentum. Either updates only the rows of the
    embeddings that a batch touches, so a step costs the same in any catalogue.
    """

    name: Literal["mf", "mlp"]
    width: int
    batch_size: int
    learning_rate: float
    dropout: float
    weight_decay: float
    seed: int
    device: mx.Context

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

    def learn(self, problem: Problem) -> Iterator[Step]:
        """Learn without end, an epoch a step.

        Raises:
            UserError: if the loss is no longer a number.
        """
        mx.random.seed(self.seed)
        random = np.random.default_rng(self.seed)
        network = self._network(problem)
        trainer = self._trainer(network)
        # mlp has no bias to hold the mean, and needs none: its towers are not negative.
        offset = float(problem.ratings.stars.mean()) if self.name == "mf" else 0.0
        epoch = 0
        while True:
            epoch += 1
            batches = self._batches(problem.ratings, offset, random, f"{self.name} epoch {epoch}")
            losses = [self._update(network, trainer, *batch) for batch in batches]
            loss = self._mean(losses, epoch)
            factors = network.export_factors(offset, problem.bounds)
            yield Step(loss, factors, partial(self._predict, network, offset, problem.bounds))

    def _predict(
        self,
        network: Any,
        offset: float,
        bounds: tuple[float, float],
        users: Integers,
        items: Integers,
    ) -> Floats:
        above, _ = network(
            *(nd.array(side, ctx=self.device, dtype="int32") for side in (users, items))
        )
        stars: Floats = (above + offset).clip(*bounds).asnumpy()
        return stars

    def _network(self, problem: Problem) -> Any:
        size = problem.customers, problem.products, self.width
        network = MatrixFactorization(*size) if self.name == "mf" else Mlp(*size, self.dropout)
        network.initialize(mx.init.Xavier(), ctx=self.device)
        network.hybridize(static_alloc=True, static_shape=True)
        return network

    def _trainer(self, network: Any) -> gluon.Trainer:
        rate = self.learning_rate or _LEARNING_RATES[self.name]
        if self.name == "mf":
            return gluon.Trainer(network.collect_params(), "adagrad", {"learning_rate": rate})
        options = {"learning_rate": rate, "momentum": _MOMENTUM, "lazy_update": True}
        return gluon.Trainer(network.collect_params(), "sgd", options)

    def _batches(
        self, ratings: Ratings, offset: float, random: np.random.Generator, progress: str
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Users, items and stars above the offset, in a new order, on the device."""
        order = random.permutation(len(ratings))
        users, items, stars = (
            nd.array(column[order], ctx=self.device, dtype=column.dtype)
            for column in (ratings.users, ratings.items, ratings.stars - np.float32(offset))
        )
        starts = range(0, len(ratings), self.batch_size)
        for start in tqdm(starts, desc=progress, unit="batch", disable=None, leave=False):
            rows = slice(start, start + self.batch_size)
            yield users[rows], items[rows], stars[rows]

    def _update(
        self, network: Any, trainer: gluon.Trainer, users: Any, items: Any, stars: Any
    ) -> Any:
        """One step of the optimizer; the mean squared error of the batch, NDArray [1]."""
        with autograd.record():
            predicted, norm = network(users, items)
            squares = nd.square(predicted - stars)
            # Half the squares, as the L2 loss of Gluon.
            loss = (squares + self.weight_decay * norm) / 2
        loss.backward()
        trainer.step(len(users))
        return squares.mean()

    def _mean(self, losses: list[Any], epoch: int) -> float:
        """The mean over the batches of an epoch."""
        by_batch = nd.concat(*losses, dim=0).asnumpy()
        lost = np.flatnonzero(~np.isfinite(by_batch))
        if len(lost):
            rate = self.hyperparameters["learning_rate"]
            raise UserError(
                f"the loss of {self.name} is {by_batch[lost[0]]} in epoch {epoch}, batch "
                f"{lost[0] + 1}: lower learning_rate, which is {rate:g}"
            )
        return float(by_batch.mean(dtype=np.float64))
