"""Optimizers for embedding tables that update only the rows that a batch touches."""

from collections.abc import Sequence
from typing import Any, Protocol

import mxnet as mx
from mxnet import gluon, nd

from components.artifacts.model import Floats

Devices = Sequence[mx.Context]
Arrays = list[Any]
"""NDArrays of some rows of a table: embeddings [n, k], then the optimizer's state of each row."""


class Optimizer(Protocol):
    """Updates rows by the gradient of a batch."""

    def state_shapes(self, rows: int, width: int) -> list[tuple[int, ...]]:
        """Shapes of the arrays that hold the optimizer's state of a table; they start as zeros."""

    def catch_up(self, arrays: Arrays, steps: int) -> None:
        """Apply, in place, what `steps` steps do to rows that they did not touch."""

    def update(self, arrays: Arrays, gradient: Any) -> Arrays:
        """The rows after a step, given the gradient of their embeddings, NDArray [n, k]."""


class AdaGrad(gluon.HybridBlock):  # type: ignore[misc]
    """AdaGrad with one learning rate for each group of columns of a row.

    Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization". The mean square of the gradient is taken over a group of a row's columns, as
    MXNet's GroupAdaGrad takes it over the whole row: one square root and one number of state for
    each group instead of for each cell.
    """

    # The sum of squares starts here, so that the first steps are not the longest.
    _INITIAL = 3.0

    def __init__(self, rate: float, unit: float, groups: Floats, devices: Devices) -> None:
        """Set the learning rate.

        Args:
            rate: the learning rate.
            unit: the number that gradients are divided by before they come here.
            groups: float32 [g, k], 1 for each column of a group, 0 for the others; a column of no
                group is never changed.
            devices: where the tables are.
        """
        super().__init__()
        self._rate = rate
        self._initial = self._INITIAL / unit**2
        with self.name_scope():
            means = (groups / groups.sum(axis=1, keepdims=True)).T
            self.means = self.params.get_constant("means", nd.array(means))
            self.groups = self.params.get_constant("groups", nd.array(groups))
        self._groups = len(groups)
        self.initialize(ctx=list(devices))
        self.hybridize(static_alloc=True, static_shape=True)

    def state_shapes(self, rows: int, width: int) -> list[tuple[int, ...]]:  # noqa: ARG002
        return [(rows, self._groups)]

    def catch_up(self, arrays: Arrays, steps: int) -> None:
        """Nothing: a step does not change the rows that it does not touch."""

    def update(self, arrays: Arrays, gradient: Any) -> Arrays:
        updated: Arrays = self(*arrays, gradient)
        return updated

    def hybrid_forward(
        self,
        F: Any,  # noqa: N803
        weights: Any,
        squares: Any,
        gradient: Any,
        means: Any,
        groups: Any,
    ) -> tuple[Any, Any]:
        """Weights [n, k] and sums of mean squares [n, g] after the step.

        Args:
            F: the operations of MXNet.
            weights: [n, k], before the step.
            squares: [n, g], the sums of mean squares before the step.
            gradient: [n, k].
            means: [k, g], which takes the mean over each group.
            groups: [g, k], as given to `__init__`.
        """
        squares = squares + F.dot(F.square(gradient), means)
        rates = self._rate * F.rsqrt(squares + self._initial)
        return weights - gradient * F.dot(rates, groups), squares


class Momentum:
    """SGD with momentum, with the result of updating the whole table in every step.

    In k steps that do not touch it, a row with velocity v moves by v (m + ... + m^k). This is added
    at once when the row is fetched next. Up to rounding, the rows are therefore those of dense SGD,
    while a step computes only the rows that it touches.
    """

    def __init__(self, rate: float, momentum: float) -> None:
        self._rate = rate
        self._momentum = momentum

    def state_shapes(self, rows: int, width: int) -> list[tuple[int, ...]]:
        """The velocity [n, k], and the number of steps that a row has been through, [n]."""
        return [(rows, width), (rows,)]

    def catch_up(self, arrays: Arrays, steps: int) -> None:
        weights, velocity, been_through = arrays
        left = nd.power(self._momentum, steps - been_through).expand_dims(1)
        weights += velocity * ((1 - left) * (self._momentum / (1 - self._momentum)))
        velocity *= left
        been_through[:] = steps

    def update(self, arrays: Arrays, gradient: Any) -> Arrays:
        weights, velocity, been_through = arrays
        velocity = self._momentum * velocity - self._rate * gradient
        return [weights + velocity, velocity, been_through + 1]
