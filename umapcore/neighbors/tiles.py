"""Exact search among dense points: a point is compared with a tile of points at a time."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import for_rows, run_interruptibly
from umapcore.neighbors.top_k import keep, own_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Points in a tile.
TILE = 64
#: Coordinates that are summed before the sums are stored.
_TERMS = 4
#: Rows in a piece of work: they share a tile while it is cached.
_ROWS_PER_TASK = 64
#: Pieces with more terms than this take longer than Ctrl-C should.
_LONG = 1e8
#: Tiles that are transposed at a time.
_TRANSPOSED = 64


def knn_by_tiles(
    points: NDArray[np.float32], queries: NDArray[np.float32] | None, k: int, n_threads: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find neighbours among dense points, with squared distances.

    If `queries` is None, the neighbours are those of the points, each first in its own row.
    """
    n = points.shape[0]
    rows, across = _tiled(points)
    if queries is None:
        indices, squares = own_first(n, k)
    else:
        rows, _ = _tiled(queries)
        indices = np.full((queries.shape[0], k), -1, np.int32)
        squares = np.full(indices.shape, np.inf, np.float32)

    stopped = Event()

    def search(a: int, b: int) -> None:
        if not stopped.is_set():
            _search(a, b, n, rows, across, indices, squares, queries is None)

    def search_all() -> None:
        for_rows(indices.shape[0], n_threads, search, _ROWS_PER_TASK)

    if _ROWS_PER_TASK * across.size > _LONG:
        run_interruptibly(search_all, stopped.set)
    else:
        search_all()
    return indices, squares


def _tiled(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return zero-padded points twice: as rows, and as tiles transposed to coordinates × points."""
    n, p = points.shape
    padded = max(_TERMS, -(-p // _TERMS) * _TERMS)
    tiles = np.zeros((-(-n // TILE), TILE, padded), np.float32)
    rows = tiles.reshape(-1, padded)
    across = np.empty((tiles.shape[0], padded, TILE), np.float32)
    for first in range(0, tiles.shape[0], _TRANSPOSED):
        some = slice(first, first + _TRANSPOSED)
        of_some = slice(first * TILE, min(n, (first + _TRANSPOSED) * TILE))
        rows[of_some, :p] = points[of_some]
        across[some] = tiles[some].transpose(0, 2, 1)
    return rows, across


@inline
def _add_squares(point: Any, lanes: Any, sums: Any) -> None:
    """Compute the squared distances from a point to the points of a tile."""
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
def _search(
    first: Any, last: Any, n: Any, rows: Any, across: Any, indices: Any, squares: Any, own: Any
) -> None:
    """Compare the rows `first` … `last` - 1 with all points, tile by tile, so tiles stay cached.

    `own`: the rows are the points, and each is in its place already.
    """
    k = indices.shape[1]
    foremost = 1 if own else 0
    if k <= foremost:
        return
    sums = np.empty(TILE, np.float32)
    for tile in range(across.shape[0]):
        lanes = across[tile]
        for i in range(first, last):
            _add_squares(rows[i], lanes, sums)
            base = tile * TILE
            worst = squares[i, k - 1]
            for lane in range(min(TILE, n - base)):
                if sums[lane] < worst and not (own and base + lane == i):
                    keep(indices[i], squares[i], base + lane, sums[lane], foremost)
                    worst = squares[i, k - 1]
