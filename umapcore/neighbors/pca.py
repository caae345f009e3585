"""Principal components of a matrix, for data that do not include them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from umapcore._kit.arrays import is_sparse
from umapcore._kit.rng import uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

_START_STREAM = 0x706361
#: Rows of a dense matrix that are copied to float64 at a time.
_ROWS_AT_A_TIME = 1024


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components by decreasing variance; the largest loading of each axis is positive.

    Attributes
    ----------
    scores
        float32, (n, count): the centred rows, projected on the axes.
    axes
        float32, (p, count): a column of length 1 for each axis.
    variance, variance_ratio
        float64, (count,): variances of the scores, with divisor n - 1, and their shares of the
        sum of the variances of all variables.
    """

    scores: NDArray[np.float32]
    axes: NDArray[np.float32]
    variance: NDArray[np.float64]
    variance_ratio: NDArray[np.float64]


def principal_components(matrix: Any, count: int) -> PrincipalComponents:
    """Project rows on the first principal axes of a matrix, by SciPy's truncated SVD (ARPACK).

    The matrix is centred without a copy, so a sparse one stays sparse.

    Parameters
    ----------
    matrix
        (n, p), float32 or float64, dense or sparse.
    count
        Number of components, from 1 to min(n, p) - 1.

    Returns
    -------
    The components. Their last bits depend on the installed BLAS.
    """
    n, p = matrix.shape
    mean = np.asarray(matrix.mean(axis=0, dtype=np.float64)).ravel()

    def multiply(v: NDArray[np.float64]) -> NDArray[np.float64]:
        v = v.reshape(p, -1)
        return np.asarray(matrix @ v) - mean @ v

    def multiply_transposed(v: NDArray[np.float64]) -> NDArray[np.float64]:
        v = v.reshape(n, -1)
        return np.asarray(matrix.T @ v) - np.outer(mean, v.sum(axis=0))

    centred = LinearOperator(
        (n, p),
        matvec=multiply,
        rmatvec=multiply_transposed,
        matmat=multiply,
        rmatmat=multiply_transposed,
        dtype=np.float64,
    )
    start = uniform(0, _START_STREAM, min(n, p)) - 0.5
    left, lengths, axes = svds(centred, k=count, v0=start)
    order = np.argsort(-lengths)
    axes = axes[order]
    largest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(count), largest])
    lengths = lengths[order]
    variance = lengths * lengths / (n - 1)
    return PrincipalComponents(
        (left[:, order] * (lengths * signs)).astype(np.float32),
        np.ascontiguousarray((axes * signs[:, None]).T, dtype=np.float32),
        variance,
        variance / _total_variance(matrix, mean),
    )


def _total_variance(matrix: Any, mean: NDArray[np.float64]) -> float:
    """Return the sum of the variances of the columns."""
    n = matrix.shape[0]
    if is_sparse(matrix):
        wide = matrix.data.astype(np.float64)
        # Entries that are not stored are 0 and differ from the mean by the mean itself.
        of_columns = np.bincount(matrix.indices, (wide - mean[matrix.indices]) ** 2, mean.size)
        absent = n - np.bincount(matrix.indices, minlength=mean.size)
        return float((of_columns + absent * mean * mean).sum() / (n - 1))
    total = 0.0
    for first in range(0, n, _ROWS_AT_A_TIME):
        total += float(((matrix[first : first + _ROWS_AT_A_TIME] - mean) ** 2).sum())
    return float(total / (n - 1))
