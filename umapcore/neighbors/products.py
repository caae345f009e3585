"""Exact search among sparse points, by matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows
from umapcore.neighbors.top_k import keep_nearest, own_first, rows_of_block

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Products in a block of rows, at most: Ctrl-C waits for the end of a block.
_PRODUCTS = 2e7


def knn_by_products(
    points: Any, k: int, n_threads: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find neighbours of sparse points, with squared distances.

    The neighbours are selected by |x|² + |y|² - 2 x·y. Their distances are then computed from
    differences, because that formula cannot tell duplicates from points that are only close.
    """
    wide = sparse.csr_array(points.astype(np.float64))
    across = wide.T.tocsr()
    lengths = np.asarray(wide.multiply(wide).sum(axis=1)).ravel()
    n = points.shape[0]
    indices, squares = own_first(n, k)
    of_columns = np.diff(across.indptr).astype(np.float64)
    of_a_row = float(of_columns @ of_columns) / n
    step = min(rows_of_block(n), max(1, int(_PRODUCTS / max(of_a_row, 1.0))))

    def search(first: int, last: int) -> None:
        rows = slice(first, last)
        block = -2.0 * (wide[rows] @ across).toarray()
        block += lengths
        block += lengths[rows, None]
        keep_nearest(first, block, indices, squares)
        _square_differences(first, last, wide.indptr, wide.indices, wide.data, indices, squares)

    for_rows(n, n_threads, search, step)
    return indices, squares


@kernel()
def _square_differences(
    first: Any, last: Any, indptr: Any, columns: Any, data: Any, indices: Any, squares: Any
) -> None:
    """Compute squared distances to the neighbours of some rows from differences, and sort."""
    for i in range(first, last):
        for j in range(1, indices.shape[1]):
            other = indices[i, j]
            e, end = indptr[i], indptr[i + 1]
            f, stop = indptr[other], indptr[other + 1]
            total = 0.0
            while e < end or f < stop:
                own = columns[e] if e < end else np.iinfo(np.int32).max
                their = columns[f] if f < stop else np.iinfo(np.int32).max
                difference = 0.0
                if own <= their:
                    difference += data[e]
                    e += 1
                if their <= own:
                    difference -= data[f]
                    f += 1
                total += difference * difference
            square = np.float32(total)
            at = j
            while at > 1 and (
                squares[i, at - 1] > square
                or (squares[i, at - 1] == square and indices[i, at - 1] > other)
            ):
                indices[i, at] = indices[i, at - 1]
                squares[i, at] = squares[i, at - 1]
                at -= 1
            indices[i, at] = other
            squares[i, at] = square
