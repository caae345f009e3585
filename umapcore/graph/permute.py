"""Graphs with their vertices renumbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import read_only
from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def permute(
    indptr: NDArray[Any],
    indices: NDArray[Any],
    weights: NDArray[np.float32],
    order: NDArray[np.int32],
    *,
    n_threads: int | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
    """Renumber the vertices of a CSR.

    Parameters
    ----------
    indptr, indices, weights
        CSR, n × n.
    order
        (n,): place p gets vertex ``order[p]``, its edges in the order in which they are.
    n_threads
        Threads at most.

    Returns
    -------
    indptr, indices, weights of the new CSR, read-only.
    """
    n = order.shape[0]
    place = np.empty(n, np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    new_indptr = np.zeros(n + 1, indptr.dtype)
    np.cumsum(np.diff(indptr)[order], out=new_indptr[1:])
    new_indices, new_weights = np.empty_like(indices), np.empty_like(weights)
    source = [read_only(array) for array in (order, place, indptr, indices, weights, new_indptr)]
    for_rows(n, n_threads, lambda a, b: _copy_rows(a, b, *source, new_indices, new_weights))
    return new_indptr, read_only(new_indices), read_only(new_weights)


@kernel()
def _copy_rows(
    first: Any,
    last: Any,
    order: Any,
    place: Any,
    indptr: Any,
    indices: Any,
    weights: Any,
    new_indptr: Any,
    new_indices: Any,
    new_weights: Any,
) -> None:
    one = np.uint64(1)
    for p in range(np.uint64(first), np.uint64(last)):
        i = np.uint64(order[p])
        to = np.uint64(new_indptr[p])
        for e in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            new_indices[to] = place[np.uint64(indices[e])]
            new_weights[to] = weights[e]
            to += one
