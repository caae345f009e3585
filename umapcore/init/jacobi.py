"""Eigenvectors of small symmetric matrices by cyclic Jacobi rotations.

LAPACK is not used because its rounding depends on the processor (Golub and Van Loan, Matrix
Computations, section 8.5).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.atomics import load_in_order
from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import run_interruptibly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore._kit.arrays import Csr

#: Components up to this size are solved by Jacobi rotations alone.
DENSE_SIZE = 32

#: From this size on, rotations take so long that Ctrl-C does not wait for them.
_LARGE = 200
_SWEEPS = 30
#: Rotations end when at most this share of a matrix is left off its diagonal.
_SMALL = 1e-24


def scaled_columns(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale every column so that its (first) entry of the largest absolute value becomes 1.

    Columns of zeros are not changed.
    """
    largest = np.abs(columns).argmax(axis=0)
    divisors = columns[largest, np.arange(columns.shape[1])]
    scaled: NDArray[np.float64] = columns / np.where(divisors == 0.0, 1.0, divisors)
    return scaled


def diagonalise(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the eigenvectors of a small symmetric matrix.

    Parameters
    ----------
    matrix
        float64, C order, (n, n); receives the eigenvalues on its diagonal, in decreasing order.

    Returns
    -------
    float64, (n, n): the eigenvectors as rows.
    """
    vectors, stop = np.empty_like(matrix), np.zeros(1, np.int64)
    if matrix.shape[0] < _LARGE:
        _diagonalise(matrix, vectors, stop)
    else:
        run_interruptibly(lambda: _diagonalise(matrix, vectors, stop), partial(stop.fill, 1))
    return vectors


def eigenvectors_of_small(
    graph: Csr,
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    layout: NDArray[np.float64],
) -> None:
    """Lay out small components by eigenvectors; :mod:`umapcore.init.multilevel` does larger ones.

    Parameters
    ----------
    graph
        Symmetric CSR, n × n, read-only.
    starts, sizes
        Vertices ``starts[c]`` … ``starts[c] + sizes[c] - 1`` are a connected component of more
        than d + 1 and at most `DENSE_SIZE` vertices.
    layout
        (n, d); the rows of these components receive the eigenvectors, scaled so that the largest
        entry of each is 1.
    """
    _solve_small(graph, starts, sizes, layout)


@inline
def _turn(x: Any, y: Any, c: Any, s: Any) -> None:
    """Rotate two vectors by the cosine c and the sine s."""
    for k in range(x.shape[0]):
        old_x, old_y = x[k], y[k]
        x[k] = c * old_x - s * old_y
        y[k] = s * old_x + c * old_y


@inline
def _jacobi(matrix: Any, vectors: Any, stop: Any) -> None:
    """Diagonalise a symmetric matrix in place; rows of `vectors` become its eigenvectors.

    The eigenvalues on the diagonal are sorted in decreasing order. Another thread can end this
    early by setting `stop`.
    """
    n = matrix.shape[0]
    for i in range(n):
        for j in range(n):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        off, total = 0.0, 0.0
        for i in range(n):
            for j in range(n):
                square = matrix[i, j] * matrix[i, j]
                total += square
                off += square if i != j else 0.0
        if off <= _SMALL * total:
            break
        for p in range(n - 1):
            if load_in_order(stop, 0) != 0:
                return
            for q in range(p + 1, n):
                pq = matrix[p, q]
                if pq * pq <= _SMALL * _SMALL * total:
                    continue
                pp, qq = matrix[p, p], matrix[q, q]
                theta = (qq - pp) / (2.0 * pq)
                t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / np.sqrt(t * t + 1.0)
                _turn(matrix[p], matrix[q], c, t * c)
                _turn(vectors[p], vectors[q], c, t * c)
                # Columns are copied by symmetry, so the loops run over contiguous rows.
                for k in range(n):
                    matrix[k, p] = matrix[p, k]
                    matrix[k, q] = matrix[q, k]
                matrix[p, p], matrix[q, q] = pp - t * pq, qq + t * pq
                matrix[p, q] = matrix[q, p] = 0.0
    for i in range(n - 1):
        best = i
        for j in range(i + 1, n):
            if matrix[j, j] > matrix[best, best]:
                best = j
        if best != i:
            matrix[i, i], matrix[best, best] = matrix[best, best], matrix[i, i]
            for k in range(n):
                vectors[i, k], vectors[best, k] = vectors[best, k], vectors[i, k]


@kernel()
def _diagonalise(matrix: Any, vectors: Any, stop: Any) -> None:
    _jacobi(matrix, vectors, stop)


@kernel()
def _solve_small(graph: Any, starts: Any, sizes: Any, layout: Any) -> None:
    """Solve small components one after another."""
    indptr, indices, data = graph
    never = np.zeros(1, np.int64)
    for component in range(starts.shape[0]):
        first, n = starts[component], sizes[component]
        matrix, vectors, root = np.zeros((n, n)), np.empty((n, n)), np.empty(n)
        for i in range(n):
            degree = 0.0
            for e in range(indptr[first + i], indptr[first + i + 1]):
                matrix[i, indices[e] - first] = data[e]
                degree += data[e]
            root[i] = np.sqrt(degree)
        for i in range(n):
            for j in range(n):
                matrix[i, j] = matrix[i, j] / (root[i] * root[j])
        _jacobi(matrix, vectors, never)
        for k in range(layout.shape[1]):
            largest = 0
            for i in range(n):
                if abs(vectors[k + 1, i]) > abs(vectors[k + 1, largest]):
                    largest = i
            for i in range(n):
                layout[first + i, k] = vectors[k + 1, i] / vectors[k + 1, largest]
