"""Exact search among dense points: all pairs are compared, blocks of them at a time."""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.jit import U0, kernel
from umapcore._kit.mapped import empty_beside, is_scratch
from umapcore._kit.parallel import for_rows, run_interruptibly
from umapcore.neighbors.codes import (
    LONGEST,
    MOST,
    Codes,
    encode,
    find_bests,
    find_near,
    greatest_error,
    limit_of,
    parts_of,
    scale_of,
)
from umapcore.neighbors.lists import Lists, empty_lists, keep, least_needed, unpack
from umapcore.neighbors.pairs import Points, as_rows, square
from umapcore.neighbors.tile_products import QUERIES, TILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Tiles in a block: they stay in the fastest cache while queries are compared with them.
_BLOCK_TILES = 16
#: Queries in a piece of work: they share the block.
_ROWS_PER_TASK = 64
#: Bytes of rounded points in a file that all queries are compared with before the next ones.
_FILE_BYTES = 2**26
#: Points that are rounded in a piece of work; whole tiles.
_ENCODED_PER_TASK = 4096
#: Where the longest point has so many times the usual length, points are on several scales.
_MUCH_LONGER = 16.0
#: Then a usual distance of near points is at least so many times the error of rounding.
_ERRORS_PER_DISTANCE = 32.0
#: Points, and queries among them, of which usual distances are found.
_SOME_POINTS, _SOME_QUERIES = 8192, 32
_SOME_FOR_CENTRE = 1024
#: Pieces of work with more products than this take longer than Ctrl-C should.
_LONG = 4e8


class Search(NamedTuple):
    """What is searched.

    Attributes
    ----------
    points, codes
        The points, and the same rounded.
    scale, longest
        float32: steps per unit of length, and the squared length of the longest codes.
    is_far
        Whether a point is longer, so that it may be further from others than its code is.
    """

    points: Points
    codes: Codes
    scale: Any
    longest: Any
    is_far: Any


def knn_by_tiles(
    points: NDArray[np.float32],
    k: int,
    n_threads: int | None,
    report: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the neighbours of dense points, each first in its own row, with squared distances.

    `report` is called with each share of the work that has been done.
    """
    rows = as_rows(points, None, n_threads)
    own = np.arange(points.shape[0], dtype=np.int32)
    found = nearest_lists(rows, rows, own, k - 1, n_threads, report)
    return unpack(found, None, n_threads, beside=rows.rows)


def nearest_by_tiles(
    search: Search, queries: NDArray[np.float32], k: int, n_threads: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the neighbours of other dense points, with squared distances."""
    rows = as_rows(queries, None, n_threads)
    found = nearest_lists(search, rows, None, k, n_threads)
    return unpack(found, None, n_threads, own=False)


def nearest_lists(
    points: Points | Search,
    queries: Points,
    own: NDArray[np.int32] | None,
    k: int,
    n_threads: int | None,
    report: Callable[[float], None] | None = None,
) -> Lists:
    """Find the nearest points of each query.

    Parameters
    ----------
    points, queries
        Rows of the same length; the points may have been prepared.
    own
        int32: numbers of the points that the queries are, which are not their own neighbours; None
        if they are others.
    k
        Length of the lists; may be 0.
    report
        Called with each share of the work that has been done.

    Returns
    -------
    The lists of all queries.
    """
    n = queries.number()
    found = empty_lists(n, k)
    if k == 0 or n == 0:
        return found
    if own is None:
        own = np.full(n, -1, np.int32)
    search = points if isinstance(points, Search) else prepare(points, n_threads)
    stopped = Event()
    rows = search.points
    n_tiles = -(-rows.number() // TILE)
    # Of points in a file, so many at a time as stay in memory.
    step = n_tiles
    if is_scratch(rows.rows):
        step = max(1, _FILE_BYTES // (4 * TILE * int(rows.n_words)))
    ranges = [(first, min(n_tiles, first + step)) for first in range(0, n_tiles, step)]

    def work(tiles: tuple[int, int], a: int, b: int) -> None:
        if not stopped.is_set():
            _search(a, b, search, tiles, queries, own, found)
            if report is not None:
                report((b - a) / (n * len(ranges)))

    def all_work() -> None:
        for tiles in ranges:
            for_rows(n, n_threads, partial(work, tiles), _ROWS_PER_TASK)

    if _ROWS_PER_TASK * rows.rows.shape[0] > _LONG:
        run_interruptibly(all_work, stopped.set)
    else:
        all_work()
    return found


def prepare(points: Points, n_threads: int | None) -> Search:
    """Round the points. How it is done decides only how fast the search is."""
    n, stride = points.number(), int(points.stride)
    rows = points.rows.reshape(n, stride)
    # Medians: a few points that are very far from the others do not matter.
    centre = np.median(rows[:: max(1, n // _SOME_FOR_CENTRE)], axis=0).astype(np.float32)
    lengths = np.empty(n, np.float32)

    def measure(a: int, b: int) -> None:
        _lengths(a, b, points, centre, lengths)

    for_rows(n, n_threads, measure, _ENCODED_PER_TASK)
    longest = np.float32(lengths.max())
    usual = float(np.partition(lengths, n // 2)[n // 2])
    if float(longest) > _MUCH_LONGER**2 * usual:
        longest = np.float32(min(float(longest), _usual_distance(rows) * _fitting(points.n_words)))
    is_far = lengths > longest
    codes = Codes(
        empty_beside(points.rows, (-(-n // TILE) * TILE * int(points.n_words),), np.int32),
        np.empty(-(-n // TILE) * TILE, np.int32),
        centre,
        np.empty(0, np.int32),
    )
    scale = np.float32(_scale(longest, points.n_words))

    def fill(a: int, b: int) -> None:
        _encode(a, b, points, codes, scale, longest)

    for_rows(n, n_threads, fill, _ENCODED_PER_TASK)
    return Search(points, codes, scale, longest, is_far)


def _usual_distance(rows: NDArray[np.float32]) -> float:
    """Return the squared distance of near points on the smaller scales of some points."""
    some = rows[:: max(1, rows.shape[0] // _SOME_POINTS)]
    nearest: list[float] = []
    for query in some[:: max(1, some.shape[0] // _SOME_QUERIES)]:
        squares = ((some - query) ** 2).sum(axis=1)
        nearest.append(float(squares[squares > 0].min(initial=np.inf)))
    return sorted(nearest)[len(nearest) // 10]


def _fitting(n_words: np.int64) -> float:
    """Return how many times a usual distance the longest codes are, squared."""
    return float((LONGEST / (_ERRORS_PER_DISTANCE * float(_error(n_words)))) ** 2)


@kernel()
def _error(n_words: Any) -> Any:
    return greatest_error(n_words)


@kernel()
def _scale(longest: Any, n_words: Any) -> Any:
    return scale_of(longest, n_words)


@kernel()
def _lengths(first: Any, last: Any, points: Points, centre: Any, lengths: Any) -> None:
    for i in range(first, last):
        at = np.uint64(i) * points.stride
        lengths[i] = square(points.rows, at, centre, U0, points.stride)


@kernel()
def _encode(first: Any, last: Any, points: Points, codes: Codes, scale: Any, longest: Any) -> None:
    row = np.empty(np.int64(points.stride), np.int32)
    own = Codes(codes.words, codes.squares, codes.centre, row)
    members = np.empty(last - first, np.int32)
    for i in range(first, last):
        members[i - first] = i
    encode(points, members, scale, longest, own, first)


@kernel(seconds=4)
def _search(
    first: Any, last: Any, search: Search, tiles: Any, queries: Points, own: Any, found: Lists
) -> None:
    """Compare the queries `first` … `last` - 1 with the points of some tiles, block by block."""
    points, codes, scale, longest, is_far = search
    n_words, stride = points.n_words, points.stride
    n, m = points.rows.shape[0] // np.int64(stride), last - first
    padded = -(-m // TILE) * TILE
    of_queries = Codes(
        np.empty(padded * n_words, np.int32),
        np.empty(padded, np.int32),
        codes.centre,
        np.empty(np.int64(stride), np.int32),
    )
    members = np.empty(m, np.int32)
    for i in range(m):
        members[i] = first + i
    encode(queries, members, scale, longest, of_queries, 0)
    near = np.empty(QUERIES * _BLOCK_TILES * TILE, np.int32)
    minima = np.empty(parts_of(found.k + 1) * QUERIES * TILE, np.int32)
    bests = np.empty(QUERIES, np.int32)
    limits = np.empty(padded, np.int32)
    goes_far, changed = np.empty(m, np.bool_), np.empty(m, np.bool_)
    for i in range(m, padded):
        limits[i] = -1
    for i in range(m):
        changed[i] = True
        at = np.uint64(first + i) * stride
        goes_far[i] = square(queries.rows, at, codes.centre, U0, stride) > longest
    for begin in range(tiles[0], tiles[1], _BLOCK_TILES):
        end = min(tiles[1], begin + _BLOCK_TILES)
        has_far = False
        for other in range(begin * TILE, min(n, end * TILE)):
            has_far |= is_far[other]
        for q in range(0, m, QUERIES):
            some = min(QUERIES, m - q)
            for r in range(QUERIES):
                bests[r] = MOST
            if least_needed(found, first + q) == np.inf and not has_far:
                find_bests(of_queries, q, codes, (begin, end), found.k + 1, n_words, minima, bests)
            for r in range(some):
                if changed[q + r]:
                    worst = least_needed(found, first + q + r)
                    best = MOST if goes_far[q + r] else bests[r]
                    limits[q + r] = limit_of(worst, best, scale, n_words)
                    changed[q + r] = worst == np.inf
                    if worst == np.float32(0.0):
                        limits[q + r] = -1  # no later point is nearer, or has a lower number
            count = find_near(of_queries, q, codes, (begin, end), n_words, limits, near)
            for c in range(count):
                r, other = near[c] % QUERIES, begin * TILE + near[c] // QUERIES
                i = first + q + r
                if r < some and other < n and other != own[i]:
                    changed[i - first] |= keep(queries, i, points, other, found)
