"""Coarsening of a graph by heavy-edge matching, the same for any number of threads.

In every round each free vertex chooses its heaviest free neighbour, and two vertices that chose
each other are matched (Karypis and Kumar, SIAM J. Sci. Comput. 20, 1998; in parallel as "locally
dominant" edges: Preis, STACS 1999). The weight of an edge is W_ij / sqrt(D_i D_j), so that large
aggregates are not preferred. Ties are broken by a hash of the edge, since fuzzy graphs have many
edges of weight 1.

Most of the remaining vertices have no free neighbour, for example the leaves of a star. Two of them
with the same heaviest neighbour become an aggregate. A single one joins its neighbour's aggregate.
So no level has many more than half the vertices of the level before, and no aggregate has more than
four.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import Csr, read_only
from umapcore._kit.rng import mix64
from umapcore._kit.scratch import Sink, scratch_of, windows
from umapcore.device.spectral_ops import FEW, ROUNDS, SECLUDED, TOSSES
from umapcore.graph.permute import permute
from umapcore_numba.spectral import blocks, contraction
from umapcore_numba.spectral.level import Aggregates, make_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore._kit.parallel import Ranges
    from umapcore_numba.spectral.level import NumbaLevel

#: Largest number of aggregates that one task contracts; it bounds the memory of the task.
_CONTRACTED = 262_144


def coarsen(ranges: Ranges, level: NumbaLevel) -> tuple[NumbaLevel, Aggregates]:
    """Make a level of about half as many vertices; return it and its aggregates."""
    root = _matched(ranges, level)
    is_root = root == np.arange(root.shape[0], dtype=np.int32)
    number = np.cumsum(is_root, dtype=np.int32) - np.int32(1)
    coarse = number[root]
    sizes = np.bincount(coarse)
    offsets = np.zeros(sizes.shape[0] + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    members = group(coarse, offsets)
    smaller = contract(ranges, level, offsets, members, coarse)
    # `bincount` adds one number after the other, in the order of the vertices.
    degrees = np.bincount(coarse, level.degrees).astype(np.float64, copy=False)
    shares = row_sums(ranges, smaller) / degrees
    return make_level(smaller, degrees, shares), Aggregates(coarse, offsets, members)


def _matched(ranges: Ranges, level: NumbaLevel) -> NDArray[np.int32]:
    """Return for every vertex the first vertex of the pair on which its aggregate is built."""
    n = level.n_vertices
    root = np.arange(n, dtype=np.int32)
    stays = level.shares < SECLUDED * np.median(level.shares)
    free = np.flatnonzero(~stays).astype(np.int32)
    choice = np.empty(n, np.int32)
    taken = stays.copy()
    scale = np.sqrt(level.inverse)
    least = np.zeros(n, np.float32)
    for _ in range(ROUNDS):
        propose(ranges, level, free, scale, taken, least, choice)
        chosen = choice[free]
        # A vertex that was chosen is free, so its own choice is of this round too.
        mutual = (chosen >= 0) & (choice[chosen] == free)
        pairs = free[mutual]
        root[pairs] = np.minimum(pairs, chosen[mutual])
        taken[pairs] = True
        free = free[~mutual]
        if free.size == 0 or pairs.size < FEW * n:
            break
    if free.size:
        taken[:] = False
        propose(ranges, level, free, scale, taken, least, choice)
        _place_leftovers(free, choice[free], stays, root)
    return root


def _place_leftovers(
    free: NDArray[np.int32],
    heaviest: NDArray[np.int32],
    stays: NDArray[np.bool_],
    root: NDArray[np.int32],
) -> None:
    """Pair vertices with the same heaviest neighbour; a vertex without a partner is odd.

    An odd vertex joins the neighbour, unless the neighbour `stays`. If the neighbour is odd too, as
    along a path of rising weights, coin tosses decide which odd vertices join first.
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
            # No two odd vertices have the same heaviest neighbour, so no vertex is joined twice.
            joins = heads[lone] & is_lone[neighbour] & ~heads[neighbour]
        root[lone[joins]] = root[neighbour[joins]]
        is_lone[lone[joins]] = is_lone[neighbour[joins]] = False
        lone, neighbour = lone[is_lone[lone]], neighbour[is_lone[lone]]


def row_sums(ranges: Ranges, graph: Csr) -> NDArray[np.float64]:
    """Sum every row in float64, in the order of its edges."""
    out = np.empty(graph.indptr.shape[0] - 1)
    source = (read_only(graph.indptr), read_only(graph.weights))
    operations = graph.weights.shape[0] // max(1, out.shape[0])
    ranges.over_long(out.shape[0], lambda a, b: blocks.degrees(a, b, *source, out), 1 + operations)
    return out


def propose(
    ranges: Ranges,
    level: NumbaLevel,
    vertices: Any,
    scale: Any,
    taken: Any,
    least: Any,
    choice: Any,
) -> None:
    """Write the heaviest neighbours of some vertices to the vertices' entries in `choice`.

    The heaviest neighbour has the largest ``weights[e] * scale[neighbour]``; among equal ones, its
    edge has the largest hash. Neighbours that are `taken` do not count. -1 means none.
    """
    source = (vertices, level.graph, scale, taken, least, choice)
    operations = 8 * level.graph.weights.shape[0] // level.n_vertices
    ranges.over_long(
        vertices.shape[0], lambda a, b: contraction.propose(a, b, *source), 1 + operations
    )


def group(coarse: Any, offsets: Any) -> NDArray[np.int32]:
    """Sort vertices by aggregate, and within an aggregate by number."""
    members = np.empty(coarse.shape[0], np.int32)
    contraction.group(coarse, offsets[:-1].copy(), members)
    return members


def contract(ranges: Ranges, level: NumbaLevel, offsets: Any, members: Any, coarse: Any) -> Csr:
    """Add up the edges between aggregates.

    Aggregate c has the vertices ``members[offsets[c]:offsets[c + 1]]``; `coarse` holds the
    aggregate of every vertex. In a row of the result, neighbours are in the order in which the
    members' edges first lead to them. Weights are summed in that order in float64.

    Returns
    -------
    CSR of the aggregates.
    """
    n = offsets.shape[0] - 1
    graph, scratch = level.graph, scratch_of(level.graph.indices)
    if scratch is not None:
        # In the order of the aggregates, rows are read from the disk one after the other.
        own = np.arange(members.shape[0], dtype=np.int32)
        graph = permute(graph, members, names=own, n_threads=ranges.n_threads)
        members = own
    lengths = np.diff(graph.indptr)[members]
    most = np.zeros(members.shape[0] + 1, np.int64)
    np.cumsum(lengths, out=most[1:])
    del lengths
    counts = np.empty(n, np.int64)
    source = (offsets, members, coarse, graph)

    def task(first: int, last: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        room = int(most[offsets[last]] - most[offsets[first]])
        indices, sums = np.empty(room, np.int32), np.empty(room)
        seen = np.full(n, -1, np.int32 if room < 2**31 else np.int64)
        used = contraction.contract(first, last, *source, indices, sums, counts, seen)
        return indices[:used].astype(graph.indices.dtype), sums[:used].astype(np.float32)

    indices, weights = Sink(scratch, graph.indices.dtype), Sink(scratch, np.float32)
    # An edge takes 12 bytes while it is contracted and 8 afterwards.
    for low, high in windows(most[offsets], scratch, 20):
        step = _CONTRACTED if scratch is None else -(-(high - low) // ranges.n_threads)

        def shifted(first: int, last: int, low: int = low) -> tuple[NDArray[Any], NDArray[Any]]:
            return task(low + first, low + last)

        for part in ranges.over(high - low, shifted, min(step, _CONTRACTED)):
            indices.append(part[0])
            weights.append(part[1])
    indptr = np.zeros(n + 1, graph.indptr.dtype)
    np.cumsum(counts, out=indptr[1:])
    return Csr(indptr, indices.array(), weights.array())
