"""Graphs of any size, made in seconds without a neighbour search.

The vertices are the points of a square grid that is closed into a twisted torus: point g has its
neighbours at g ± offset, modulo n, for fixed offsets. A hash of the pair decides which pairs are
joined and with what weight, so both directions agree without being compared. Vertices are then
renumbered at random, as in real data, where a vertex's number says nothing about its neighbours.

The graphs imitate real graphs of 15 nearest neighbours (fashion_mnist70k, mammoth50k, shuttle58k,
letter20k, pendigits11k, cbmc8k). Those have 16 to 22 directed edges per vertex with a standard
deviation of 2 to 11 (here 19 and 4). Their mean weight is 0.31 to 0.36 of the largest (here 0.31),
with many small weights and about one in twenty close to 1.

:mod:`benchmarks.gpu.on_device` makes the same graphs on a device.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.jit import inline, kernel
from umapcore._kit.rng import mix64_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: With fewer points, two offsets around the torus could reach the same neighbour.
LEAST_VERTICES = 64

# One of each two opposite neighbours within a distance of 3: x and y. The first is always joined.
# This makes a ring through all points, so that the graph is connected.
HALF = np.array(
    [
        (1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 1), (1, 2), (2, -1), (1, -2),
        (2, 2), (2, -2), (3, 0), (0, 3),
    ]
)  # fmt: skip
# Bounds of a point's popularity. The probability that two points are joined is the sum of theirs.
# On average this makes 1 + 1 edges of the ring and 26 times 0.66 others.
UNPOPULAR, POPULAR = 0.13, 0.53
# Weights are 1 / (1 + 19 v²) with v uniform: from 0.05 to 1, 0.31 on average.
FALL = 19.0
_ROWS_PER_TASK = 65_536


@dataclass(frozen=True)
class Generated:
    """A weighted graph and the start positions of its layout.

    Attributes
    ----------
    name
        Name of the graph in tables.
    graph
        Symmetric weights in (0, 1], float32, canonical CSR without a diagonal.
    start
        (n, 2) float32: the grid, scaled to [0, 10].
    """

    name: str
    graph: sparse.csr_array[Any, Any]
    start: NDArray[np.float32]


def generated(n: int, *, seed: int = 0) -> Generated:
    """Make a connected graph of `n` vertices.

    Parameters
    ----------
    n
        Number of vertices, at least 64.
    seed
        Equal seeds give equal graphs.
    """
    if n < LEAST_VERTICES:
        msg = f"n={n}: a generated graph has at least {LEAST_VERTICES} vertices."
        raise ValueError(msg)
    width = math.isqrt(n)
    offsets = HALF[:, 0] + width * HALF[:, 1]
    points = np.random.default_rng(seed).permutation(n).astype(np.int32)
    numbers = np.empty_like(points)
    numbers[points] = np.arange(n, dtype=np.int32)
    key = np.uint64(seed)

    degrees = np.empty(n, np.int64)
    _over_rows(n, lambda a, b: _count_neighbours(a, b, n, key, offsets, points, degrees))
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(degrees, out=indptr[1:])
    indices = np.empty(int(indptr[-1]), np.int32)
    weights = np.empty(indices.shape[0], np.float32)
    _over_rows(
        n,
        lambda a, b: _fill_rows(a, b, n, key, offsets, points, numbers, indptr, indices, weights),
    )
    if indices.shape[0] < 2**31:
        indptr = indptr.astype(np.int32)
    graph = sparse.csr_array((weights, indices, indptr), shape=(n, n))
    # SciPy would need long to check this.
    graph.has_canonical_format = True
    return Generated(f"generated {n:,}", graph, _start(points, width))


def _start(points: NDArray[np.int32], width: int) -> NDArray[np.float32]:
    start = np.empty((points.shape[0], 2), np.float32)
    for axis, places in enumerate((points % width, points // width)):
        start[:, axis] = places * 10.0 / places.max()
    return start


def _over_rows(n: int, task: Callable[[int, int], object]) -> None:
    """Run a task over ranges of rows in threads; kernels release the GIL."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [pool.submit(task, a, min(n, a + _ROWS_PER_TASK))
                 for a in range(0, n, _ROWS_PER_TASK)]  # fmt: skip
        for done in tasks:
            done.result()


@inline
def _unit(bits: Any) -> Any:
    """Return a number in [0, 1) from the upper half of a hash."""
    return np.float64(bits >> np.uint64(32)) * 2.0**-32


@inline
def _popularity(key: Any, point: Any) -> Any:
    return UNPOPULAR + (POPULAR - UNPOPULAR) * _unit(mix64_of(mix64_of(key) ^ np.uint64(point)))


@inline
def _neighbour(n: Any, key: Any, offsets: Any, point: Any, own: Any, turn: Any) -> Any:
    """Return the neighbour of one turn, ahead or behind (-1 for none), and the pair's hash."""
    k = turn >> 1
    if turn & 1:
        other = (point - offsets[k]) % n
        first = other
    else:
        other = (point + offsets[k]) % n
        first = point
    # `first` is the point behind the other one, so that both directions have the same hash.
    pair = mix64_of(~key ^ np.uint64(first * offsets.shape[0] + k))
    if k > 0 and _unit(pair) >= own + _popularity(key, other):
        return np.int64(-1), pair
    return np.int64(other), pair


@kernel()
def _count_neighbours(
    begin: Any, end: Any, n: Any, key: Any, offsets: Any, points: Any, degrees: Any
) -> None:
    for vertex in range(begin, end):
        point = np.int64(points[vertex])
        own = _popularity(key, point)
        count = 0
        for turn in range(2 * offsets.shape[0]):
            other, _ = _neighbour(n, key, offsets, point, own, turn)
            if other >= 0:
                count += 1
        degrees[vertex] = count


@kernel()
def _fill_rows(
    begin: Any,
    end: Any,
    n: Any,
    key: Any,
    offsets: Any,
    points: Any,
    numbers: Any,
    indptr: Any,
    indices: Any,
    weights: Any,
) -> None:
    for vertex in range(begin, end):
        point = np.int64(points[vertex])
        own = _popularity(key, point)
        first = indptr[vertex]
        free = first
        for turn in range(2 * offsets.shape[0]):
            other, pair = _neighbour(n, key, offsets, point, own, turn)
            if other < 0:
                continue
            v = _unit(mix64_of(pair))
            # Insertion sort by column, since rows are short.
            column, at = numbers[other], free
            while at > first and indices[at - 1] > column:
                indices[at] = indices[at - 1]
                weights[at] = weights[at - 1]
                at -= 1
            indices[at] = column
            weights[at] = np.float32(1.0 / (1.0 + FALL * v * v))
            free += 1
