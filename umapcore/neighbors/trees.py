"""Random trees that divide points into leaves of nearly equal size.

A node with several leaves divides its points by their scalar products with a direction, the
difference of two random points of the node (Dasgupta and Freund 2008, "Random projection trees").
Those with the smallest products go left; of points with equal products, those that come first. So
the order of points within a leaf is that of their numbers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import mix64_of, stream_key
from umapcore.neighbors.pairs import Points, product

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: First of the streams of random numbers that trees use, one a tree.
STREAM = 0x6B6E6E00
#: Points and nodes in a piece of work.
_POINTS_PER_TASK, _NODES_PER_TASK = 16_384, 8
_BINS = 256


def bounds_of_levels(n: int, size: int) -> list[NDArray[np.int64]]:
    """Return where the nodes of each level begin and end.

    Parameters
    ----------
    n
        Number of points.
    size
        Most points in a leaf.

    Returns
    -------
    int64, nodes + 1, from the root to the leaves. A node with one leaf has one child, itself. Other
    nodes have two; a node with c leaves gives ⌊c/2⌋ of them, and that share of its points, rounded
    down, to the left one.
    """
    nodes = [(0, n, max(1, -(-n // size)))]
    levels = [np.array([0, n])]
    while any(leaves > 1 for _, _, leaves in nodes):
        below = []
        for first, last, leaves in nodes:
            left = leaves // 2
            if left == 0:
                below.append((first, last, leaves))
                continue
            middle = first + (last - first) * left // leaves
            below += [(first, middle, left), (middle, last, leaves - left)]
        nodes = below
        levels.append(np.array([0, *(last for _, last, _ in nodes)]))
    return levels


def grow(
    points: Points,
    levels: list[NDArray[np.int64]],
    seed: int,
    number: int,
    n_threads: int | None,
) -> NDArray[np.int32]:
    """Divide the points; return their numbers, int32, leaf after leaf.

    Parameters
    ----------
    levels
        From :func:`bounds_of_levels`.
    seed, number
        Seed, and number of the tree.
    """
    n = points.number()
    order, other = np.arange(n, dtype=np.int32), np.empty(n, np.int32)
    values = np.empty(n, np.float32)
    key = stream_key(seed, STREAM + number)[0]
    for depth, (bounds, below) in enumerate(pairwise(levels)):
        middles = below[np.searchsorted(below, bounds[:-1], side="right")]
        directions = np.empty((bounds.shape[0] - 1, int(points.stride)), np.float32)
        _choose(points, order, bounds, key + np.uint64(depth), directions)
        _level(points, (order, bounds, middles), directions, (values, other), n_threads)
        order, other = other, order
    return order


def _level(
    points: Points,
    nodes: tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]],
    directions: NDArray[np.float32],
    scratch: tuple[NDArray[np.float32], NDArray[np.int32]],
    n_threads: int | None,
) -> None:
    """Divide all nodes of a level."""
    order, bounds, middles = nodes
    values, out = scratch
    flat = directions.reshape(-1)

    def project(a: int, b: int) -> None:
        _project(a, b, points, order, bounds, flat, values)

    def divide(a: int, b: int) -> None:
        _divide(a, b, order, bounds, middles, values, out)

    for_rows(order.shape[0], n_threads, project, _POINTS_PER_TASK)
    for_rows(middles.shape[0], n_threads, divide, _NODES_PER_TASK)


@kernel()
def _choose(points: Points, order: Any, bounds: Any, key: Any, directions: Any) -> None:
    """Choose a direction for each node."""
    rows, stride, _ = points
    for node in range(directions.shape[0]):
        first, m = bounds[node], np.uint64(bounds[node + 1] - bounds[node])
        draw = mix64_of(mix64_of(key) + np.uint64(node))
        a = np.int64(order[first + np.int64(draw % m)]) * np.int64(stride)
        draw = mix64_of(draw)
        b = np.int64(order[first + np.int64(draw % m)]) * np.int64(stride)
        for c in range(directions.shape[1]):
            directions[node, c] = rows[a + c] - rows[b + c]


@kernel()
def _project(
    first: Any, last: Any, points: Points, order: Any, bounds: Any, directions: Any, values: Any
) -> None:
    """Compute the products of some points with the directions of their nodes."""
    rows, stride, _ = points
    node = 0
    for at in range(first, last):
        while at >= bounds[node + 1]:
            node += 1
        mine, its = np.uint64(order[at]) * stride, np.uint64(node) * stride
        values[at] = product(rows, mine, directions, its, stride)


@kernel(seconds=2)
def _divide(
    first: Any, last: Any, order: Any, bounds: Any, middles: Any, values: Any, out: Any
) -> None:
    """Divide the nodes `first` … `last` - 1; the order of points on either side does not change."""
    most = 0
    for node in range(first, last):
        most = max(most, bounds[node + 1] - bounds[node])
    some = np.empty(most, np.float32)
    counts = np.empty(_BINS + 1, np.int64)
    for node in range(first, last):
        begin, end, right = bounds[node], bounds[node + 1], middles[node]
        if right == end:  # a leaf already
            for at in range(begin, end):
                out[at] = order[at]
            continue
        for at in range(begin, end):
            some[at - begin] = values[at]
        pivot, equal = _pivot(some, end - begin, right - begin, counts)
        left = begin
        for at in range(begin, end):
            value = values[at]
            goes_left = value < pivot
            if value == pivot and equal > 0:
                goes_left = True
                equal -= 1
            if goes_left:
                out[left] = order[at]
                left += 1
            else:
                out[right] = order[at]
                right += 1


@inline
def _pivot(some: Any, n: Any, rank: Any, counts: Any) -> Any:
    """Return the value of a rank, counted from 0, and how many equal values have lower ranks.

    Histograms tell in which interval of the n values it is, until all in the interval are equal.
    The values are overwritten.
    """
    while True:
        low = high = some[0]
        for i in range(n):
            low = min(low, some[i])
            high = max(high, some[i])
        if low == high:
            return low, rank
        for i in range(_BINS + 1):
            counts[i] = 0
        scale = np.float64(_BINS) / (np.float64(high) - np.float64(low))
        for i in range(n):
            counts[_bin(some[i], low, scale)] += 1
        chosen = 0
        while counts[chosen] <= rank:
            rank -= counts[chosen]
            chosen += 1
        inside = 0
        for i in range(n):
            value = some[i]
            if _bin(value, low, scale) == chosen:
                some[inside] = value
                inside += 1
        n = inside


@inline
def _bin(value: Any, low: Any, scale: Any) -> Any:
    return np.int64((np.float64(value) - np.float64(low)) * scale)
