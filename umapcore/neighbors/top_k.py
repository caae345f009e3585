"""Rows of the nearest neighbours that a search has found so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Number of entries in a block of distances to all points.
_BLOCK_ENTRIES = 2**22


def rows_of_block(n: int) -> int:
    """Return how many rows of distances to all n points are computed at a time."""
    return max(1, _BLOCK_ENTRIES // n)


def own_first(n: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return neighbours and squared distances that contain only the points themselves so far."""
    indices = np.full((n, k), -1, np.int32)
    squares = np.full((n, k), np.inf, np.float32)
    indices[:, 0], squares[:, 0] = np.arange(n), 0.0
    return indices, squares


@inline
def keep(indices: Any, squares: Any, column: Any, square: Any, foremost: Any) -> None:
    """Insert a neighbour that is nearer than the last one, after others at equal distances.

    It is never inserted before index `foremost`.
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
    """Keep the nearest of all points for each row of a block, whose first row is `first`."""
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
