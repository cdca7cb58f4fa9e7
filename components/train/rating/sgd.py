"""Networks trained by stochastic gradient descent on batches of ratings: `mf` and `mlp`."""

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
from components.train.rating.batches import iterate_batches
from components.train.rating.embeddings import EmbeddingTable
from components.train.rating.networks import INITIAL, MatrixFactorization, Mlp
from components.train.rating.optimizers import AdaGrad, Momentum
from components.train.rating.trainer import Batch, NetworkTrainer
from components.train.rating.trials import Problem, Snapshot
from components.train.sizes import Size

_LEARNING_RATES = {"mf": 0.15, "mlp": 0.02}
_MOMENTUM = 0.9
# A loss of this many times that of predicting 0 stars has diverged.
_DIVERGED = 1e3


@dataclass(frozen=True)
class SgdModel:
    """A network with its hyperparameters.

    `mf` is trained by AdaGrad, `mlp` by SGD with momentum. Both fetch and update only the rows of
    the tables that a batch touches, so a step takes the same time for any size of the catalogue. On
    several devices each takes its share of a batch, and Gluon's kvstore sums their gradients.
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
        """What distinguishes it from other models of its name."""
        own = "weight_decay" if self.name == "mf" else "dropout"
        return {
            "num_embeddings": self.width,
            "batch_size": self.batch_size,
            "learning_rate": self._rate,
            own: getattr(self, own),
        }

    def sizes(self, customers: int, products: int) -> list[Size]:
        """The sizes of its largest arrays: the tables, with a row of padding."""
        width = self.width + (2 if self.name == "mf" else 0)
        return [Size("customers", customers + 1, width), Size("products", products + 1, width)]

    def train(self, problem: Problem, state: State | None = None) -> Iterator[Snapshot]:
        """Train without end, a snapshot for each epoch, resuming from a state if there is one.

        Raises:
            UserError: if the loss is not a number, or diverges.
        """
        # mlp has no bias to hold the mean, and needs none: its towers are not negative.
        offset = float(problem.ratings.stars.mean()) if self.name == "mf" else 0.0
        trainer = self._trainer(problem)
        if state is not None:
            trainer.restore(state)
        for epoch in count(1 if state is None else int(state["epoch"][0]) + 1):
            batches = self._batches(trainer, problem, offset, epoch)
            squares = [trainer.step(batch) for batch in batches]
            trainer.catch_up()
            limit = _DIVERGED * float(np.square(problem.ratings.stars).mean())
            loss = self._mean(squares, epoch, limit)
            export = partial(trainer.export, offset, problem.bounds)
            predict = partial(_predict, trainer, offset, problem.bounds)
            yield Snapshot(loss, export, predict, partial(_state, trainer, epoch))

    def _seed_epoch(self, epoch: int) -> np.random.Generator:
        """Seed an epoch by its number, so that training can be resumed at any epoch."""
        random = np.random.default_rng([self.seed, epoch])
        mx.random.seed(int(random.integers(2**31)))
        return random

    def _trainer(self, problem: Problem) -> NetworkTrainer:
        random = self._seed_epoch(0)
        return self._mf(problem, random) if self.name == "mf" else self._mlp(problem)

    def _mf(self, problem: Problem, random: np.random.Generator) -> NetworkTrainer:
        network = MatrixFactorization(self.width)
        network.initialize(ctx=list(self.devices))
        users, items = (
            EmbeddingTable(
                initial, AdaGrad(self._rate, self._unit, groups, self.devices), self.devices
            )
            for initial, groups in zip(
                network.start(problem, random), network.groups(), strict=True
            )
        )
        return NetworkTrainer(network, (users, items), self.devices, decays=self.weight_decay > 0)

    def _mlp(self, problem: Problem) -> NetworkTrainer:
        network = Mlp(self.width, self.dropout)
        network.initialize(INITIAL, ctx=list(self.devices))
        users, items = (
            EmbeddingTable(initial, Momentum(self._rate, _MOMENTUM), self.devices)
            for initial in network.start(problem)
        )
        options = {"learning_rate": self._rate, "momentum": _MOMENTUM}
        trainer = gluon.Trainer(network.collect_params(), "sgd", options)
        return NetworkTrainer(network, (users, items), self.devices, trainer)

    @property
    def _rate(self) -> float:
        return self.learning_rate or _LEARNING_RATES[self.name]

    @property
    def _unit(self) -> float:
        """The number that gradients of `mf` are divided by: the weight of its weight decay."""
        return self.weight_decay or 1.0

    @property
    def _size(self) -> int:
        """The number of ratings in a batch, a multiple of the number of devices."""
        shares = len(self.devices)
        return max(1, self.batch_size // shares) * shares

    def _batches(
        self, trainer: NetworkTrainer, problem: Problem, offset: float, epoch: int
    ) -> Iterator[Batch]:
        """All ratings in the random order of an epoch, but for those that make no equal shares."""
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
            for batches in iterate_batches(centred, order, self._size, counts):
                size = batches.stars.shape[1]
                # Gluon's L2 loss is half the square, and its trainer takes the mean of a batch.
                weight = 0.5 / self._unit if self.name == "mf" else 0.5 / size
                for batch in trainer.batches(batches, weight):
                    yield batch
                    progress.update()

    def _mean(self, squares: list[list[Any]], epoch: int, limit: float) -> float:
        """The mean over the batches of an epoch.

        Args:
            squares: the squared errors of each batch and device, NDArrays [n].
            epoch: the number of the epoch, for the error.
            limit: the largest mean of a batch.

        Raises:
            UserError: if the mean of a batch is not a number, or above the limit.
        """
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
    trainer: NetworkTrainer,
    offset: float,
    bounds: tuple[float, float],
    users: Integers,
    items: Integers,
) -> Floats:
    stars: Floats = (trainer.predict(users, items) + np.float32(offset)).clip(*bounds)
    return stars


def _state(trainer: NetworkTrainer, epoch: int) -> State:
    return {**trainer.state(), "epoch": np.array([epoch], np.int32)}
