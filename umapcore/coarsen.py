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
from umapcore.linalg import Level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.linalg import Linalg

#: Degrees can be so small that their inverse is no float32.
_LARGEST_INVERSE = 1e38
#: Vertices of which this much less leaves than is usual on their level are not merged: they are
#: clusters of their own, and vectors that tell them apart must survive.
_SECLUDED = 0.1
#: Rounds of proposals; most graphs need fewer.
_ROUNDS = 8
#: A round that matches less than this share of the vertices is the last one.
_FEW = 0.02
#: Rounds in which coins are tossed for what is left.
_TOSSES = 4


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
) -> Level:
    """Put a level together; its arrays become read-only."""
    # Divided in float64: an inverse of one rounding.
    inverse = np.minimum(1.0 / degrees, _LARGEST_INVERSE).astype(np.float32)
    return Level(
        read_only(indptr),
        read_only(indices),
        read_only(weights),
        read_only(degrees),
        read_only(shares),
        read_only(inverse),
    )


def coarsen(linalg: Linalg, level: Level) -> tuple[Level, Aggregates]:
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


def _matched(linalg: Linalg, level: Level) -> NDArray[np.int32]:
    """Give every vertex the first vertex of the pair that its aggregate is made of."""
    n = level.n_vertices
    root = np.arange(n, dtype=np.int32)
    stays = level.shares < _SECLUDED * np.median(level.shares)
    free = np.flatnonzero(~stays).astype(np.int32)
    choice = np.empty(n, np.int32)
    taken = stays.copy()
    scale = np.sqrt(level.inverse)
    least = np.zeros(n, np.float32)
    for _ in range(_ROUNDS):
        linalg.propose(level, free, scale, taken, least, choice)
        chosen = choice[free]
        # Whoever was chosen is free, so its own choice is of this round too.
        mutual = (chosen >= 0) & (choice[chosen] == free)
        pairs = free[mutual]
        root[pairs] = np.minimum(pairs, chosen[mutual])
        taken[pairs] = True
        free = free[~mutual]
        if free.size == 0 or pairs.size < _FEW * n:
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
    for toss in range(2 * _TOSSES + 1):
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
