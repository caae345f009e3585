"""Smallest eigenvectors of a graph's normalised Laplacian by a multilevel subspace iteration.

The graph is coarsened to a few dozen vertices (`SpectralOps.coarsen`), where a dense solver finds
the eigenvectors. Level by level they are then prolonged, piecewise constant, and improved by a
Chebyshev filter with a Rayleigh-Ritz step (Zhou, Saad, Tiago and Chelikowsky, J. Comput. Phys. 219,
2006). Coarse levels find the smooth part of a vector, the filter removes what is rough in it. The
filter has a least cut: so one pass a level is enough, however small the eigenvalues are.

Everything is written in z = D^-1/2 y, where y are the eigenvectors of 1 - D^-1/2 W D^-1/2. The
first of them is the constant z, which the Rayleigh-Ritz step removes exactly, a piecewise
constant prolongation keeps Rayleigh quotients, and the graph's own weights are the only matrix.
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

    from umapcore.device.spectral_ops import HostLevel, Level, SpectralOps

#: Vectors in a block beside the wanted ones, at least.
GUARDS = 3
#: Degree of the filter at most: operations with the graph's matrix in a pass.
DEGREE = 32
#: A filter of less than that degree does where it already magnifies the smooth parts of a vector
#: so much against those that it damps: more would leave nothing else in float32.
MOST_GROWTH = 1e4
#: The filter damps what has larger Rayleigh quotients than the block, and than this share of the
#: largest that the level can have. Quotients of 0.4 % too much are no problem, but errors of that
#: size jumble dense clusters: with degree 16 and 0.01 the vectors of shuttle58k were off by 2 %
#: and layouts had 1.4 % (± 0.5 %) more loss than from exact ones; now 0.8 % and 0.0 % (± 0.5 %).
LEAST_CUT = 0.001
#: No cut is above this share.
MOST_CUT = 0.75
#: A level is left when a pass lowers the quotients by no more than this share of them.
CONVERGED = 0.3
#: The same where passes cost next to nothing.
CONVERGED_SMALL = 0.01
SMALL_LEVEL = 8192
#: Passes a level at most.
MOST_PASSES = 4

#: Coarsening ends at this many vertices, or at three for each vector of the block.
COARSEST = 48
#: Where coarsening stalls above this, the coarsest level is solved by the filter alone.
DENSE = 512
#: A level that keeps more than this share of the vertices is the last.
_STALLED = 0.9
#: Larger levels are renumbered: vertices by their aggregates, these by theirs, and so on, so that
#: neighbours lie close to each other in memory.
_OUT_OF_CACHE = 32_768
_FILL_STREAM = 0x66696C6C


def smallest_eigenvectors(graph: Any, n_vectors: int, ops: SpectralOps) -> NDArray[np.float64]:
    """Find eigenvectors of 1 - D^-1/2 W D^-1/2 with the smallest eigenvalues but the first.

    Parameters
    ----------
    graph
        Symmetric CSR of a connected graph, n × n, with weights above 0 and without self-loops,
        on the host or on the device.
    n_vectors
        How many vectors d, fewer than n - 1.
    ops
        The device.

    Returns
    -------
    float64, (n, d), approximate eigenvectors, orthogonal to sqrt(degree) and to each other, the
    smallest eigenvalue first; their lengths and signs mean nothing.
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
    coarsest = ops.bring(levels[-1])
    # Exactly rounded, so in any order; aggregates keep the sum of their vertices.
    total = math.fsum(coarsest.degrees)
    level, placed, order = levels.pop(), False, None
    fall = 0.0
    if level.n_vertices <= DENSE:
        z, quotients = _coarsest_vectors(coarsest, width)
        if not groups:
            return z[:, :n_vectors] * np.sqrt(coarsest.degrees)[:, None]
        x = ops.block(z.astype(np.float32))
    else:
        x = ops.block(_random(level.n_vertices, width).astype(np.float32))
        unknown = np.full(width, np.inf)
        x, quotients, fall = _improve(ops, level, x, unknown, n_vectors, total)
    while groups:
        # What is coarser than the level at hand is not kept.
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
    level: HostLevel, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the coarsest level densely.

    Returns
    -------
    z
        (n, width); columns beyond the graph's own n - 1 vectors are random.
    quotients
        float64, (width,), rising.
    """
    n = level.degrees.shape[0]
    heads = np.repeat(np.arange(n), np.diff(level.indptr))
    matrix = np.zeros((n, n))
    matrix[heads, level.indices] = level.weights
    inside = level.degrees.copy()
    for column in matrix.T:
        inside -= column
    matrix[np.arange(n), np.arange(n)] = inside
    root = np.sqrt(level.degrees)
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
    """Filter and Rayleigh-Ritz until the wanted quotients hardly fall, or the budget is spent.

    Returns
    -------
    The block, all its quotients, and the largest share by which a wanted one fell in the end.
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
        # Prolongation keeps the quotients, so they can be compared with the coarser level's too.
        before, after = quotients[:n_vectors], ritz.quotients[:n_vectors]
        quotients = ritz.quotients
        with np.errstate(invalid="ignore", divide="ignore"):
            fall = float(np.max(np.where(before > 0.0, 1.0 - after / before, 0.0)))
        if not fall > (CONVERGED_SMALL if small else CONVERGED):
            break
    return x, quotients, fall


def _filter_steps(bound: float, cut: float) -> list[tuple[float, float, float]]:
    """Give the Chebyshev polynomial that is small on the quotients above `cut`, as steps.

    It is scaled to be 1 at 0, by the recurrence of Zhou and others (2006), algorithm 3.2, with
    the Laplacian 1 - P for the operator. The steps are those of
    :meth:`umapcore.device.spectral_ops.SpectralOps.apply`.
    """
    half, middle = 0.5 * (bound - cut), 0.5 * (bound + cut)
    first = sigma = -half / middle
    steps = [(-sigma / half, -sigma * middle / half, 0.0)]
    growth = middle / half
    # The filter's value at 0 over its largest beyond the cut, by its own recurrence.
    while len(steps) < DEGREE and not growth > MOST_GROWTH:
        following = 1.0 / (2.0 / first - sigma)
        factor = -2.0 * following / half
        steps.append((factor, factor * middle, -sigma * following))
        growth /= -following
        sigma = following
    return steps
