"""Tables of embeddings of which a batch touches few rows: only those are fetched and learned."""

from collections.abc import Sequence
from typing import Any, Protocol

import mxnet as mx
import numpy as np
from mxnet import gluon, nd
from mxnet.ndarray import _internal

from components.artifacts.model import Floats
from components.train.checkpoints import State

Devices = Sequence[mx.Context]
Arrays = list[Any]
"""NDArrays: embeddings [n, k], and what is remembered of each row."""

# Bounds the memory that it takes to bring a whole table up to date.
_BLOCK_ROWS = 1 << 16


class Rule(Protocol):
    """How rows are learned from the gradient of a batch."""

    def remember(self, rows: int, width: int) -> list[tuple[int, ...]]:
        """Shapes of what is remembered of a table, zeros to begin with."""

    def wait(self, arrays: Arrays, steps: int) -> None:
        """Bring rows up to what so many steps make of them that need not have touched them."""

    def learn(self, arrays: Arrays, gradient: Any) -> Arrays:
        """What the next step makes of rows that it touches."""


class AdaGrad(gluon.HybridBlock):  # type: ignore[misc]
    """Rows learn the slower the more they have learned: AdaGrad with a rate for groups of columns.

    Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization", but with the mean square of the gradient over a group of a row's columns, as
    MXNet's GroupAdaGrad has it over whole rows: a square root and a number to remember for each
    group instead of for each cell.
    """

    # The sum of squares begins here, lest the first steps be the longest.
    _FIRST = 3.0

    def __init__(self, rate: float, unit: float, groups: Floats, devices: Devices) -> None:
        """Set the rate.

        Args:
            rate: of learning.
            unit: what gradients come divided by.
            groups: 1 for each column of a group, 0 for others, float32 [g, k]; a column of none
                stays as it is.
            devices: where the tables are.
        """
        super().__init__()
        self._rate, self._first = rate, self._FIRST / unit**2
        with self.name_scope():
            means = (groups / groups.sum(axis=1, keepdims=True)).T
            self.means = self.params.get_constant("means", nd.array(means))
            self.groups = self.params.get_constant("groups", nd.array(groups))
        self._groups = len(groups)
        self.initialize(ctx=list(devices))
        self.hybridize(static_alloc=True, static_shape=True)

    def remember(self, rows: int, width: int) -> list[tuple[int, ...]]:  # noqa: ARG002
        return [(rows, self._groups)]

    def wait(self, arrays: Arrays, steps: int) -> None:
        """Nothing: a step leaves alone what it does not touch."""

    def learn(self, arrays: Arrays, gradient: Any) -> Arrays:
        learned: Arrays = self(*arrays, gradient)
        return learned

    def hybrid_forward(
        self,
        F: Any,  # noqa: N803
        weights: Any,
        squares: Any,
        gradient: Any,
        means: Any,
        groups: Any,
    ) -> tuple[Any, Any]:
        """Weights [n, k] and sums of mean squares [n, g] after the step."""
        squares = squares + F.dot(F.square(gradient), means)
        rates = self._rate * F.rsqrt(squares + self._first)
        return weights - gradient * F.dot(rates, groups), squares


class Momentum:
    """SGD with momentum, as if every step updated the whole table.

    A row that k steps leave alone moves on by what its velocity v is by then: v (m + ... + m^k).
    It is given that in one go when it is next asked for, so that the rows come out as of dense
    SGD, but for rounding, though a step computes those alone that it touches.
    """

    def __init__(self, rate: float, momentum: float) -> None:
        self._rate, self._momentum = rate, momentum

    def remember(self, rows: int, width: int) -> list[tuple[int, ...]]:
        """The velocity, and how many steps a row has been through."""
        return [(rows, width), (rows,)]

    def wait(self, arrays: Arrays, steps: int) -> None:
        weights, velocity, been_through = arrays
        left = nd.power(self._momentum, steps - been_through).expand_dims(1)
        weights += velocity * ((1 - left) * (self._momentum / (1 - self._momentum)))
        velocity *= left
        been_through[:] = steps

    def learn(self, arrays: Arrays, gradient: Any) -> Arrays:
        weights, velocity, been_through = arrays
        velocity = self._momentum * velocity - self._rate * gradient
        return [weights + velocity, velocity, been_through + 1]


class Table:
    """Embeddings, with a copy on each device.

    The row after the last is nobody's; it is there to be asked for when a batch touches fewer
    rows than there is room for.
    """

    def __init__(self, start: Floats, rule: Rule, devices: Devices) -> None:
        """Begin.

        Args:
            start: embeddings to begin with, float32 [n, k].
            rule: how they are learned.
            devices: where to put a copy.
        """
        count, width = start.shape
        shapes = (count + 1, width), *rule.remember(count + 1, width)
        self._rule, self._steps = rule, 0
        self._copies: list[Arrays] = [
            [_spacious(shape, device) for shape in shapes] for device in devices
        ]
        for weights, *_ in self._copies:
            weights[:count] = start
        self._fetched: list[Arrays] = []

    def fetch(self, rows: Sequence[Any]) -> list[Any]:
        """The embeddings of some rows, [m, k] by device, to be given gradients.

        Args:
            rows: which, int32 [m] by device; each once, but for the one that is nobody's.
        """
        if not self._fetched or len(rows[0]) != len(self._fetched[0][0]):
            self._fetched = [_room(copy, len(rows[0])) for copy in self._copies]
        for copy, fetched, places in zip(self._copies, self._fetched, rows, strict=True):
            for array, part in zip(copy, fetched, strict=True):
                nd.take(array, places, out=part)
            self._rule.wait(fetched, self._steps)
        return [weights for weights, *_ in self._fetched]

    @property
    def gradients(self) -> list[Any]:
        """Of what was fetched, by device."""
        return [weights.grad for weights, *_ in self._fetched]

    def learn(self, rows: Sequence[Any]) -> None:
        """Take a step in the rows that were fetched; by gradients that are the same everywhere."""
        for copy, fetched, places in zip(self._copies, self._fetched, rows, strict=True):
            learned = self._rule.learn(fetched, fetched[0].grad)
            _put(copy, places, learned)
        self._steps += 1

    def settle(self) -> None:
        """Bring all rows up to the last step."""
        for copy in self._copies:
            for start in range(0, len(copy[0]), _BLOCK_ROWS):
                rows = slice(start, start + _BLOCK_ROWS)
                self._rule.wait([array[rows] for array in copy], self._steps)

    @property
    def weights(self) -> Any:
        """All embeddings, on the first device, [n + 1, k]."""
        return self._copies[0][0]

    def state(self, name: str) -> State:
        """All that it takes to go on."""
        arrays = {f"{name}.{i}": array.asnumpy() for i, array in enumerate(self._copies[0])}
        return {**arrays, f"{name}.steps": np.array([self._steps], np.int64)}

    def restore(self, state: State, name: str) -> None:
        """Go on from a state."""
        self._steps = int(state[f"{name}.steps"][0])
        for copy in self._copies:
            for i, array in enumerate(copy):
                array[:] = state[f"{name}.{i}"]


def _spacious(shape: tuple[int, ...], device: mx.Context) -> Any:
    """Zeros, on the CPU in the memory of NumPy.

    It asks for huge pages where MXNet does not, with which rows far apart are fetched much faster.
    """
    return nd.from_numpy(np.full(shape, 0, np.float32)).as_in_context(device)


def _room(arrays: Arrays, rows: int) -> Arrays:
    """Arrays for so many rows of others, the first with a gradient."""
    room = [nd.empty((rows, *array.shape[1:]), array.context) for array in arrays]
    room[0].attach_grad()
    return room


def _put(arrays: Arrays, rows: Any, values: Arrays) -> None:
    """Set some rows: what `array[rows] = value` does, without the twenty times that it takes."""
    places = rows.reshape((1, -1))
    for array, value in zip(arrays, values, strict=True):
        shape = array.shape
        _internal._scatter_set_nd(lhs=array, rhs=value, indices=places, shape=shape, out=array)
