"""Smallest eigenvectors of a graph's normalised Laplacian by a multilevel subspace iteration.

The graph is coarsened to a few dozen vertices (:mod:`umapcore.coarsen`), where a dense solver
finds the eigenvectors; level by level they are then prolonged, piecewise constant, and improved
by a Chebyshev filter with a Rayleigh-Ritz step (Zhou, Saad, Tiago and Chelikowsky, J. Comput.
Phys. 219, 2006). Coarse levels find the smooth part of a vector, the filter removes what is rough
in it: with the filter's cut never below a floor, one pass a level is enough, however small the
eigenvalues are.

Everything is written in z = D^-1/2 y, where y are the eigenvectors of 1 - D^-1/2 W D^-1/2. The
first of them is the constant z, which the Rayleigh-Ritz step removes exactly, a piecewise
constant prolongation keeps Rayleigh quotients, and the graph's own weights are the only matrix.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore.coarsen import coarsen, make_level
from umapcore.counter import uniform
from umapcore.jacobi import diagonalise
from umapcore.linalg import LANES
from umapcore.logs import logger
from umapcore.rayleigh_ritz import rayleigh_ritz

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from umapcore.coarsen import Aggregates
    from umapcore.linalg import Level, Linalg

#: Vectors in a block beside the wanted ones, at least.
GUARDS = 3
#: Degree of the filter: operations with the graph's matrix in a pass.
DEGREE = 16
#: The filter damps what has larger Rayleigh quotients than the block, and than this share of the
#: largest that the level can have.
LEAST_CUT = 0.01
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
#: Larger levels are renumbered so that neighbours lie close to each other in memory.
_OUT_OF_CACHE = 32_768
_FILL_STREAM = 0x66696C6C


class _Step(NamedTuple):
    """A level, in its own order, and how to get to it from the next coarser one.

    Attributes
    ----------
    source
        Vertex of the coarser level, in that level's order, whose values each vertex takes.
    order
        Vertices in the level's order; None when they are as they were.
    """

    level: Level
    source: NDArray[np.int32]
    order: NDArray[np.int32] | None


def smallest_eigenvectors(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    weights: NDArray[np.float32],
    n_vectors: int,
    linalg: Linalg,
) -> NDArray[np.float64]:
    """Find eigenvectors of 1 - D^-1/2 W D^-1/2 with the smallest eigenvalues but the first.

    Parameters
    ----------
    indptr, indices, weights
        Symmetric CSR of a connected graph, n × n, with weights above 0 and without self-loops.
    n_vectors
        How many vectors d, fewer than n - 1.
    linalg
        The device.

    Returns
    -------
    float64, (n, d), approximate eigenvectors, orthogonal to sqrt(degree) and to each other, the
    smallest eigenvalue first; their lengths and signs mean nothing.
    """
    width = -(-(n_vectors + GUARDS) // LANES) * LANES
    degrees = linalg.degrees(indptr, weights)
    levels = [make_level(indptr, indices, weights, degrees, np.ones_like(degrees))]
    groups: list[Aggregates] = []
    while levels[-1].n_vertices > max(COARSEST, 3 * width):
        smaller, aggregates = coarsen(linalg, levels[-1])
        if smaller.n_vertices > _STALLED * levels[-1].n_vertices:
            break
        levels.append(smaller)
        groups.append(aggregates)
    # Exactly rounded, so in any order; aggregates keep the sum of their vertices.
    total = math.fsum(levels[-1].degrees)
    fall = 0.0
    if levels[-1].n_vertices <= DENSE:
        x, quotients = _coarsest_vectors(levels[-1], width)
    else:
        block = _random(levels[-1].n_vertices, width).astype(np.float32)
        unknown = np.full(width, np.inf)
        x, quotients, fall = _improve(linalg, levels[-1], block, unknown, n_vectors, total)
    order = None
    for step in _from_coarse_to_fine(linalg, levels, groups):
        block = x[step.source].astype(np.float32)
        x, quotients, fall = _improve(linalg, step.level, block, quotients, n_vectors, total)
        order = step.order
    if fall > CONVERGED:
        logger.warning(
            "the spectral start is approximate: its Rayleigh quotients %s fell by %.0f %% in the "
            "last of %d passes",
            ", ".join(f"{quotient:.3g}" for quotient in quotients[:n_vectors]),
            100.0 * fall,
            MOST_PASSES,
        )
    result = np.empty((x.shape[0], n_vectors))
    result[slice(None) if order is None else order] = x[:, :n_vectors]
    result *= np.sqrt(levels[0].degrees)[:, None]
    return result


def _coarsest_vectors(level: Level, width: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Solve the coarsest level densely.

    Returns
    -------
    z
        (n, width); columns beyond the graph's own n - 1 vectors are random.
    quotients
        float64, (width,), rising.
    """
    n = level.n_vertices
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


def _from_coarse_to_fine(
    linalg: Linalg, levels: list[Level], groups: list[Aggregates]
) -> Iterator[_Step]:
    """Give the levels but for the coarsest, the large ones in an order that suits caches.

    Vertices are ordered by their aggregates, these by theirs, and so on.
    """
    order = np.arange(levels[-1].n_vertices, dtype=np.int32)
    coarser_is_ordered = False
    for level, aggregates in zip(levels[-2::-1], groups[::-1], strict=True):
        sizes = np.diff(aggregates.offsets)[order]
        starts = aggregates.offsets[order] - (np.cumsum(sizes) - sizes)
        places = np.repeat(starts, sizes) + np.arange(level.n_vertices)
        coarse_order, order = order, aggregates.members[places]
        if level.n_vertices <= _OUT_OF_CACHE:
            yield _Step(level, aggregates.coarse, None)
            continue
        if coarser_is_ordered:
            coarse_order = np.arange(sizes.shape[0], dtype=np.int32)
        source = np.repeat(coarse_order, sizes)
        renumbered = linalg.permute(level.indptr, level.indices, level.weights, order)
        ordered = make_level(*renumbered, level.degrees[order], level.shares[order])
        yield _Step(ordered, source, order)
        coarser_is_ordered = True


def _improve(
    linalg: Linalg,
    level: Level,
    x: NDArray[np.float32],
    quotients: NDArray[np.float64],
    n_vectors: int,
    total: float,
) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
    """Filter and Rayleigh-Ritz until the wanted quotients hardly fall, or the budget is spent.

    Returns
    -------
    The block, all its quotients, and the largest share by which a wanted one fell in the end.
    """
    small = level.n_vertices <= SMALL_LEVEL
    y = np.zeros_like(x)
    fall = 0.0
    for _ in range(MOST_PASSES):
        known = quotients[np.isfinite(quotients)]
        least, most = LEAST_CUT * level.bound, MOST_CUT * level.bound
        cut = min(max(known[-1] if known.size else 0.0, least), most)
        x, y = _filter(linalg, level, x, y, cut)
        linalg.apply(level, x, y, 1.0, 0.0, 0.0)
        ritz = rayleigh_ritz(linalg.gram(level, x, y), total)
        linalg.rotate(x, ritz.rotation, ritz.offset, y)
        x, y = y, x
        # Prolongation keeps the quotients, so they can be compared with the coarser level's too.
        before, after = quotients[:n_vectors], ritz.quotients[:n_vectors]
        quotients = ritz.quotients
        with np.errstate(invalid="ignore"):
            fall = float(np.max(np.where(before > 0.0, 1.0 - after / before, 0.0)))
        if not fall > (CONVERGED_SMALL if small else CONVERGED):
            break
    return x, quotients, fall


def _filter(
    linalg: Linalg, level: Level, x: NDArray[Any], y: NDArray[Any], cut: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Apply the Chebyshev polynomial that is small on the quotients above `cut`.

    It is scaled to be 1 at 0, by the recurrence of Zhou and others (2006), algorithm 3.2, with
    the Laplacian 1 - P for the operator.

    Returns
    -------
    The filtered block, and the other array, free for use.
    """
    half, middle = 0.5 * (level.bound - cut), 0.5 * (level.bound + cut)
    first = sigma = -half / middle
    linalg.apply(level, x, y, -sigma / half, -sigma * middle / half, 0.0)
    for _ in range(DEGREE - 1):
        following = 1.0 / (2.0 / first - sigma)
        factor = -2.0 * following / half
        linalg.apply(level, y, x, factor, factor * middle, -sigma * following)
        x, y = y, x
        sigma = following
    return y, x
