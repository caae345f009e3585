"""Connected components by parallel union-find.

Threads join trees by compare-and-swap on the parents of roots (Anderson and Woll, STOC 1991). Most
edges of the largest component are skipped (Sutton, Ben-Nun and Barak, IPDPS 2018): a few edges of
each vertex join nearly all of it, then only vertices outside of it need their other edges. When
two trees are joined, the smaller root stays a root. So in any order of the threads, the final
root of a component is its first vertex.

Parents are read and written in no particular order of memory. An old parent is also an ancestor:
parents only ever change to ancestors, which have smaller numbers. A thread that takes a vertex for
a root that is none any more either finds that out, since a compare-and-swap compares with the
newest value, or joins a tree to it, which is as good as to its root. So nothing is lost and no
circle is made, whatever a processor reorders; between two passes, all threads have ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import read_only
from umapcore._kit.atomics import compare_exchange, load_any_order, store_any_order
from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

#: Edges of each vertex that are joined in the first pass.
_FIRST_EDGES = 2
#: Vertices in the sample that estimates which component is the largest.
_ASKED = 1024


def connected_components(
    graph: sparse.csr_array[Any, Any], *, n_threads: int | None = None
) -> tuple[int, NDArray[np.int32]]:
    """Label the connected components of a symmetric graph.

    Parameters
    ----------
    graph
        Symmetric CSR, n × n, as :func:`umapcore.graph.csr.prepare_graph` returns it.
    n_threads
        Maximum number of threads; the labels do not depend on it.

    Returns
    -------
    n_components
        Number of components.
    labels
        int32, (n,): component of each vertex; components are numbered in the order of their first
        vertices.
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
    """Return the root of a vertex, and halve the path to it.

    Parents that other threads write in the meantime are ancestors too.
    """
    above = load_any_order(parent, np.int64(i))
    while above != i:
        next_above = load_any_order(parent, np.int64(above))
        if next_above != above:
            store_any_order(parent, np.int64(i), next_above)
        i, above = above, next_above
    return i


@inline
def _unite(parent: Any, i: Any, j: Any) -> None:
    """Join two trees; the root with the smaller number stays a root."""
    a, b = _root(parent, np.uint32(i)), _root(parent, np.uint32(j))
    while a != b:
        low, high = min(a, b), max(a, b)
        found = compare_exchange(parent, np.int64(high), high, low)
        if found == high:
            return
        # Another thread was faster: `high` is no longer a root.
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
    """Join vertices to their neighbours along some edges of each row; skip component `largest`."""
    for i in range(np.uint64(first), np.uint64(last)):
        if _root(parent, np.uint32(i)) == largest:
            continue
        begin = np.uint64(indptr[i])
        end = min(np.uint64(indptr[i + np.uint64(1)]), begin + np.uint64(last_edge))
        for e in range(begin + np.uint64(first_edge), end):
            _unite(parent, i, indices[e])


@kernel()
def _flatten(first: Any, last: Any, parent: Any) -> None:
    """Set the parent of every vertex to its root."""
    for i in range(np.uint64(first), np.uint64(last)):
        store_any_order(parent, np.int64(i), _root(parent, np.uint32(i)))


@kernel()
def _number(parent: Any, labels: Any) -> int:
    """Label vertices by component, and return the number of components.

    The root of a component is its first vertex. Parents may be other ancestors than the root, where
    one thread has halved a path that another one was flattening.
    """
    count = 0
    for i in range(np.uint64(parent.shape[0])):
        root = np.uint64(parent[i])
        if root == i:
            labels[i] = count
            count += 1
        else:
            labels[i] = labels[root]
    return count
