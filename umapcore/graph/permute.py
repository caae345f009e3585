"""Renumber the vertices of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import Csr, read_only
from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows
from umapcore._kit.scratch import Sink, scratch_of, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def permute(
    graph: Csr,
    order: NDArray[np.int32],
    *,
    names: NDArray[np.int32] | None = None,
    n_threads: int | None = None,
) -> Csr:
    """Renumber the vertices of a CSR.

    Parameters
    ----------
    graph
        CSR, n × n.
    order
        (n,): place p gets vertex ``order[p]``; its edges keep their order.
    names
        (n,): new number of each vertex in the columns; None: its place.
    n_threads
        Maximum number of threads.

    Returns
    -------
    The new CSR, read-only. It is written to the scratch of the graph if that has one. Rows are read
    in their own order, once for each window of the result, because disks are slow in any other.
    """
    n = order.shape[0]
    scratch = scratch_of(graph.indices)
    place = np.empty(n, np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    indptr = np.zeros(n + 1, graph.indptr.dtype)
    np.cumsum(np.diff(graph.indptr)[order], out=indptr[1:])
    names = read_only(place if names is None else names)
    source = (read_only(place), names, Csr(*map(read_only, graph)), read_only(indptr))
    indices, weights = Sink(scratch, graph.indices.dtype), Sink(scratch, graph.weights.dtype)
    for low, high in windows(indptr, scratch):
        count = int(indptr[high] - indptr[low])
        part = (np.empty(count, graph.indices.dtype), np.empty(count, graph.weights.dtype))

        def copy(a: int, b: int, low: int = low, high: int = high, part: Any = part) -> None:
            _copy_rows(a, b, low, high, *source, *part)

        for_rows(n, n_threads, copy)
        indices.append(part[0])
        weights.append(part[1])
    return Csr(read_only(indptr), read_only(indices.array()), read_only(weights.array()))


@kernel()
def _copy_rows(
    first: Any,
    last: Any,
    low: Any,
    high: Any,
    place: Any,
    names: Any,
    graph: Any,
    indptr: Any,
    indices: Any,
    weights: Any,
) -> None:
    """Copy those of the rows `first` … `last` - 1 whose places are `low` … `high` - 1."""
    one = np.uint64(1)
    base = np.uint64(indptr[low])
    for i in range(np.uint64(first), np.uint64(last)):
        p = place[i]
        if p < low or p >= high:
            continue
        to = np.uint64(indptr[np.uint64(p)]) - base
        for e in range(np.uint64(graph.indptr[i]), np.uint64(graph.indptr[i + one])):
            indices[to] = names[np.uint64(graph.indices[e])]
            weights[to] = graph.weights[e]
            to += one
