"""Coarsening of a graph by heavy-edge matching, the same for any number of threads.

In every round each free vertex proposes to its heaviest free neighbour, and pairs who chose each
other are matched (Karypis and Kumar, SIAM J. Sci. Comput. 20, 1998; in parallel as "locally
dominant" edges: Preis, STACS 1999). Edges weigh W_ij / sqrt(D_i D_j), so that large aggregates
are not preferred; ties are broken by a hash of the edge, since fuzzy graphs have many edges of
weight 1.

What is left has mostly no free neighbour, such as the leaves of a star. Two of these with the
same heaviest neighbour become an aggregate, and one that remains joins its neighbour's. So no
level has much more than half the vertices of the one before, and no aggregate more than four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.counter import mix64
from umapcore.graph import read_only
from umapcore.linalg import BOUND, FEW, LARGEST_INVERSE, ROUNDS, SECLUDED, TOSSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore_numba.linalg import NumbaLinalg


@dataclass(frozen=True)
class NumbaLevel:
    """See :class:`umapcore.linalg.Level`.

    Attributes
    ----------
    indptr, indices
        Offsets and columns of a CSR; no self-loops.
    weights
        float32, (edges,).
    degrees
        float64, (n,): weight of every vertex, that of edges inside of an aggregate included.
    shares
        float64, (n,): what of its degree leaves a vertex, by the edges that are stored.
    inverse
        float32, (n,): 1 / degrees.
    """

    indptr: NDArray[Any]
    indices: NDArray[Any]
    weights: NDArray[np.float32]
    degrees: NDArray[np.float64]
    shares: NDArray[np.float64]
    inverse: NDArray[np.float32]

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return int(self.degrees.shape[0])

    @property
    def bound(self) -> float:
        """No eigenvalue of 1 - P is above this."""
        return BOUND * float(self.shares.max())


@dataclass(frozen=True)
class Aggregates:
    """Which vertices of a level are one vertex of the next.

    Attributes
    ----------
    coarse
        int32, (n,): aggregate of every vertex.
    offsets, members
        Aggregate c has the vertices ``members[offsets[c]:offsets[c + 1]]``.
    """

    coarse: NDArray[np.int32]
    offsets: NDArray[np.int64]
    members: NDArray[np.int32]


def make_level(
    indptr: Any,
    indices: Any,
    weights: Any,
    degrees: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> NumbaLevel:
    """Put a level together; its arrays become read-only."""
    # Divided in float64: an inverse of one rounding.
    inverse = np.minimum(1.0 / degrees, LARGEST_INVERSE).astype(np.float32)
    return NumbaLevel(
        read_only(indptr),
        read_only(indices),
        read_only(weights),
        read_only(degrees),
        read_only(shares),
        read_only(inverse),
    )


def coarsen(linalg: NumbaLinalg, level: NumbaLevel) -> tuple[NumbaLevel, Aggregates]:
    """Make a level of about half as many vertices, and say which belong together."""
    root = _matched(linalg, level)
    is_root = root == np.arange(root.shape[0], dtype=np.int32)
    number = np.cumsum(is_root, dtype=np.int32) - np.int32(1)
    coarse = number[root]
    sizes = np.bincount(coarse)
    offsets = np.zeros(sizes.shape[0] + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    members = linalg.group(coarse, offsets)
    indptr, indices, weights = linalg.contract(level, offsets, members, coarse)
    # One addition after the other, in the order of the vertices.
    degrees = np.bincount(coarse, level.degrees).astype(np.float64, copy=False)
    shares = linalg.degrees(indptr, weights) / degrees
    smaller = make_level(indptr, indices, weights, degrees, shares)
    return smaller, Aggregates(coarse, offsets, members)


def _matched(linalg: NumbaLinalg, level: NumbaLevel) -> NDArray[np.int32]:
    """Give every vertex the first vertex of the pair that its aggregate is made of."""
    n = level.n_vertices
    root = np.arange(n, dtype=np.int32)
    stays = level.shares < SECLUDED * np.median(level.shares)
    free = np.flatnonzero(~stays).astype(np.int32)
    choice = np.empty(n, np.int32)
    taken = stays.copy()
    scale = np.sqrt(level.inverse)
    least = np.zeros(n, np.float32)
    for _ in range(ROUNDS):
        linalg.propose(level, free, scale, taken, least, choice)
        chosen = choice[free]
        # Whoever was chosen is free, so its own choice is of this round too.
        mutual = (chosen >= 0) & (choice[chosen] == free)
        pairs = free[mutual]
        root[pairs] = np.minimum(pairs, chosen[mutual])
        taken[pairs] = True
        free = free[~mutual]
        if free.size == 0 or pairs.size < FEW * n:
            break
    if free.size:
        taken[:] = False
        linalg.propose(level, free, scale, taken, least, choice)
        _place_leftovers(free, choice[free], stays, root)
    return root


def _place_leftovers(
    free: NDArray[np.int32],
    heaviest: NDArray[np.int32],
    stays: NDArray[np.bool_],
    root: NDArray[np.int32],
) -> None:
    """Pair vertices with the same heaviest neighbour; the odd ones join it, unless it `stays`.

    Where that is odd itself, as along a path of rising weights, coins decide who goes first.
    """
    order = np.argsort(heaviest, kind="stable")
    free, heaviest = free[order], heaviest[order]
    starts = np.flatnonzero(np.diff(heaviest, prepend=np.int32(-2)))
    counts = np.diff(starts, append=heaviest.shape[0])
    turn = np.arange(heaviest.shape[0]) - np.repeat(starts, counts)
    odd = turn == np.repeat(counts - 1, counts)
    odd &= turn % 2 == 0
    second = turn % 2 == 1
    root[free[second]] = free[np.flatnonzero(second) - 1]
    lone, neighbour = free[odd], heaviest[odd]
    is_lone = np.zeros(root.shape[0], np.bool_)
    is_lone[lone] = True
    for toss in range(2 * TOSSES + 1):
        if toss % 2 == 0:
            joins = ~is_lone[neighbour] & ~stays[neighbour]
        else:
            coins = mix64(lone.astype(np.uint64) + np.uint64(toss << 32)) >> np.uint64(63)
            heads = np.zeros(root.shape[0], np.bool_)
            heads[lone[coins == 1]] = True
            # No two odd vertices have the same heaviest neighbour, so nobody is joined twice.
            joins = heads[lone] & is_lone[neighbour] & ~heads[neighbour]
        root[lone[joins]] = root[neighbour[joins]]
        is_lone[lone[joins]] = is_lone[neighbour[joins]] = False
        lone, neighbour = lone[is_lone[lone]], neighbour[is_lone[lone]]
