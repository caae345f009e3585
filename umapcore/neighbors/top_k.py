"""Rows of the nearest neighbours that a search has found so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Entries of a block of distances to all points.
_BLOCK_ENTRIES = 2**22


def rows_of_block(n: int) -> int:
    """Rows whose distances to all of n points are worked out at a time."""
    return max(1, _BLOCK_ENTRIES // n)


def own_first(n: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Neighbours and squared distances, of which only those of the points themselves are known."""
    indices = np.full((n, k), -1, np.int32)
    squares = np.full((n, k), np.inf, np.float32)
    indices[:, 0], squares[:, 0] = np.arange(n), 0.0
    return indices, squares


@inline
def keep(indices: Any, squares: Any, column: Any, square: Any, foremost: Any) -> None:
    """Put a neighbour that is nearer than the last one where it belongs, behind its equals.

    Places before `foremost` are not for it.
    """
    at = indices.shape[0] - 1
    while at > foremost and squares[at - 1] > square:
        indices[at] = indices[at - 1]
        squares[at] = squares[at - 1]
        at -= 1
    indices[at] = column
    squares[at] = square


@kernel()
def keep_nearest(first: Any, block: Any, indices: Any, squares: Any) -> None:
    """Keep the nearest of all points for the rows of a block, which begins with row `first`."""
    k = indices.shape[1]
    for r in range(block.shape[0]):
        i = first + r
        if k < 2:
            continue
        worst = squares[i, k - 1]
        for j in range(block.shape[1]):
            d = np.float32(block[r, j])
            if d != d:
                squares[i, k - 1] = d
                break
            if d < worst and j != i:
                keep(indices[i], squares[i], j, d, 1)
                worst = squares[i, k - 1]
