"""Leading eigenvectors of a normalised adjacency, with the same bits on every machine.

ARPACK and LAPACK would do, but their rounding depends on the processor and the number of threads,
and their threads wait in spinning barriers: on a busy machine they were ten times slower. These
kernels run on one thread, in float64, in one written order.

The method is the thick-restart Lanczos iteration (Wu and Simon, SIAM J. Matrix Anal. Appl. 22,
2000) with full orthogonalisation; small and projected problems go through cyclic Jacobi
rotations (Golub and Van Loan, Matrix Computations, section 8.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.counter import uniform
from umapcore.graph import read_only
from umapcore.jit import inline, kernel
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

#: Components up to this size are solved by Jacobi rotations alone.
DENSE_SIZE = 32
#: An eigenvector counts as found when its residual norm is below this (umap-learn's tolerance).
TOLERANCE = 1e-4
#: Restarts after which the vectors are taken as they are, with a warning.
MAX_RESTARTS = 400

_START_STREAM = 0x73746172
#: A vector of norm 1 that keeps less than this outside of the basis holds nothing but rounding.
_BREAKDOWN = 1e-12
_SWEEPS = 30
#: Jacobi rotations end when this share of a matrix is left off its diagonal.
_SMALL = 1e-24
#: Entries of a vector that are worked on while they are in the fastest cache.
_CACHED = 1024


def scaled_columns(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale every column so that its (first) entry of the largest absolute value becomes 1.

    Columns of zeros stay as they are.
    """
    largest = np.abs(columns).argmax(axis=0)
    divisors = columns[largest, np.arange(columns.shape[1])]
    scaled: NDArray[np.float64] = columns / np.where(divisors == 0.0, 1.0, divisors)
    return scaled


def eigenvectors_of_small(
    graph: csr_array[Any, Any],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    layout: NDArray[np.float64],
) -> None:
    """Lay out small components by the eigenvectors of :func:`leading_eigenvectors`.

    Parameters
    ----------
    graph
        Symmetric CSR, n × n.
    starts, sizes
        Vertices ``starts[c]`` … ``starts[c] + sizes[c] - 1`` are a connected component of more
        than d + 1 and at most `DENSE_SIZE` vertices.
    layout
        (n, d); the rows of these components receive the eigenvectors, each with a largest entry
        of 1.
    """
    _solve_small(*_arrays(graph), starts, sizes, layout)


def _arrays(graph: csr_array[Any, Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Read-only arrays of a graph, for which kernels are compiled once."""
    return read_only(graph.indptr), read_only(graph.indices), read_only(graph.data)


def leading_eigenvectors(
    graph: csr_array[Any, Any], first: int, size: int, n_vectors: int
) -> NDArray[np.float64]:
    """Find eigenvectors of D^-1/2 W D^-1/2 with the largest eigenvalues, without the first.

    Parameters
    ----------
    graph
        Symmetric CSR, of which vertices `first` … `first + size - 1` are a connected component.
    first, size
        The component.
    n_vectors
        How many vectors, fewer than `size - 1`.

    Returns
    -------
    float64, (size, n_vectors), unit vectors, the largest eigenvalue first; signs are arbitrary,
    though always the same.
    """
    source = (*_arrays(graph), first)
    root, unit = np.empty((2, size))
    _degree_roots(*source, root, unit)
    start = uniform(0, _START_STREAM, size) - 0.5
    n_basis = min(size - 1, max(20, 2 * n_vectors + 10))
    n_kept = min(n_basis - 1, n_vectors + (n_basis - n_vectors) // 3)
    basis = np.empty((n_basis + 1, size))
    projected, rotation = np.zeros((2, n_basis, n_basis))
    _orthogonal(start, 0, unit, basis)
    done, residual = 0, np.inf
    for _ in range(MAX_RESTARTS):
        beta = 0.0
        while done < n_basis:
            done, beta = _extend(*source, root, unit, done, basis, projected)
            if beta < _BREAKDOWN:
                # The basis spans an invariant subspace; go on from anywhere outside of it.
                beta = 0.0
                _orthogonal(np.roll(start, 7919 * done), done, unit, basis)
        _diagonalise(projected, rotation)
        residual = float(np.abs(beta * rotation[:n_vectors, -1]).max())
        _rotate(basis, rotation[:n_kept])
        if residual <= TOLERANCE:
            return basis[:n_vectors].T
        values = projected.diagonal()[:n_kept].copy()
        projected[:] = 0.0
        np.fill_diagonal(projected[:n_kept, :n_kept], values)
        basis[n_kept] = basis[n_basis]
        done = n_kept
    logger.warning(
        "the spectral start is approximate: after %d restarts the residual of its eigenvectors "
        "is %.1g, above %g",
        MAX_RESTARTS,
        residual,
        TOLERANCE,
    )
    return basis[:n_vectors].T


@inline
def _dot(x: Any, y: Any) -> Any:
    """Inner product, in eight sums that SIMD can carry."""
    n = x.shape[0]
    whole = n - n % 8
    a = b = c = d = e = f = g = h = 0.0
    for i in range(0, whole, 8):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
        e += x[i + 4] * y[i + 4]
        f += x[i + 5] * y[i + 5]
        g += x[i + 6] * y[i + 6]
        h += x[i + 7] * y[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(whole, n):
        total += x[i] * y[i]
    return total


@inline
def _subtract(x: Any, factor: Any, y: Any) -> None:
    """X -= factor * y."""
    for i in range(x.shape[0]):
        x[i] -= factor * y[i]


@inline
def _four_dots(basis: Any, i: Any, w: Any, c: Any) -> None:
    """Inner products of four vectors with one, in two sums each: w is read only once."""
    p, q, r, s = basis[i], basis[i + 1], basis[i + 2], basis[i + 3]
    p0 = p1 = q0 = q1 = r0 = r1 = s0 = s1 = 0.0
    n = w.shape[0]
    for k in range(0, n - 1, 2):
        x, y = w[k], w[k + 1]
        p0 += p[k] * x
        p1 += p[k + 1] * y
        q0 += q[k] * x
        q1 += q[k + 1] * y
        r0 += r[k] * x
        r1 += r[k + 1] * y
        s0 += s[k] * x
        s1 += s[k + 1] * y
    last = w[n - 1] if n % 2 else 0.0
    c[i] = p0 + p1 + p[n - 1] * last
    c[i + 1] = q0 + q1 + q[n - 1] * last
    c[i + 2] = r0 + r1 + r[n - 1] * last
    c[i + 3] = s0 + s1 + s[n - 1] * last


@inline
def _remove(unit: Any, basis: Any, low: Any, high: Any, w: Any, c: Any) -> None:
    """Take the first eigenvector and rows `low` … `high` - 1 of the basis out of w.

    Their shares go into c.
    """
    _subtract(w, _dot(unit, w), unit)
    fours = high - (high - low) % 4
    for i in range(low, fours, 4):
        _four_dots(basis, i, w, c)
    for i in range(fours, high):
        c[i] = _dot(basis[i], w)
    for first in range(0, w.shape[0], _CACHED):
        last = min(w.shape[0], first + _CACHED)
        for i in range(low, high):
            _subtract(w[first:last], c[i], basis[i, first:last])


@inline
def _turn(x: Any, y: Any, c: Any, s: Any) -> None:
    """Rotate two vectors into each other."""
    for k in range(x.shape[0]):
        old_x, old_y = x[k], y[k]
        x[k] = c * old_x - s * old_y
        y[k] = s * old_x + c * old_y


@inline
def _jacobi(matrix: Any, vectors: Any) -> None:
    """Diagonalise a symmetric matrix in place; rows of `vectors` become its eigenvectors.

    Afterwards eigenvalues fall along the diagonal.
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
                # Columns follow by symmetry, which keeps the loops over contiguous rows.
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
def _solve_small(
    indptr: Any, indices: Any, data: Any, starts: Any, sizes: Any, layout: Any
) -> None:
    """Solve small components one after another."""
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
        _jacobi(matrix, vectors)
        for k in range(layout.shape[1]):
            largest = 0
            for i in range(n):
                if abs(vectors[k + 1, i]) > abs(vectors[k + 1, largest]):
                    largest = i
            for i in range(n):
                layout[first + i, k] = vectors[k + 1, i] / vectors[k + 1, largest]


@kernel()
def _degree_roots(indptr: Any, indices: Any, data: Any, first: Any, root: Any, unit: Any) -> None:
    """Write sqrt(degree); as a unit vector it is the first eigenvector, known beforehand."""
    for i in range(root.shape[0]):
        degree = 0.0
        for e in range(indptr[first + i], indptr[first + i + 1]):
            degree += data[e]
        root[i] = np.sqrt(degree)
    length = np.sqrt(_dot(root, root))
    for i in range(root.shape[0]):
        unit[i] = root[i] / length


@kernel()
def _orthogonal(source: Any, count: Any, unit: Any, basis: Any) -> None:
    """Make vector `count` of the basis from any vector, orthogonal to those before it."""
    w, part = source.copy(), np.empty(count)
    for _ in range(2):
        _remove(unit, basis, 0, count, w, part)
    length = np.sqrt(_dot(w, w))
    for i in range(w.shape[0]):
        basis[count, i] = w[i] / length


@kernel()
def _extend(
    indptr: Any,
    indices: Any,
    data: Any,
    first: Any,
    root: Any,
    unit: Any,
    done: Any,
    basis: Any,
    projected: Any,
) -> tuple[int, float]:
    """Lanczos steps from vector `done` of the basis to its last one, or to a breakdown.

    `projected` receives the adjacency in terms of the basis.

    Returns
    -------
    Number of the vector that comes next, and how much of the last step was left for it.
    """
    m, n = basis.shape[0] - 1, basis.shape[1]
    scaled, w, part = np.empty(n), np.empty(n), np.empty(m)
    length = 0.0
    low = 0
    while done < m:
        for i in range(n):
            scaled[i] = basis[done, i] / root[i]
        for i in range(n):
            total = 0.0
            # Unsigned indices need no check for counting from the end, which halves the time.
            for e in range(np.uint64(indptr[first + i]), np.uint64(indptr[first + i + 1])):
                total += data[e] * scaled[np.uint64(indices[e] - first)]
            w[i] = total / root[i]
        done += 1
        for i in range(done):
            projected[i, done - 1] = 0.0
        # In exact arithmetic a step only touches the last two vectors, but for the first step
        # after a restart; the second pass removes from all what rounding left.
        for _ in range(2):
            _remove(unit, basis, low, done, w, part)
            for i in range(low, done):
                projected[i, done - 1] += part[i]
            low = 0
        low = done - 1
        for i in range(done):
            projected[done - 1, i] = projected[i, done - 1]
        length = np.sqrt(_dot(w, w))
        if length < _BREAKDOWN:
            break
        for i in range(n):
            basis[done, i] = w[i] / length
    return done, length


@kernel()
def _diagonalise(matrix: Any, vectors: Any) -> None:
    _jacobi(matrix, vectors)


@kernel()
def _rotate(basis: Any, rotation: Any) -> None:
    """Replace the front of a basis by combinations of its vectors, entry by entry."""
    n_kept, m = rotation.shape
    part = np.empty((n_kept, _CACHED))
    for low in range(0, basis.shape[1], _CACHED):
        width = min(_CACHED, basis.shape[1] - low)
        for k in range(n_kept):
            to = part[k]
            for i in range(width):
                to[i] = 0.0
            for j in range(m):
                factor = rotation[k, j]
                source = basis[j]
                for i in range(width):
                    to[i] += factor * source[low + i]
        for k in range(n_kept):
            for i in range(width):
                basis[k, low + i] = part[k, i]
