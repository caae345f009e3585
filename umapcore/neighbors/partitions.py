"""Approximate search: random trees, all pairs within their leaves, neighbours of neighbours.

Every random choice comes from a counter, and every distance from one order of operations. What a
point keeps are the nearest of all points that it was compared with; of those at equal distances,
the ones with lower numbers. Hence threads, processors and the order of comparisons decide nothing.

How well it works is measured: the neighbours of a sample of the points are also searched exactly.
How many trees are grown depends on that measured recall alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from umapcore._kit.mapped import is_scratch
from umapcore._kit.parallel import for_rows
from umapcore._kit.rng import uniform
from umapcore.logs import logger
from umapcore.neighbors.leaves import compare_leaves
from umapcore.neighbors.lists import LOWER_HALF, empty_lists, unpack
from umapcore.neighbors.refine import look_around
from umapcore.neighbors.tiles import nearest_lists
from umapcore.neighbors.trees import bounds_of_levels, grow
from umapcore.neighbors.trees_in_files import divide_file, grow_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Most points in a leaf, unless lists are long.
LEAF = 512
#: Points whose neighbours are searched exactly, and the stream of random numbers that chooses them.
SAMPLE, _SAMPLE_STREAM = 1000, 0x6B6E6EFF
#: Entries of a list that a pass looks at, at most.
REACH = 10
#: The share of the neighbours missed by trees that a first pass usually finds.
_PASS_FINDS = 0.6
#: Trees, then passes, go on while one finds this share of what is missing; both in turn, this.
_WORTHWHILE, _LAST_HOPE = 0.1, 0.02
MOST_TREES, MOST_PASSES = 32, 6
#: Time of a tree and of a pass, where that of comparing a point with another exactly is 1.
_TREE_WORK, _PASS_WORK = 1500, 3000
_LEAVES_PER_TASK, _POINTS_PER_TASK = 4, 2048


class Stages(Protocol):
    """The stages of a search on a device."""

    def tree(self, number: int) -> None:
        """Grow a tree, and compare all pairs of points within its leaves."""

    def look_around(self) -> None:
        """Compare every point with the neighbours of its neighbours."""

    def recall(self) -> float:
        """Return the share of a sample's nearest neighbours that have been found."""


class Approximate(NamedTuple):
    """Neighbours of n points and squared distances, (n, k), and the share of them that is right."""

    indices: NDArray[np.int32]
    squares: NDArray[np.float32]
    recall: float


def run_stages(
    stages: Stages, accuracy: float, n: int, report: Callable[[float], None] | None = None
) -> float:
    """Run the stages of a search among n points until its recall is as good as asked for.

    It ends earlier where more trees and passes hardly find anything more, or would take longer
    than comparing all points. The decisions depend on measured recalls and on n alone.

    `report` is called with each gain towards the accuracy; the gains sum to at most 1.

    Returns
    -------
    The recall.
    """
    trees = passes = 0
    recall = 0.0

    def measure() -> float:
        """Measure the recall; return the share of the missing neighbours that was found."""
        nonlocal recall
        before, recall = recall, stages.recall()
        if report is not None:
            report((min(recall, accuracy) - min(before, accuracy)) / accuracy)
        logger.debug("neighbours: %d trees, %d passes: recall %.4f", trees, passes, recall)
        return (recall - before) / max(1.0 - before, 1e-9)

    def is_worthwhile(found: float, least: float) -> bool:
        return found >= least and trees * _TREE_WORK + passes * _PASS_WORK < n

    found, enough = 1.0, 1.0 - (1.0 - accuracy) / (1.0 - _PASS_FINDS)
    while trees == 0 or (
        trees < MOST_TREES and recall < enough and is_worthwhile(found, _WORTHWHILE)
    ):
        stages.tree(trees)
        trees += 1
        found = measure()
    found = 1.0
    while passes < MOST_PASSES and recall < accuracy and is_worthwhile(found, _WORTHWHILE):
        stages.look_around()
        passes += 1
        found = measure()
    found = 1.0
    while trees < MOST_TREES and recall < accuracy and is_worthwhile(found, _LAST_HOPE):
        stages.tree(trees)
        stages.look_around()
        trees, passes = trees + 1, passes + 1
        found = measure()
        left = n - trees * _TREE_WORK - passes * _PASS_WORK
        rounds = max(0, left // (_TREE_WORK + _PASS_WORK))
        if rounds < MOST_TREES:
            missing = 1.0 - recall
            for _ in range(rounds):  # not a power: its last bit depends on the maths library
                missing *= 1.0 - found
            if missing > 1.0 - accuracy:
                break
    said = "nearest neighbours: recall %.4f, measured on a sample, after %d trees and %d passes"
    logger.info(said, recall, trees, passes)
    return recall


def sample_of(n: int, seed: int) -> NDArray[np.int32]:
    """Choose the points whose recall is measured: one in each of equally long ranges."""
    count = min(n, SAMPLE)
    where = (np.arange(count) + uniform(seed, _SAMPLE_STREAM, count)) * (n / count)
    return np.minimum(where.astype(np.int32), n - 1)


def leaf_size(k: int) -> int:
    """Return the size of leaves, the smallest of which has more than k points."""
    return max(LEAF, 2 * (k + 2))


def reach_of(k: int) -> int:
    """Return how many entries of a list of length k a pass looks at."""
    return min(k, REACH)


def knn_by_partitions(
    points: NDArray[np.float32],
    k: int,
    accuracy: float,
    seed: int,
    n_threads: int | None,
    report: Callable[[float], None] | None = None,
) -> Approximate:
    """Find most of the nearest neighbours of dense points.

    Parameters
    ----------
    points
        float32, (n, p), C order.
    k
        The point itself included, which comes first in its own row; at least 2.
    accuracy
        The recall that is aimed at.
    report
        As for :func:`run_stages`.
    """
    stages = CpuStages(points, k - 1, seed, n_threads)
    recall = run_stages(stages, accuracy, points.shape[0], report)
    found, numbers = stages.found, stages.numbers
    del stages  # and its rows, which may be in files
    knn = unpack(found, numbers, n_threads, beside=points)
    return Approximate(*knn, recall)


class CpuStages:
    """The stages on the CPU.

    The first tree renumbers the points, so that near ones are near in memory.

    Attributes
    ----------
    numbers
        int32: the numbers of the points before that.
    found
        The lists of the points.
    """

    def __init__(
        self, points: NDArray[np.float32], k: int, seed: int, n_threads: int | None
    ) -> None:
        n = points.shape[0]
        self._seed, self._n_threads = seed, n_threads
        self._levels = bounds_of_levels(n, leaf_size(k))
        self.numbers, self._points = grow_first(points, self._levels, seed, n_threads)
        self._room: NDArray[np.float32] | None = None
        self.found = empty_lists(n, k)
        # The distance that neighbours of the points in the sample must not exceed.
        self._sample = sample_of(n, seed)
        rows = self._points.rows.reshape(n, -1)[self._sample].reshape(-1)
        queries = self._points._replace(rows=rows)
        exact = nearest_lists(self._points, queries, self._sample, k, n_threads)
        self._farthest = exact.matrix()[:, -1] | LOWER_HALF

    def tree(self, number: int) -> None:
        """Grow a tree, and compare all pairs of points within its leaves."""
        points, bounds, found = self._points, self._levels[-1], self.found
        growing = self._levels, self._seed, number, self._n_threads

        def compare(a: int, b: int, order: NDArray[np.int32]) -> None:
            compare_leaves(a, b, points, order, order, bounds, found)

        if number == 0:
            leaves = partial(compare, order=np.arange(points.number(), dtype=np.int32))
            for_rows(bounds.shape[0] - 1, self._n_threads, leaves, _LEAVES_PER_TASK)
            return
        if not is_scratch(points.rows):
            grow(points, *growing, compare)
            return
        before, top, copied = divide_file(points, *growing, self._room)
        self._room = copied.rows
        names = np.empty_like(before)

        def compare_copied(a: int, b: int, order: NDArray[np.int32]) -> None:
            part = slice(bounds[a], bounds[b])
            names[part] = before[order[part]]
            compare_leaves(a, b, copied, order, names, bounds, found)

        grow(copied, *growing, compare_copied, top)

    def look_around(self) -> None:
        """Compare every point with the neighbours of its neighbours."""
        points, before = self._points, self.found
        found = empty_lists(points.number(), int(before.k))
        reach = reach_of(int(before.k))

        def look(a: int, b: int) -> None:
            look_around(a, b, points, before, found, reach)

        for_rows(points.number(), self._n_threads, look, _POINTS_PER_TASK)
        self.found = found

    def recall(self) -> float:
        """Return the share of the sample's nearest neighbours that have been found."""
        return float((self.found.matrix()[self._sample] <= self._farthest[:, None]).mean())
