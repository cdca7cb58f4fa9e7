"""Symmetric matrices stored as their upper triangles, for normal equations.

The matrix of a customer's normal equations is the sum of `v v'` over the vectors v of the products
that they rated. With each `v v'` stored as a row of numbers, one sparse product computes the
matrices of all customers.
"""

from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.train.sizes import packed_width


class Packing:
    """Packs symmetric matrices k x k into k (k + 1) / 2 numbers, and unpacks them."""

    def __init__(self, k: int, device: mx.Context) -> None:
        self._k = k
        self._device = device
        rows, columns = np.triu_indices(k)
        places = np.zeros((k, k), np.int32)
        places[rows, columns] = np.arange(len(rows))
        self._rows = self._indices(rows)
        self._columns = self._indices(columns)
        self._upper = self._indices(rows * k + columns)
        self._places = self._indices(np.maximum(places, places.T).ravel())
        self.width = packed_width(k)

    def outer(self, vectors: Any) -> Any:
        """The packed outer product `v v'` of each vector: NDArray [n, k] to [n, width]."""
        return nd.take(vectors, self._rows, axis=1) * nd.take(vectors, self._columns, axis=1)

    def pack(self, matrices: Any) -> Any:
        """Pack matrices: NDArray [n, k, k] to [n, width]."""
        return nd.take(matrices.reshape((len(matrices), -1)), self._upper, axis=1)

    def unpack(self, packed: Any) -> Any:
        """Unpack matrices: NDArray [n, width] to [n, k, k]."""
        return nd.take(packed, self._places, axis=1).reshape((-1, self._k, self._k))

    def _indices(self, values: npt.NDArray[Any]) -> Any:
        return nd.array(values, ctx=self._device, dtype="int32")
