"""Renumber the vertices of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import Csr, read_only
from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def permute(graph: Csr, order: NDArray[np.int32], *, n_threads: int | None = None) -> Csr:
    """Renumber the vertices of a CSR.

    Parameters
    ----------
    graph
        CSR, n × n.
    order
        (n,): place p gets vertex ``order[p]``; its edges keep their order.
    n_threads
        Maximum number of threads.

    Returns
    -------
    The new CSR, read-only.
    """
    n = order.shape[0]
    place = np.empty(n, np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    indptr = np.zeros(n + 1, graph.indptr.dtype)
    np.cumsum(np.diff(graph.indptr)[order], out=indptr[1:])
    new = Csr(indptr, np.empty_like(graph.indices), np.empty_like(graph.weights))
    source = (read_only(order), read_only(place), Csr(*map(read_only, graph)))
    for_rows(n, n_threads, lambda a, b: _copy_rows(a, b, *source, new))
    return Csr(*map(read_only, new))


@kernel()
def _copy_rows(first: Any, last: Any, order: Any, place: Any, graph: Any, new: Any) -> None:
    one = np.uint64(1)
    for p in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(order[p])
        to = np.uint64(new.indptr[p])
        for e in range(np.uint64(graph.indptr[i]), np.uint64(graph.indptr[i + one])):
            new.indices[to] = place[np.uint64(graph.indices[e])]
            new.weights[to] = graph.weights[e]
            to += one
