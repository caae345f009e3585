"""Leading eigenvectors of a normalised adjacency, with the same bits on every machine.

ARPACK and LAPACK would do, but their rounding depends on the processor and the number of threads,
and their threads wait in spinning barriers: on a busy machine they were ten times slower. These
kernels run on one thread, in float64, in one written order.

The method is the thick-restart Lanczos iteration (Wu and Simon, SIAM J. Matrix Anal. Appl. 22,
2000) with full orthogonalisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.counter import uniform
from umapcore.graph import read_only
from umapcore.jacobi import diagonalise
from umapcore.jit import inline, kernel
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

#: An eigenvector counts as found when its residual norm is below this (umap-learn's tolerance).
TOLERANCE = 1e-4
#: Restarts after which the vectors are taken as they are, with a warning.
MAX_RESTARTS = 400

_START_STREAM = 0x73746172
#: A vector of norm 1 that keeps less than this outside of the basis holds nothing but rounding.
_BREAKDOWN = 1e-12
#: Entries of a vector that are worked on while they are in the fastest cache.
_CACHED = 1024


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
    arrays = (graph.indptr, graph.indices, graph.data)
    # Kernels are compiled for read-only arrays alone.
    source = (*(read_only(array) for array in arrays), first)
    root, unit = np.empty((2, size))
    _degree_roots(*source, root, unit)
    start = uniform(0, _START_STREAM, size) - 0.5
    n_basis = min(size - 1, max(20, 2 * n_vectors + 10))
    n_kept = min(n_basis - 1, n_vectors + (n_basis - n_vectors) // 3)
    basis = np.empty((n_basis + 1, size))
    projected = np.zeros((n_basis, n_basis))
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
        rotation = diagonalise(projected)
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
