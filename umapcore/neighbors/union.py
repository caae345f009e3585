"""Union of the directed weights, which are the views of the vertices: rows → symmetric CSR.

Vertex i gives j the weight a, and j gives i the weight b. The weight of the edge is the probability
that at least one of the two exists, a + b - ab (McInnes, Healy and Melville 2018, section 3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows
from umapcore._kit.simd import SIMD_WIDTH, add_lanes, fill, load, where
from umapcore._kit.threads import thread_count
from umapcore._kit.views import flat
from umapcore.neighbors.entries import COLUMN_SHIFT, NO_ENTRY, column_of, entry_of, weight_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows in a task of a thread.
ROWS_PER_TASK = 4096
_INT32_ENTRIES = 2**31
#: Maximum number of parts of the transpose; each of them has a number for every vertex.
_MOST_PARTS = 16


def fuzzy_union(
    views: NDArray[np.int64], counts: NDArray[np.int64], mix_ratio: float, n_threads: int | None
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Combine directed weights into one symmetric graph.

    Parameters
    ----------
    views, counts
        int64, (n, width) and (n,), as :func:`umapcore.neighbors.smooth_knn.memberships` writes
        them: row i has ``counts[i]`` entries, sorted by column, then `NO_ENTRY`.
    mix_ratio
        1: the union a + b - ab; 0: the intersection ab; between them: a mixture.
    n_threads
        Threads to use; None takes the settings' number.

    Returns
    -------
    float32, n × n, canonical; the same bits for any number of threads.
    """
    n = counts.shape[0]
    threads = thread_count(n_threads)
    starts, mirrored = _mirror(views, counts, threads)
    indptr = np.zeros(n + 1, np.int64)
    only_both = mix_ratio == 0.0
    given = (views, counts, starts, mirrored, only_both)
    for_rows(n, threads, lambda a, b: _count_union(a, b, *given, indptr[1:]), ROWS_PER_TASK)
    np.cumsum(indptr, out=indptr)
    small = max(n, int(indptr[-1])) < _INT32_ENTRIES
    indices = np.empty(int(indptr[-1]), np.int32 if small else np.int64)
    data = np.empty(indices.shape[0], np.float32)

    def join(a: int, b: int) -> None:
        _join(a, b, views, starts, mirrored, only_both, mix_ratio, indptr, indices, data)

    for_rows(n, threads, join, ROWS_PER_TASK)
    graph = sparse.csr_array(
        (data, indices, indptr.astype(indices.dtype, copy=False)), shape=(n, n), copy=False
    )
    graph.has_sorted_indices = True
    graph.has_canonical_format = True
    return graph


def _mirror(
    views: NDArray[np.int64], counts: NDArray[np.int64], threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Transpose the views by counting; return where the new rows start, and the rows.

    `NO_ENTRY` follows each row. A thread writes the entries of a range of rows after those of all
    earlier rows. The heads in a row of the transpose are therefore sorted, and their positions are
    the same for any number of threads.
    """
    n = counts.shape[0]
    n_parts = min(threads, _MOST_PARTS) if n > ROWS_PER_TASK else 1
    step = -(-n // n_parts)
    places = np.zeros((n_parts, n), np.int64)
    for_rows(n, threads, lambda a, b: _count_columns(a, b, views, counts, places[a // step]), step)
    starts = np.empty(n + 1, np.int64)
    _lay_out(places, starts)
    mirrored = np.empty(int(starts[-1]), np.int64)

    def transpose(a: int, b: int) -> None:
        _transpose(a, b, views, counts, places[a // step], mirrored)

    for_rows(n, threads, transpose, step)
    mirrored[starts[1:] - 1] = NO_ENTRY
    return starts, mirrored


@kernel()
def _count_columns(first: Any, last: Any, views: Any, counts: Any, seen: Any) -> None:
    """Count how often each column occurs in the rows `first` … `last` - 1."""
    for i in range(first, last):
        for j in range(counts[i]):
            seen[column_of(views[i, j])] += 1


@kernel()
def _lay_out(places: Any, starts: Any) -> None:
    """Replace each part's number of entries in a column by the position of the first one."""
    at = 0
    for column in range(places.shape[1]):
        starts[column] = at
        for part in range(places.shape[0]):
            count = places[part, column]
            places[part, column] = at
            at += count
        at += 1
    starts[places.shape[1]] = at


@kernel()
def _transpose(first: Any, last: Any, views: Any, counts: Any, free: Any, mirrored: Any) -> None:
    """Write the entries of the rows `first` … `last` - 1 to their next free positions."""
    for i in range(first, last):
        for j in range(counts[i]):
            entry = views[i, j]
            column = column_of(entry)
            at = free[column]
            mirrored[at] = entry_of(i, weight_of(entry))
            free[column] = at + 1


@kernel()
def _count_union(
    first: Any,
    last: Any,
    views: Any,
    counts: Any,
    starts: Any,
    mirrored: Any,
    only_both: Any,
    degrees: Any,
) -> None:
    """Count the entries of each row of the graph."""
    width = np.uint64(views.shape[1])
    flattened = flat(views)
    none, one = fill(np.int64(0)), fill(np.int64(1))
    for i in range(first, last):
        begin, end = starts[i], starts[i + 1] - 1
        alike = none
        for at in range(np.uint64(0), width, np.uint64(SIMD_WIDTH)):
            columns = load(flattened, np.uint64(i) * width + at) >> COLUMN_SHIFT
            for e in range(begin, end):
                is_same = columns == mirrored[e] >> COLUMN_SHIFT
                alike = alike + where(is_same, one, none)
        both = add_lanes(alike)
        degrees[i] = both if only_both else counts[i] + (end - begin) - both


@kernel()
def _join(
    first: Any,
    last: Any,
    views: Any,
    starts: Any,
    mirrored: Any,
    only_both: Any,
    mix_ratio: Any,
    indptr: Any,
    indices: Any,
    data: Any,
) -> None:
    """Merge the rows of the views and of their transpose."""
    width = np.uint64(views.shape[1])
    flattened = flat(views)
    for i in range(np.uint64(first), np.uint64(last)):
        own_at, other_at = i * width, np.uint64(starts[i])
        at, end = np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])
        # Which column is smaller is unpredictable, so there must be no branch on it.
        while at < end:
            own, other = flattened[own_at], mirrored[other_at]
            column, head = own >> COLUMN_SHIFT, other >> COLUMN_SHIFT
            mine, theirs = column <= head, head <= column
            a = np.float64(weight_of(own)) if mine else 0.0
            b = np.float64(weight_of(other)) if theirs else 0.0
            both = a * b
            indices[at] = min(column, head)
            data[at] = np.float32(mix_ratio * ((a + b) - both) + (1.0 - mix_ratio) * both)
            own_at += np.uint64(mine)
            other_at += np.uint64(theirs)
            # If both are required, the next entry overwrites an entry that only one has.
            at += np.uint64(mine & theirs) if only_both else np.uint64(1)
