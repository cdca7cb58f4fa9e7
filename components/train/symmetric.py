"""Symmetric matrices as their upper triangles, as normal equations need them.

The matrix of a row's normal equations is the sum of `v v'` over the vectors v that it rated. With
every `v v'` as a row of numbers, the matrices of all rows at once are one sparse product.
"""

from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from mxnet import nd


def packed_width(k: int) -> int:
    """How many numbers a symmetric matrix k x k is packed into."""
    return k * (k + 1) // 2


class Packing:
    """Packs matrices k x k into k (k + 1) / 2 numbers, and unpacks them."""

    def __init__(self, k: int, device: mx.Context) -> None:
        self._k, self._device = k, device
        rows, columns = np.triu_indices(k)
        places = np.zeros((k, k), np.int32)
        places[rows, columns] = np.arange(len(rows))
        self._rows, self._columns = self._indices(rows), self._indices(columns)
        self._upper = self._indices(rows * k + columns)
        self._places = self._indices(np.maximum(places, places.T).ravel())
        self.width = packed_width(k)

    def outer(self, vectors: Any) -> Any:
        """`v v'` of every vector of an NDArray [n, k], packed: [n, width]."""
        return nd.take(vectors, self._rows, axis=1) * nd.take(vectors, self._columns, axis=1)

    def pack(self, matrices: Any) -> Any:
        """NDArray [n, width] of an NDArray [n, k, k]."""
        return nd.take(matrices.reshape((len(matrices), -1)), self._upper, axis=1)

    def unpack(self, packed: Any) -> Any:
        """NDArray [n, k, k] of an NDArray [n, width]."""
        return nd.take(packed, self._places, axis=1).reshape((-1, self._k, self._k))

    def _indices(self, values: npt.NDArray[Any]) -> Any:
        return nd.array(values, ctx=self._device, dtype="int32")
