"""Linear algebra on a device, shared by several ranking models."""

from typing import Any

import numpy as np
from mxnet import nd


def regularized(gram: Any, regularization: float) -> Any:
    """Add a regularization term to the diagonal of a Gram matrix, NDArray [k, k]."""
    return gram + regularization * nd.eye(len(gram), ctx=gram.context)


def solve(system: Any, targets: Any) -> Any:
    """Solve X S = T for X, NDArray [n, k], by a Cholesky factorization.

    Args:
        system: S, NDArray [k, k], positive definite.
        targets: T, NDArray [n, k].
    """
    factor = nd.linalg.potrf(system)
    # X L L' = T: first Y L' = T, then X L = Y.
    halfway = nd.linalg.trsm(factor, targets, transpose=True, rightside=True)
    return nd.linalg.trsm(factor, halfway, rightside=True)


def solve_each(systems: Any, targets: Any) -> Any:
    """Solve S x = t for each of n pairs of a system and a target, by Cholesky factorizations.

    Args:
        systems: NDArray [n, k, k], positive definite.
        targets: NDArray [n, k].

    Returns:
        NDArray [n, k].
    """
    factors = nd.linalg.potrf(systems)
    halfway = nd.linalg.trsm(factors, targets.expand_dims(2))
    return nd.linalg.trsm(factors, halfway, transpose=True).reshape(targets.shape)


def transposed(matrix: Any) -> Any:
    """The transpose of a CSR NDArray, as a CSR NDArray.

    On wide matrices MXNet's own product with a transposed matrix takes a hundred times as long.
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
    """Orthonormal rows that span the same space as these rows, NDArray [k, n]."""
    return nd.linalg.gelqf(rows)[0]


def root_mean_square(gram: Any, rows: int) -> float:
    """The root mean square of the entries of X, or 1 if all are zero.

    Args:
        gram: X'X, NDArray [k, k].
        rows: the number of rows of X.
    """
    squares = float(nd.diag(gram).sum().asscalar())
    return (squares / max(1, rows) / len(gram)) ** 0.5 or 1.0
