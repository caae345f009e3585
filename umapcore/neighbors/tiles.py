"""Exact search among dense points: tiles of them are compared side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import for_rows
from umapcore.neighbors.top_k import keep, own_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Points that are compared side by side.
TILE = 64
#: Coordinates that are added up before the sums are stored.
_TERMS = 4
_ROWS_PER_TASK = 64


def knn_by_tiles(
    points: NDArray[np.float32], k: int, n_threads: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Neighbours and squared distances of dense points."""
    n = points.shape[0]
    rows, across = tiled(points)
    indices, squares = own_first(n, k)

    def search(a: int, b: int) -> None:
        _search_tiles(a, b, n, rows, across, indices, squares)

    for_rows(n, n_threads, search, _ROWS_PER_TASK)
    return indices, squares


def tiled(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give points, filled up with zeros, by rows, and in tiles of coordinates side by side."""
    n, p = points.shape
    padded = max(_TERMS, -(-p // _TERMS) * _TERMS)
    tiles = np.zeros((-(-n // TILE), TILE, padded), np.float32)
    tiles.reshape(-1, padded)[:n, :p] = points
    return tiles.reshape(-1, padded), np.ascontiguousarray(tiles.transpose(0, 2, 1))


@inline
def add_squares(point: Any, lanes: Any, sums: Any) -> None:
    """Write the squared distances of a point to those of a tile."""
    sums[:] = np.float32(0.0)
    for c in range(0, point.shape[0], _TERMS):
        x0, x1, x2, x3 = point[c], point[c + 1], point[c + 2], point[c + 3]
        y0, y1, y2, y3 = lanes[c], lanes[c + 1], lanes[c + 2], lanes[c + 3]
        for lane in range(TILE):
            d0 = x0 - y0[lane]
            d1 = x1 - y1[lane]
            d2 = x2 - y2[lane]
            d3 = x3 - y3[lane]
            sums[lane] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)


@kernel()
def _search_tiles(
    first: Any, last: Any, n: Any, rows: Any, across: Any, indices: Any, squares: Any
) -> None:
    """Compare the points `first` … `last` - 1 with all, tile by tile, which then stays cached."""
    k = indices.shape[1]
    if k < 2:
        return
    sums = np.empty(TILE, np.float32)
    for tile in range(across.shape[0]):
        lanes = across[tile]
        for i in range(first, last):
            add_squares(rows[i], lanes, sums)
            base = tile * TILE
            worst = squares[i, k - 1]
            for lane in range(min(TILE, n - base)):
                if sums[lane] < worst and base + lane != i:
                    keep(indices[i], squares[i], base + lane, sums[lane], 1)
                    worst = squares[i, k - 1]
