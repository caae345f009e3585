"""Principal components of a matrix, for data that come without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from umapcore.counter import uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

_START_STREAM = 0x706361


def principal_components(matrix: Any, count: int) -> NDArray[np.float32]:
    """Project rows on the first principal axes of a matrix, by SciPy's truncated SVD (ARPACK).

    The matrix is centred without being copied, so that a sparse one stays sparse.

    Parameters
    ----------
    matrix
        (n, p), float32 or float64, dense or sparse.
    count
        Components, from 1 to min(n, p) - 1.

    Returns
    -------
    float32, (n, count), by falling variance; of every axis the largest loading is positive. The
    last bits depend on the BLAS that is installed.
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
    scores: NDArray[np.float32] = (left[:, order] * (lengths[order] * signs)).astype(np.float32)
    return scores
