"""Random trees that divide points into leaves of nearly equal size.

A node with several leaves divides its points by their scalar products with a direction, the
difference of two random points of the node (Dasgupta and Freund 2008, "Random projection trees").
Those with the smallest products go left; of points with equal products, those that come first. So
the order of points within a leaf is that of their numbers.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import mix64_of, stream_key
from umapcore._kit.threads import thread_count
from umapcore.neighbors.pairs import Points, product

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: First of the streams of random numbers that trees use, one a tree.
STREAM = 0x6B6E6E00
#: Points in a piece of work, and in a node whose whole tree is one.
POINTS_PER_TASK, _PART = 8192, 8192
#: Nodes for each thread, at least, before all below a node is one piece of work.
PARTS_PER_THREAD = 4
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
    use: Callable[[int, int, NDArray[np.int32]], None] | None = None,
    top: int = 0,
) -> NDArray[np.int32]:
    """Divide the points; return their numbers, int32, leaf after leaf.

    Parameters
    ----------
    levels
        From :func:`bounds_of_levels`.
    seed, number
        Seed, and number of the tree.
    use
        Called as ``use(a, b, order)`` when the places of the leaves `a` … `b` - 1 in the order are
        known, while other threads still divide.
    top
        The level in whose order the points are.
    """
    tree = Growing(points, levels, stream_key(seed, STREAM + number)[0], top)
    part = min(_PART, points.number() // (PARTS_PER_THREAD * thread_count(n_threads)))
    below = max(top, level_of(levels, part))

    def grow_below(a: int, b: int) -> None:
        leaves = tree.grow_below(below, a, b)
        if use is not None:
            use(*leaves, tree.order)

    # Large nodes are divided level by level. Then all below a node follows in one piece of work,
    # for which the points stay in the cache.
    for first, last in pairwise(levels[top].tolist()):
        for depth in range(top, below):
            _over((first, last), n_threads, partial(tree.project, depth), POINTS_PER_TASK)
            nodes = np.searchsorted(levels[depth], [first, last]).tolist()
            _over(nodes, n_threads, partial(tree.divide, depth), 1)
        nodes = np.searchsorted(levels[below], [first, last]).tolist()
        _over(nodes, n_threads, grow_below, 1)
    return tree.order


def level_of(levels: list[NDArray[np.int64]], most: int) -> int:
    """Return the first level none of whose nodes has more points than `most`, or the last one."""
    sizes = (int(np.diff(bounds).max()) for bounds in levels)
    return next((depth for depth, size in enumerate(sizes) if size <= most), len(levels) - 1)


def _over(
    ends: Sequence[int], n_threads: int | None, task: Callable[[int, int], Any], step: int
) -> None:
    """Run a task over parts of a range, in threads."""
    first, last = ends
    for_rows(last - first, n_threads, lambda a, b: task(first + a, first + b), step)


class Growing:
    """A tree that grows.

    Attributes
    ----------
    order
        int32: the points in the order after the last level.
    """

    def __init__(
        self, points: Points, levels: list[NDArray[np.int64]], key: np.uint64, top: int
    ) -> None:
        n = points.number()
        self._points, self._levels, self._key = points, levels, key
        # The orders before and after a level, in turns.
        self._orders = np.empty(n, np.int32), np.empty(n, np.int32)
        self.order_of(top)[:] = np.arange(n, dtype=np.int32)
        self._values = np.empty(n, np.float32)
        self._flat = np.concatenate(levels)
        self._starts = np.cumsum([0, *(bounds.shape[0] for bounds in levels)])
        self.order = self.order_of(len(levels) - 1)

    def order_of(self, depth: int) -> NDArray[np.int32]:
        """Return the points in the order of a level, which is kept until two levels below it."""
        return self._orders[depth % 2]

    def project(self, depth: int, first: int, last: int) -> None:
        """Project the points at some places of a level."""
        bounds = self._levels[depth]
        a = int(np.searchsorted(bounds, first, side="right")) - 1
        b = int(np.searchsorted(bounds, last, side="left"))
        key = self._key + np.uint64(depth)
        order = self.order_of(depth)
        _project(first, last, self._points, order, (bounds, a, b), key, self._values)

    def divide(self, depth: int, a: int, b: int) -> None:
        """Divide the nodes `a` … `b` - 1 of a level."""
        bounds, below = self._levels[depth], self._levels[depth + 1]
        before, after = self.order_of(depth), self.order_of(depth + 1)
        _divide(a, b, before, bounds, below, self._values, after)

    def grow_below(self, depth: int, a: int, b: int) -> tuple[int, int]:
        """Divide all that is below the nodes `a` … `b` - 1 of a level; return their leaves."""
        levels = self._flat, self._starts, depth
        orders = self.order_of(depth), self.order_of(depth + 1)
        first, last = _grow_below(a, b, self._points, orders, levels, self._key, self._values)
        return int(first), int(last)


@kernel()
def _project(
    first: Any, last: Any, points: Points, order: Any, nodes: Any, key: Any, values: Any
) -> None:
    """Compute the products of some points with the directions of their nodes.

    Parameters
    ----------
    nodes
        Where the nodes begin and end; the first of them, and the one after the last.
    """
    rows, stride, _ = points
    bounds, a, b = nodes
    step = np.int64(stride)
    directions = np.empty((b - a) * step, np.float32)
    for node in range(a, b):
        begin, m = bounds[node], np.uint64(bounds[node + 1] - bounds[node])
        draw = mix64_of(mix64_of(key) + np.uint64(node))
        x = np.int64(order[begin + np.int64(draw % m)]) * step
        draw = mix64_of(draw)
        y = np.int64(order[begin + np.int64(draw % m)]) * step
        for c in range(step):
            directions[(node - a) * step + c] = rows[x + c] - rows[y + c]
    node = a
    for at in range(first, last):
        while at >= bounds[node + 1]:
            node += 1
        mine, its = np.uint64(order[at]) * stride, np.uint64(node - a) * stride
        values[at] = product(rows, mine, directions, its, stride)


@kernel(seconds=2)
def _divide(
    first: Any, last: Any, order: Any, bounds: Any, below: Any, values: Any, out: Any
) -> None:
    """Divide the nodes `first` … `last` - 1; the order of points on either side does not change.

    Parameters
    ----------
    bounds, below
        Where the nodes of the level and of the one below begin and end.
    """
    most = 0
    for node in range(first, last):
        most = max(most, bounds[node + 1] - bounds[node])
    some = np.empty(most, np.float32)
    counts = np.empty(_BINS + 1, np.int64)
    child = _node_at(below, bounds[first])
    for node in range(first, last):
        begin, end, right = bounds[node], bounds[node + 1], below[child + 1]
        if right == end:  # a leaf already
            for at in range(begin, end):
                out[at] = order[at]
            child += 1
            continue
        child += 2
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


@kernel()
def _grow_below(
    first: Any, last: Any, points: Points, orders: Any, levels: Any, key: Any, values: Any
) -> Any:
    """Divide all that is below the nodes `first` … `last` - 1 of a level; return their leaves.

    Parameters
    ----------
    orders
        The order of the points, and room for another one; they are used in turns.
    levels
        Where the nodes begin and end, level after level; where each level begins; the level.
    """
    flat, starts, depth = levels
    order, other = orders
    bounds = flat[starts[depth] : starts[depth + 1]]
    begin, end = bounds[first], bounds[last]
    for level in range(depth, starts.shape[0] - 2):
        below = flat[starts[level + 1] : starts[level + 2]]
        nodes = bounds, first, last
        _project(begin, end, points, order, nodes, key + np.uint64(level), values)
        _divide(first, last, order, bounds, below, values, other)
        order, other, bounds = other, order, below
        first, last = _node_at(bounds, begin), _node_at(bounds, end)
    return first, last


@inline
def _node_at(bounds: Any, place: Any) -> Any:
    """Return the number of the node that begins at a place."""
    low, high = 0, bounds.shape[0] - 1
    while low < high:
        middle = (low + high) // 2
        if bounds[middle] < place:
            low = middle + 1
        else:
            high = middle
    return low


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
