"""Kernels that make a graph smaller: proposals of a matching, and sums of edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import U1, inline, kernel
from umapcore._kit.rng import HALF_WORD, mix64_of
from umapcore.device.spectral_ops import STRONG

_STRONG = np.float32(STRONG)


@inline
def edge_hash(i: Any, j: Any) -> Any:
    """Return a hash of an edge: equal for both directions, different for different edges."""
    return mix64_of((np.uint64(min(i, j)) << HALF_WORD) | np.uint64(max(i, j)))


@kernel(allocates=False)
def propose(
    first: Any,
    last: Any,
    vertices: Any,
    graph: Any,
    scale: Any,
    taken: Any,
    least: Any,
    choice: Any,
) -> None:
    """Find heaviest neighbours; see :func:`umapcore_numba.spectral.coarsen.propose`."""
    for place in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(vertices[place])
        best, most, largest = np.int64(-1), least[i], np.uint64(0)
        for e in range(np.uint64(graph.indptr[i]), np.uint64(graph.indptr[i + U1])):
            j = np.uint64(graph.indices[e])
            if taken[j]:
                continue
            weight = graph.weights[e] * scale[j]
            if weight >= most:
                hashed = edge_hash(i, j)
                if best < 0 or weight > most or hashed > largest:
                    best, most, largest = np.int64(j), weight, hashed
        choice[i] = best
        least[i] = max(least[i], _STRONG * most)


@kernel(allocates=False)
def contract(
    first: Any,
    last: Any,
    offsets: Any,
    members: Any,
    coarse: Any,
    graph: Any,
    out_indices: Any,
    out_weights: Any,
    counts: Any,
    seen: Any,
) -> Any:
    """Add up the edges of the aggregates `first` … `last` - 1, packed from index 0 on.

    `seen` holds the output index at which each aggregate was last written; it starts as -1. Indices
    of earlier rows are below the start of the current row, so `seen` never has to be cleared.

    Returns
    -------
    Number of edges written.
    """
    used = np.uint64(0)
    for c in range(np.uint64(first), np.uint64(last)):
        start = used
        for m in range(np.uint64(offsets[c]), np.uint64(offsets[c + U1])):
            i = np.uint64(members[m])
            for e in range(np.uint64(graph.indptr[i]), np.uint64(graph.indptr[i + U1])):
                other = np.uint64(coarse[np.uint64(graph.indices[e])])
                if other == c:
                    continue
                at = seen[other]
                if at < np.int64(start):
                    seen[other] = used
                    out_indices[used] = other
                    out_weights[used] = np.float64(graph.weights[e])
                    used += U1
                else:
                    out_weights[np.uint64(at)] += np.float64(graph.weights[e])
        counts[c] = used - start
    return np.int64(used)


@kernel(allocates=False)
def group(coarse: Any, cursors: Any, members: Any) -> None:
    """Sort vertices by their aggregates; `cursors` starts as the aggregates' offsets."""
    for i in range(np.uint64(coarse.shape[0])):
        c = np.uint64(coarse[i])
        members[np.uint64(cursors[c])] = i
        cursors[c] += 1
