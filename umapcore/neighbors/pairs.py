"""Rows of coordinates, and the squared distance of one pair of rows.

All searches compute distances by :func:`square`, so all of them give the same bits. Its order of
operations: each of sixteen sums adds the squared differences at its place of every block of sixteen
coordinates, from the first block to the last; then halves of the sums are added until one is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.jit import U0, inline
from umapcore._kit.mapped import empty_beside
from umapcore._kit.parallel import for_rows
from umapcore._kit.simd import SIMD_WIDTH, fill, load, sum_of_halves

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Coordinates in a block: a cache line.
BLOCK = 16
#: Rows that are copied at a time.
_ROWS = 8192
_HALF, _STEP = np.uint64(SIMD_WIDTH), np.uint64(BLOCK)


class Points(NamedTuple):
    """Points as rows of whole blocks.

    Attributes
    ----------
    rows
        float32, flat, on cache lines; zeros after the last coordinate of a row.
    stride
        uint64: length of a row.
    n_words
        int64: pairs of coordinates.
    """

    rows: Any
    stride: Any
    n_words: Any

    def number(self) -> int:
        """Return how many points there are."""
        return int(self.rows.shape[0] // int(self.stride))


def row_length(p: int) -> int:
    """Return the length of a row of p coordinates."""
    return max(1, -(-p // BLOCK)) * BLOCK


def as_rows(
    points: NDArray[np.float32],
    order: NDArray[np.int32] | None = None,
    n_threads: int | None = 1,
) -> Points:
    """Copy points, (n, p), to rows of whole blocks, in another order if one is given.

    The rows are in a scratch file if the points are.
    """
    n, p = points.shape
    stride = row_length(p)
    flat = empty_beside(points, (n * stride + BLOCK,), np.float32)
    skip = -flat.ctypes.data % (4 * BLOCK) // 4
    flat = flat[skip : skip + n * stride]
    rows = flat.reshape(n, stride)

    def copy(a: int, b: int) -> None:
        rows[a:b, :p] = points[a:b] if order is None else points[order[a:b]]
        rows[a:b, p:] = 0

    for_rows(n, n_threads, copy, _ROWS)  # in parts: a signal is handled between them
    return Points(flat, np.uint64(stride), np.int64(-(-p // 2)))


@inline
def square(a: Any, at: Any, b: Any, other: Any, stride: Any) -> Any:
    """Return the squared distance between the rows at `at` and `other` (uint64) of two arrays."""
    low = fill(np.float32(0.0))
    high = low
    for c in range(U0, stride, _STEP):
        d = load(a, at + c) - load(b, other + c)
        e = load(a, at + c + _HALF) - load(b, other + c + _HALF)
        low = low + d * d
        high = high + e * e
    return sum_of_halves(low + high)


@inline
def product(a: Any, at: Any, b: Any, other: Any, stride: Any) -> Any:
    """Return the scalar product of two rows, summed in the same order."""
    low = fill(np.float32(0.0))
    high = low
    for c in range(U0, stride, _STEP):
        low = low + load(a, at + c) * load(b, other + c)
        high = high + load(a, at + c + _HALF) * load(b, other + c + _HALF)
    return sum_of_halves(low + high)
