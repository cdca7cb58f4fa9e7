"""Embedding tables of which a step fetches and updates only the rows that its batch touches."""

from collections.abc import Sequence
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.ndarray import _internal

from components.artifacts.model import Floats
from components.train.checkpoints import State
from components.train.rating.optimizers import Arrays, Devices, Optimizer

# Bounds the memory that it takes to catch up a whole table.
_BLOCK_ROWS = 1 << 16


class EmbeddingTable:
    """Embeddings, with an equal copy on each device.

    The row after the last is padding: a batch that touches fewer rows than its array has room for
    fetches it several times.
    """

    def __init__(self, initial: Floats, optimizer: Optimizer, devices: Devices) -> None:
        """Put the table on the devices.

        Args:
            initial: the embeddings to begin with, float32 [n, k].
            optimizer: how rows are updated.
            devices: each gets a copy.
        """
        count, width = initial.shape
        shapes = (count + 1, width), *optimizer.state_shapes(count + 1, width)
        self._optimizer = optimizer
        self._steps = 0
        self._copies: list[Arrays] = [
            [_zeros(shape, device) for shape in shapes] for device in devices
        ]
        for weights, *_ in self._copies:
            weights[:count] = initial
        self._fetched: list[Arrays] = []

    def fetch(self, rows: Sequence[Any]) -> list[Any]:
        """The embeddings of some rows, NDArrays [m, k] by device, with room for gradients.

        Args:
            rows: row numbers, int32 [m] by device; none twice but that of the padding.
        """
        if not self._fetched or len(rows[0]) != len(self._fetched[0][0]):
            self._fetched = [_buffers(copy, len(rows[0])) for copy in self._copies]
        for copy, fetched, places in zip(self._copies, self._fetched, rows, strict=True):
            for array, part in zip(copy, fetched, strict=True):
                nd.take(array, places, out=part)
            self._optimizer.catch_up(fetched, self._steps)
        return [weights for weights, *_ in self._fetched]

    @property
    def gradients(self) -> list[Any]:
        """The gradients of the fetched embeddings, NDArrays [m, k] by device."""
        return [weights.grad for weights, *_ in self._fetched]

    def update(self, rows: Sequence[Any]) -> None:
        """Update the rows that were fetched, by gradients that are equal on all devices."""
        for copy, fetched, places in zip(self._copies, self._fetched, rows, strict=True):
            updated = self._optimizer.update(fetched, fetched[0].grad)
            _scatter(copy, places, updated)
        self._steps += 1

    def catch_up(self) -> None:
        """Bring every row up to the last step."""
        for copy in self._copies:
            for start in range(0, len(copy[0]), _BLOCK_ROWS):
                rows = slice(start, start + _BLOCK_ROWS)
                self._optimizer.catch_up([array[rows] for array in copy], self._steps)

    @property
    def weights(self) -> Any:
        """All embeddings, on the first device, NDArray [n + 1, k]; the last row is padding."""
        return self._copies[0][0]

    def state(self, name: str) -> State:
        """All arrays of the table, to be restored later."""
        arrays = {f"{name}.{i}": array.asnumpy() for i, array in enumerate(self._copies[0])}
        return {**arrays, f"{name}.steps": np.array([self._steps], np.int64)}

    def restore(self, state: State, name: str) -> None:
        """Set all arrays of the table to those of a state."""
        self._steps = int(state[f"{name}.steps"][0])
        for copy in self._copies:
            for i, array in enumerate(copy):
                array[:] = state[f"{name}.{i}"]


def _zeros(shape: tuple[int, ...], device: mx.Context) -> Any:
    """Zeros, on the CPU in memory of NumPy.

    NumPy asks for huge pages and MXNet does not; rows far apart are fetched much faster with them.
    """
    return nd.from_numpy(np.full(shape, 0, np.float32)).as_in_context(device)


def _buffers(arrays: Arrays, rows: int) -> Arrays:
    """Arrays with room for `rows` rows of others, the first with a gradient."""
    buffers = [nd.empty((rows, *array.shape[1:]), array.context) for array in arrays]
    buffers[0].attach_grad()
    return buffers


def _scatter(arrays: Arrays, rows: Any, values: Arrays) -> None:
    """Set some rows, as `array[rows] = value` does in twenty times the time."""
    places = rows.reshape((1, -1))
    for array, value in zip(arrays, values, strict=True):
        shape = array.shape
        _internal._scatter_set_nd(lhs=array, rhs=value, indices=places, shape=shape, out=array)
