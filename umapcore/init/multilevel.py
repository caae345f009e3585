"""Smallest eigenvectors of a graph's normalised Laplacian by a multilevel subspace iteration.

The graph is coarsened to a few dozen vertices (`SpectralOps.coarsen`), where a dense solver finds
the eigenvectors. On each finer level they are then prolonged (piecewise constant) and improved by a
Chebyshev filter with a Rayleigh-Ritz step (Zhou, Saad, Tiago and Chelikowsky, J. Comput. Phys. 219,
2006). Coarse levels determine the smooth part of a vector, and the filter removes its rough part.
The cut of the filter has a minimum, so one pass per level is enough for any small eigenvalues.

All vectors are stored as z = D^-1/2 y, where y are the eigenvectors of 1 - D^-1/2 W D^-1/2. This
has three advantages. The first z is constant, and the Rayleigh-Ritz step removes it exactly. A
piecewise constant prolongation preserves Rayleigh quotients. And the only matrix that is needed is
the graph's own weights.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.rng import uniform
from umapcore.device.spectral_ops import BLOCK_COLUMNS
from umapcore.init.jacobi import diagonalise
from umapcore.init.rayleigh_ritz import rayleigh_ritz
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore._kit.arrays import Csr
    from umapcore.device.spectral_ops import Level, SpectralOps

#: Minimum number of vectors in a block in addition to the requested ones.
GUARDS = 3
#: Maximum degree of the filter, which is the number of products with the graph's matrix per pass.
DEGREE = 32
#: The degree stops growing when the filter amplifies the smooth part of a vector this much more
#: than the damped part: in float32, nothing else would be left of the vector after more.
MOST_GROWTH = 1e4
#: Minimum cut: the filter damps parts with Rayleigh quotients above those of the block, and above
#: this share of the largest possible one on the level. Quotients that are 0.4 % too large are
#: harmless, but errors of that size mix up dense clusters: with degree 16 and 0.01 the vectors of
#: shuttle58k were off by 2 % and layouts had 1.4 % (± 0.5 %) more loss than from exact ones; now
#: 0.8 % and 0.0 % (± 0.5 %).
LEAST_CUT = 0.001
#: Maximum cut, as a share of the same bound.
MOST_CUT = 0.75
#: Passes on a level end when one lowers the quotients by no more than this share of them.
CONVERGED = 0.3
#: The same on small levels, where a pass costs almost nothing.
CONVERGED_SMALL = 0.01
SMALL_LEVEL = 8192
#: Maximum number of passes per level.
MOST_PASSES = 4

#: Coarsening ends at this many vertices, or at three for each vector of the block.
COARSEST = 48
#: If coarsening stalls above this size, only the filter is applied on the coarsest level.
DENSE = 512
#: Coarsening stalls when a level keeps more than this share of the vertices.
_STALLED = 0.9
#: Larger levels are renumbered: vertices by their aggregates, these by their own aggregates, and
#: so on, so that neighbours are close to each other in memory.
_OUT_OF_CACHE = 32_768
_FILL_STREAM = 0x66696C6C


def smallest_eigenvectors(graph: Any, n_vectors: int, ops: SpectralOps) -> NDArray[np.float64]:
    """Compute eigenvectors of 1 - D^-1/2 W D^-1/2 with the smallest eigenvalues but the first.

    Parameters
    ----------
    graph
        Symmetric CSR of a connected graph, n × n, with weights above 0 and without self-loops,
        on the host or on the device.
    n_vectors
        Number of vectors d, less than n - 1.
    ops
        Operations of the device.

    Returns
    -------
    float64, (n, d), approximate eigenvectors, orthogonal to sqrt(degree) and to each other, the
    smallest eigenvalue first; their lengths and signs are arbitrary.
    """
    width = -(-(n_vectors + GUARDS) // BLOCK_COLUMNS) * BLOCK_COLUMNS
    levels = [ops.finest(graph)]
    groups: list[Any] = []
    while levels[-1].n_vertices > max(COARSEST, 3 * width):
        smaller, aggregates = ops.coarsen(levels[-1])
        if smaller.n_vertices > _STALLED * levels[-1].n_vertices:
            break
        levels.append(smaller)
        groups.append(aggregates)
    coarsest, degrees = ops.bring(levels[-1])
    # `fsum` is exact, so the order does not matter. Coarsening preserves the sum of the degrees.
    total = math.fsum(degrees)
    level, placed, order = levels.pop(), False, None
    fall = 0.0
    if level.n_vertices <= DENSE:
        z, quotients = _coarsest_vectors(coarsest, degrees, width)
        if not groups:
            return z[:, :n_vectors] * np.sqrt(degrees)[:, None]
        x = ops.block(z.astype(np.float32))
    else:
        x = ops.block(_random(level.n_vertices, width).astype(np.float32))
        unknown = np.full(width, np.inf)
        x, quotients, fall = _improve(ops, level, x, unknown, n_vectors, total)
    while groups:
        # Coarser levels than this one are no longer kept.
        level, aggregates = levels.pop(), groups.pop()
        order, source = ops.unfold(aggregates, order, by_place=placed)
        placed = level.n_vertices > _OUT_OF_CACHE
        if placed:
            level = ops.reorder(level, order)
        else:
            source = ops.source(aggregates)
        del aggregates
        x = ops.prolong(x, source)
        x, quotients, fall = _improve(ops, level, x, quotients, n_vectors, total)
    if fall > CONVERGED:
        logger.warning(
            "the spectral start is approximate: its Rayleigh quotients %s fell by %.0f %% in the "
            "last of %d passes",
            ", ".join(f"{quotient:.3g}" for quotient in quotients[:n_vectors]),
            100.0 * fall,
            MOST_PASSES,
        )
    return ops.unscale(level, x, order if placed else None, n_vectors)


def _coarsest_vectors(
    graph: Csr, degrees: NDArray[np.float64], width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the coarsest level densely.

    Returns
    -------
    z
        (n, width); columns after the graph's own n - 1 vectors are random.
    quotients
        float64, (width,), in increasing order.
    """
    n = degrees.shape[0]
    heads = np.repeat(np.arange(n), np.diff(graph.indptr))
    matrix = np.zeros((n, n))
    matrix[heads, graph.indices] = graph.weights
    inside = degrees.copy()
    for column in matrix.T:
        inside -= column
    matrix[np.arange(n), np.arange(n)] = inside
    root = np.sqrt(degrees)
    matrix = matrix / root[:, None] / root
    vectors = diagonalise(matrix)
    z = _random(n, width)
    found = min(width, n - 1)
    z[:, :found] = (vectors[1 : found + 1] / root).T
    quotients = np.full(width, np.inf)
    quotients[:found] = 1.0 - matrix.diagonal()[1 : found + 1]
    return z, quotients


def _random(n: int, width: int) -> NDArray[np.float64]:
    return uniform(0, _FILL_STREAM, n * width).reshape(n, width) - 0.5


def _improve(
    ops: SpectralOps,
    level: Level,
    x: Any,
    quotients: NDArray[np.float64],
    n_vectors: int,
    total: float,
) -> tuple[Any, NDArray[np.float64], float]:
    """Repeat filter and Rayleigh-Ritz steps until the first `n_vectors` quotients have converged.

    There are at most `MOST_PASSES` passes.

    Returns
    -------
    The block, all its quotients, and the largest share by which one of the first `n_vectors`
    quotients fell in the last pass.
    """
    small = level.n_vertices <= SMALL_LEVEL
    y = ops.zeros_like(x)
    fall = 0.0
    for _ in range(MOST_PASSES):
        known = quotients[np.isfinite(quotients)]
        least, most = LEAST_CUT * level.bound, MOST_CUT * level.bound
        cut = min(max(known[-1] if known.size else 0.0, least), most)
        y, x = ops.apply(level, x, y, [*_filter_steps(level.bound, cut), (1.0, 0.0, 0.0)])
        ritz = rayleigh_ritz(ops.gram(level, x, y), total)
        ops.rotate(x, ritz.rotation, ritz.offset, y)
        x, y = y, x
        # Prolongation preserves quotients, so those of the coarser level can be compared too.
        before, after = quotients[:n_vectors], ritz.quotients[:n_vectors]
        quotients = ritz.quotients
        with np.errstate(invalid="ignore", divide="ignore"):
            fall = float(np.max(np.where(before > 0.0, 1.0 - after / before, 0.0)))
        if not fall > (CONVERGED_SMALL if small else CONVERGED):
            break
    return x, quotients, fall


def _filter_steps(bound: float, cut: float) -> list[tuple[float, float, float]]:
    """Return the steps of a Chebyshev polynomial that is small on the quotients above `cut`.

    It is scaled to be 1 at 0, by the recurrence of Zhou and others (2006), algorithm 3.2, with
    1 - P, the Laplacian, as the operator. The steps have the form that
    :meth:`umapcore.device.spectral_ops.SpectralOps.apply` takes.
    """
    half, middle = 0.5 * (bound - cut), 0.5 * (bound + cut)
    first = sigma = -half / middle
    steps = [(-sigma / half, -sigma * middle / half, 0.0)]
    growth = middle / half
    # Growth: the filter's value at 0 over its largest beyond the cut, by the same recurrence.
    while len(steps) < DEGREE and not growth > MOST_GROWTH:
        following = 1.0 / (2.0 / first - sigma)
        factor = -2.0 * following / half
        steps.append((factor, factor * middle, -sigma * following))
        growth /= -following
        sigma = following
    return steps
