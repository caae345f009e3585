"""Union of the views that vertices have of each other: weights of rows → symmetric CSR.

Vertex i sees j by the weight a, and j sees i by the weight b. The edge has the probability that
at least one of them is there, a + b - ab (McInnes, Healy and Melville 2018, section 3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore.jit import kernel
from umapcore.rows import over_rows
from umapcore.threads import thread_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows of a task of the threads.
ROWS_PER_TASK = 4096
_INT32_ENTRIES = 2**31


def fuzzy_union(
    columns: NDArray[np.int32],
    weights: NDArray[np.float32],
    counts: NDArray[np.int64],
    mix_ratio: float,
    n_threads: int | None,
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Join directed weights to one symmetric graph.

    Parameters
    ----------
    columns, weights
        int32 and float32, (n, k): of row i the first ``counts[i]`` entries, sorted by column,
        weights above 0.
    counts
        int64, (n,).
    mix_ratio
        1: the union a + b - ab; 0: the intersection ab; between: a mixture.
    n_threads
        Threads to use; None takes the settings' number.

    Returns
    -------
    float32, n × n, canonical; the same bits for any number of threads.
    """
    n = counts.shape[0]
    threads = thread_count(n_threads)
    # Threads share the columns out, not the rows: every row of the transpose is filled in order.
    step = max(1, -(-n // threads)) if n > ROWS_PER_TASK else n
    seen = np.zeros(n + 1, np.int64)
    over_rows(n, threads, lambda a, b: _count_columns(a, b, columns, counts, seen[1:]), step)
    np.cumsum(seen, out=seen)
    heads = np.empty(int(seen[-1]), np.int32)
    mirrored = np.empty(heads.shape[0], np.float32)
    free = seen[:-1].copy()

    def transpose(a: int, b: int) -> None:
        _transpose(a, b, columns, weights, counts, free, heads, mirrored)

    over_rows(n, threads, transpose, step)

    views = (columns, weights, counts, seen, heads, mirrored)
    indptr = np.zeros(n + 1, np.int64)
    only_both = mix_ratio == 0.0

    def count(a: int, b: int) -> None:
        _count_union(a, b, *views, only_both, indptr[1:])

    over_rows(n, threads, count, ROWS_PER_TASK)
    np.cumsum(indptr, out=indptr)
    small = max(n, int(indptr[-1])) < _INT32_ENTRIES
    indices = np.empty(int(indptr[-1]), np.int32 if small else np.int64)
    data = np.empty(indices.shape[0], np.float32)

    def join(a: int, b: int) -> None:
        _join(a, b, *views, only_both, mix_ratio, indptr, indices, data)

    over_rows(n, threads, join, ROWS_PER_TASK)
    graph = sparse.csr_array(
        (data, indices, indptr.astype(indices.dtype, copy=False)), shape=(n, n), copy=False
    )
    graph.has_sorted_indices = True
    graph.has_canonical_format = True
    return graph


@kernel()
def _count_columns(first: Any, last: Any, columns: Any, counts: Any, seen: Any) -> None:
    """Count the entries of the columns `first` … `last` - 1."""
    for i in range(columns.shape[0]):
        for j in range(counts[i]):
            column = columns[i, j]
            if column >= last:
                break
            if column >= first:
                seen[column] += 1


@kernel()
def _transpose(
    first: Any,
    last: Any,
    columns: Any,
    weights: Any,
    counts: Any,
    free: Any,
    heads: Any,
    mirrored: Any,
) -> None:
    """Write the rows `first` … `last` - 1 of the transpose; heads come in order by themselves."""
    for i in range(columns.shape[0]):
        for j in range(counts[i]):
            column = columns[i, j]
            if column >= last:
                break
            if column >= first:
                at = free[column]
                heads[at] = i
                mirrored[at] = weights[i, j]
                free[column] = at + 1


@kernel()
def _count_union(
    first: Any,
    last: Any,
    columns: Any,
    weights: Any,
    counts: Any,
    seen: Any,
    heads: Any,
    mirrored: Any,
    only_both: Any,
    degrees: Any,
) -> None:
    for i in range(first, last):
        j, count = np.int64(0), counts[i]
        e, end = seen[i], seen[i + 1]
        both = np.int64(0)
        # Which of the two is ahead cannot be foretold: there must be no branch on it.
        while j < count and e < end:
            own, other = columns[i, j], heads[e]
            both += np.int64(own == other)
            j += np.int64(own <= other)
            e += np.int64(other <= own)
        degrees[i] = both if only_both else count + (end - seen[i]) - both


@kernel()
def _join(
    first: Any,
    last: Any,
    columns: Any,
    weights: Any,
    counts: Any,
    seen: Any,
    heads: Any,
    mirrored: Any,
    only_both: Any,
    mix_ratio: Any,
    indptr: Any,
    indices: Any,
    data: Any,
) -> None:
    for i in range(first, last):
        at = indptr[i]
        j, count = np.int64(0), counts[i]
        e, end = seen[i], seen[i + 1]
        while j < count and e < end:
            own, other = columns[i, j], heads[e]
            mine, theirs = own <= other, other <= own
            a = np.float64(weights[i, j]) * np.float64(mine)
            b = np.float64(mirrored[e]) * np.float64(theirs)
            both = a * b
            if at < indptr[i + 1]:
                indices[at] = min(own, other)
                data[at] = np.float32(mix_ratio * ((a + b) - both) + (1.0 - mix_ratio) * both)
            j += np.int64(mine)
            e += np.int64(theirs)
            # Where both are wanted, an entry of one is written over by the next.
            at += np.int64(mine & theirs) if only_both else 1
        if only_both:
            continue
        for rest in range(j, count):
            indices[at] = columns[i, rest]
            data[at] = np.float32(mix_ratio * np.float64(weights[i, rest]))
            at += 1
        for rest in range(e, end):
            indices[at] = heads[rest]
            data[at] = np.float32(mix_ratio * np.float64(mirrored[rest]))
            at += 1
