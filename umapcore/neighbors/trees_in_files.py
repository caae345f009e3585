"""Random trees of points in a scratch file, which may be far larger than memory.

They are those of :mod:`umapcore.neighbors.trees`. Large nodes are divided in the order of the file,
and the points are then copied, so that what is below a node is near in the copy.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.mapped import empty_beside, is_scratch
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import stream_key
from umapcore._kit.threads import thread_count
from umapcore.neighbors.pairs import Points, as_rows
from umapcore.neighbors.trees import (
    PARTS_PER_THREAD,
    POINTS_PER_TASK,
    STREAM,
    Growing,
    grow,
    level_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Points in a file are near if they are within so many bytes.
_NEAR_BYTES = 2**26
#: Points of a node, on average, in a piece of work in the order of a file.
_POINTS_PER_NODE = 1024


def grow_first(
    points: NDArray[np.float32], levels: list[NDArray[np.int64]], seed: int, n_threads: int | None
) -> tuple[NDArray[np.int32], Points]:
    """Grow the first tree; return the numbers of the points and their rows, leaf after leaf."""
    rows = as_rows(points, None, n_threads)
    moved, before, top = points, None, 0
    if is_scratch(points):
        before, top, rows = divide_file(rows, levels, seed, 0, n_threads)
        moved = rows.rows.reshape(-1, int(rows.stride))[:, : points.shape[1]]
    order = grow(rows, levels, seed, 0, n_threads, top=top)
    del rows
    return order if before is None else before[order], as_rows(moved, order, n_threads)


def divide_file(
    points: Points,
    levels: list[NDArray[np.int64]],
    seed: int,
    number: int,
    n_threads: int | None,
    room: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.int32], int, Points]:
    """Divide points in a file, which may be far larger than memory, until nodes are small enough.

    The file is read from its beginning to its end for each level, and once to copy the points, so
    that what is below a node is near in the copy.

    Parameters
    ----------
    points, levels, seed, number, n_threads
        As for :func:`grow`.
    room
        The rows of an earlier copy, which are overwritten; None: of a new file.

    Returns
    -------
    Numbers of the points in the order of a level; the level; the points in this order.
    """
    tree = Growing(points, levels, stream_key(seed, STREAM + number)[0], 0)
    top = level_of(levels, _NEAR_BYTES // (4 * int(points.stride)))
    for depth in range(top):
        pieces = _in_file_order(tree.order_of(depth), levels[depth], n_threads)
        _run_pieces(pieces, n_threads, partial(tree.project, depth))
        for_rows(levels[depth].shape[0] - 1, n_threads, partial(tree.divide, depth), 1)
    before = tree.order_of(top)
    if room is None:
        room = empty_beside(points.rows, points.rows.shape, np.float32)
    given, copied = (rows.reshape(-1, int(points.stride)) for rows in (points.rows, room))

    def copy(a: int, b: int) -> None:
        np.take(given, before[a:b], axis=0, out=copied[a:b], mode="clip")

    _run_pieces(_in_file_order(before, levels[top], n_threads), n_threads, copy)
    return before, top, points._replace(rows=room)


def _run_pieces(
    pieces: list[list[tuple[int, int]]], n_threads: int | None, task: Callable[[int, int], Any]
) -> None:
    """Run a task over lists of ranges, in threads."""

    def run(number: int, _: int) -> None:
        for first, last in pieces[number]:
            task(first, last)

    for_rows(len(pieces), n_threads, run, 1)


def _in_file_order(
    order: NDArray[np.int32], bounds: NDArray[np.int64], n_threads: int | None
) -> list[list[tuple[int, int]]]:
    """Return pieces of work: ranges of places, each in one node, whose points are near in a file.

    Parameters
    ----------
    order, bounds
        The points in the order of a level, and where its nodes begin and end.
    """
    n, nodes = order.shape[0], bounds.shape[0] - 1
    most = n // (PARTS_PER_THREAD * thread_count(n_threads))
    step = max(POINTS_PER_TASK, min(_POINTS_PER_NODE * nodes, most))
    # In a node, points are in the order of their numbers, which is that of the file.
    starts = np.append(np.arange(0, n, step), n).astype(np.int32)
    places = np.array([a + np.searchsorted(order[a:b], starts) for a, b in pairwise(bounds)])
    both = zip(places.T[:-1].tolist(), places.T[1:].tolist(), strict=True)
    return [[(a, b) for a, b in zip(*ends, strict=True) if a < b] for ends in both]
