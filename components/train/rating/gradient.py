"""Learn a network by stochastic gradient descent on batches of ratings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any, Literal

import mxnet as mx
import numpy as np
from mxnet import gluon, nd
from tqdm import tqdm

from components.artifacts.model import Floats, Integers
from components.errors import UserError
from components.train.checkpoints import State
from components.train.rating.batches import in_order
from components.train.rating.learner import Batch, Learner
from components.train.rating.learning import Problem, Step
from components.train.rating.networks import INITIAL, MatrixFactorization, Mlp
from components.train.rating.tables import AdaGrad, Momentum, Table
from components.train.sizes import Size

_LEARNING_RATES = {"mf": 0.15, "mlp": 0.02}
_MOMENTUM = 0.9
# A loss so many times that of predicting no stars at all will not come back.
_EXPLODED = 1e3


@dataclass(frozen=True)
class GradientModel:
    """A network with its hyperparameters.

    `mf` learns by AdaGrad, `mlp` by SGD with momentum. Either fetches and updates only the rows of
    the tables that a batch touches, so a step costs the same in any catalogue. On several devices
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
            "learning_rate": self._rate,
            own: getattr(self, own),
        }

    def sizes(self, customers: int, products: int) -> list[Size]:
        """Its largest arrays: the tables, with a row that is nobody's."""
        width = self.width + (2 if self.name == "mf" else 0)
        return [Size("customers", customers + 1, width), Size("products", products + 1, width)]

    def learn(self, problem: Problem, state: State | None = None) -> Iterator[Step]:
        """Learn without end, an epoch a step; go on from a state if there is one.

        Raises:
            UserError: if the loss is no longer a number, or beyond all bounds.
        """
        # mlp has no bias to hold the mean, and needs none: its towers are not negative.
        offset = float(problem.ratings.stars.mean()) if self.name == "mf" else 0.0
        learner = self._learner(problem)
        if state is not None:
            learner.restore(state)
        for epoch in count(1 if state is None else int(state["epoch"][0]) + 1):
            batches = self._batches(learner, problem, offset, epoch)
            squares = [learner.learn(batch) for batch in batches]
            learner.settle()
            limit = _EXPLODED * float(np.square(problem.ratings.stars).mean())
            loss = self._mean(squares, epoch, limit)
            export = partial(learner.export, offset, problem.bounds)
            predict = partial(_predict, learner, offset, problem.bounds)
            yield Step(loss, export, predict, partial(_state, learner, epoch))

    def _seed_epoch(self, epoch: int) -> np.random.Generator:
        """Each epoch has a seed of its own, so that none needs to know what the others drew."""
        random = np.random.default_rng([self.seed, epoch])
        mx.random.seed(int(random.integers(2**31)))
        return random

    def _learner(self, problem: Problem) -> Learner:
        random = self._seed_epoch(0)
        return self._mf(problem, random) if self.name == "mf" else self._mlp(problem)

    def _mf(self, problem: Problem, random: np.random.Generator) -> Learner:
        network = MatrixFactorization(self.width)
        network.initialize(ctx=list(self.devices))
        users, items = (
            Table(start, AdaGrad(self._rate, self._unit, groups, self.devices), self.devices)
            for start, groups in zip(network.start(problem, random), network.groups(), strict=True)
        )
        return Learner(network, (users, items), self.devices, decays=self.weight_decay > 0)

    def _mlp(self, problem: Problem) -> Learner:
        network = Mlp(self.width, self.dropout)
        network.initialize(INITIAL, ctx=list(self.devices))
        users, items = (
            Table(start, Momentum(self._rate, _MOMENTUM), self.devices)
            for start in network.start(problem)
        )
        options = {"learning_rate": self._rate, "momentum": _MOMENTUM}
        trainer = gluon.Trainer(network.collect_params(), "sgd", options)
        return Learner(network, (users, items), self.devices, trainer)

    @property
    def _rate(self) -> float:
        return self.learning_rate or _LEARNING_RATES[self.name]

    @property
    def _unit(self) -> float:
        """What the gradients of `mf` are divided by: the weight of the squared embeddings."""
        return self.weight_decay or 1.0

    @property
    def _size(self) -> int:
        """Ratings a batch, in equal shares."""
        shares = len(self.devices)
        return max(1, self.batch_size // shares) * shares

    def _batches(
        self, learner: Learner, problem: Problem, offset: float, epoch: int
    ) -> Iterator[Batch]:
        """All ratings in a new order, but for a few that make no equal shares."""
        ratings, random = problem.ratings, self._seed_epoch(epoch)
        usable = len(ratings) // len(self.devices) * len(self.devices)
        order = random.permutation(len(ratings))[:usable].astype(np.int32)
        centred = replace(ratings, stars=ratings.stars - np.float32(offset))
        counts = problem.customers, problem.products
        with tqdm(
            total=-(-len(order) // self._size),
            desc=f"{self.name} epoch {epoch}",
            unit="batch",
            disable=None,
            leave=False,
        ) as progress:
            for batches in in_order(centred, order, self._size, counts):
                size = batches.stars.shape[1]
                # Gluon's L2 loss is half the square, and its trainer takes the mean of a batch.
                weight = 0.5 / self._unit if self.name == "mf" else 0.5 / size
                for batch in learner.batches(batches, weight):
                    yield batch
                    progress.update()

    def _mean(self, squares: list[list[Any]], epoch: int, limit: float) -> float:
        """The mean over the batches of an epoch."""
        starts = np.arange(0, sum(len(first) for first, *_ in squares), len(squares[0][0]))
        by_share = [nd.concat(*share, dim=0).asnumpy() for share in zip(*squares, strict=True)]
        by_rating = np.mean(by_share, axis=0)
        by_batch = np.add.reduceat(by_rating, starts) / np.diff(starts, append=len(by_rating))
        lost = np.flatnonzero(~(by_batch < limit))
        if len(lost):
            raise UserError(
                f"the loss of {self.name} is {by_batch[lost[0]]:g} in epoch {epoch}, batch "
                f"{lost[0] + 1}: lower learning_rate, which is {self._rate:g}"
            )
        return float(by_batch.mean(dtype=np.float64))


def _predict(
    learner: Learner, offset: float, bounds: tuple[float, float], users: Integers, items: Integers
) -> Floats:
    stars: Floats = (learner.predict(users, items) + np.float32(offset)).clip(*bounds)
    return stars


def _state(learner: Learner, epoch: int) -> State:
    return {**learner.state(), "epoch": np.array([epoch], np.int32)}
