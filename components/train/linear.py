"""Linear algebra on a device that several models of the ranking need."""

from typing import Any

import numpy as np
from mxnet import nd


def regularized(gram: Any, regularization: float) -> Any:
    """Add regularization to the diagonal of a gram matrix, NDArray [k, k]."""
    return gram + regularization * nd.eye(len(gram), ctx=gram.context)


def solve(system: Any, targets: Any) -> Any:
    """Compute targets system^-1, by Cholesky.

    Args:
        system: NDArray [k, k], positive definite.
        targets: NDArray [n, k].
    """
    factor = nd.linalg.potrf(system)
    # L L' x = t for every row t, from the right.
    halfway = nd.linalg.trsm(factor, targets, transpose=True, rightside=True)
    return nd.linalg.trsm(factor, halfway, rightside=True)


def solve_each(systems: Any, targets: Any) -> Any:
    """The solution x of S x = t for every system S and row t, by Cholesky.

    Args:
        systems: NDArray [n, k, k], positive definite.
        targets: NDArray [n, k].
    """
    factors = nd.linalg.potrf(systems)
    halfway = nd.linalg.trsm(factors, targets.expand_dims(2))
    return nd.linalg.trsm(factors, halfway, transpose=True).reshape(targets.shape)


def transposed(matrix: Any) -> Any:
    """The transpose of a CSR NDArray, in CSR too.

    MXNet's own product with a transposed matrix takes a hundred times longer on a wide one.
    """
    rows, columns = matrix.shape
    indices = matrix.indices.asnumpy()
    order = np.argsort(indices, kind="stable")
    entries = np.arange(rows).repeat(np.diff(matrix.indptr.asnumpy()))[order]
    offsets = np.searchsorted(indices[order], np.arange(columns + 1))
    return nd.sparse.csr_matrix(
        (matrix.data.asnumpy()[order], entries, offsets),
        shape=(columns, rows),
        ctx=matrix.context,
    )


def orthonormal(rows: Any) -> Any:
    """Orthonormal rows that span the same space."""
    return nd.linalg.gelqf(rows)[0]


def root_mean_square(gram: Any, rows: int) -> float:
    """Of the entries of X, NDArray [rows, k], whose gram matrix X'X is given; 1 if they are 0."""
    squares = float(nd.diag(gram).sum().asscalar())
    return (squares / max(1, rows) / len(gram)) ** 0.5 or 1.0
