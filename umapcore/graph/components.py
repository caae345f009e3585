"""Connected components by union-find in parallel.

Threads join trees by compare-and-swap on the parents of roots (Anderson and Woll, STOC 1991), and
hardly look at the largest component (Sutton, Ben-Nun and Barak, IPDPS 2018): a few edges of every
vertex join nearly all of it; what remains is to look at the other edges of vertices outside of
it. A root always gives way to one with a smaller number, so that whatever the threads do, the
root of a component is its first vertex in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import read_only
from umapcore._kit.atomics import compare_exchange
from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

#: Edges of every vertex that components are first guessed from.
_FIRST_EDGES = 2
#: Vertices that are asked for their component, to find out which is the largest.
_ASKED = 1024


def connected_components(
    graph: sparse.csr_array[Any, Any], *, n_threads: int | None = None
) -> tuple[int, NDArray[np.int32]]:
    """Label the connected components of a symmetric graph.

    Parameters
    ----------
    graph
        Symmetric CSR, n × n, as :func:`umapcore.graph.csr.prepare_graph` makes it.
    n_threads
        Threads at most; the labels do not depend on it.

    Returns
    -------
    n_components
        How many there are.
    labels
        int32, (n,): component of every vertex, numbered by their first vertices.
    """
    n = graph.shape[0]
    rows = (read_only(graph.indptr), read_only(graph.indices))
    parent = np.arange(n, dtype=np.uint32)
    none = np.uint32(n)
    for_rows(n, n_threads, lambda a, b: _join(a, b, *rows, parent, 0, _FIRST_EDGES, none))
    for_rows(n, n_threads, lambda a, b: _flatten(a, b, parent))
    asked = parent[np.linspace(0, max(n - 1, 0), min(n, _ASKED)).astype(np.int64)]
    roots, votes = np.unique(asked, return_counts=True)
    largest = roots[votes.argmax()] if n else none
    for_rows(n, n_threads, lambda a, b: _join(a, b, *rows, parent, _FIRST_EDGES, n, largest))
    for_rows(n, n_threads, lambda a, b: _flatten(a, b, parent))
    labels = np.empty(n, np.int32)
    return int(_number(parent, labels)), labels


@inline
def _root(parent: Any, i: Any) -> Any:
    """Follow parents to the root, halving the path on the way.

    What another thread has meanwhile written is an ancestor too.
    """
    above = parent[i]
    while above != i:
        next_above = parent[above]
        if next_above != above:
            parent[i] = next_above
        i, above = above, next_above
    return i


@inline
def _unite(parent: Any, i: Any, j: Any) -> None:
    """Join two trees; the root with the smaller number stays one."""
    a, b = _root(parent, np.uint32(i)), _root(parent, np.uint32(j))
    while a != b:
        low, high = min(a, b), max(a, b)
        found = compare_exchange(parent, np.int64(high), high, low)
        if found == high:
            return
        # Somebody else was faster: `high` is no root any more.
        a, b = _root(parent, found), _root(parent, low)


@kernel()
def _join(
    first: Any,
    last: Any,
    indptr: Any,
    indices: Any,
    parent: Any,
    first_edge: Any,
    last_edge: Any,
    largest: Any,
) -> None:
    """Join vertices to their neighbours by some edges of each row; not those of one component."""
    for i in range(np.uint64(first), np.uint64(last)):
        if _root(parent, np.uint32(i)) == largest:
            continue
        begin = np.uint64(indptr[i])
        end = min(np.uint64(indptr[i + np.uint64(1)]), begin + np.uint64(last_edge))
        for e in range(begin + np.uint64(first_edge), end):
            _unite(parent, i, indices[e])


@kernel()
def _flatten(first: Any, last: Any, parent: Any) -> None:
    """Make the root of every vertex its parent."""
    for i in range(np.uint64(first), np.uint64(last)):
        parent[i] = _root(parent, np.uint32(i))


@kernel()
def _number(parent: Any, labels: Any) -> int:
    """Label vertices by the number of their root, which is the component's first vertex."""
    count = 0
    for i in range(np.uint64(parent.shape[0])):
        root = np.uint64(parent[i])
        if root == i:
            labels[i] = count
            count += 1
        else:
            labels[i] = labels[root]
    return count
