"""Small graphs for the quality test: no scikit-learn, the same on every machine.

The weights are rounded to multiples of 1/1024. Libraries may differ in the last bits of a distance
or an exponential, but they then still produce the same graph, and so the same layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from benchmarks.graphs import BenchGraph, scaled_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

N_NEIGHBORS = 15
N_EPOCHS = 200
SEEDS = (0, 1, 2)
MIN_DISTS = (0.5, 0.1)


def fuzzy_graph(points: NDArray[np.floating]) -> sp.csr_matrix:
    """Compute a simple form of the fuzzy graph of exact nearest neighbours.

    Directed weights are exp(-(d - d1) / s), where d1 is the distance to the nearest neighbour and
    s is the mean of d - d1 over a vertex's neighbours. Both directions are united as p + q - pq.
    """
    n = len(points)
    found = cKDTree(points).query(points, N_NEIGHBORS)
    # The first neighbour of a point is the point itself.
    distances, neighbors = (np.asarray(part)[:, 1:] for part in found)
    excess = distances - distances[:, :1]
    # Bounded, since the distances of regular points differ only in their last bits.
    scale = np.maximum(excess.mean(axis=1, keepdims=True), 1e-6)
    weights = np.exp(-excess / scale)
    rows = np.repeat(np.arange(n), N_NEIGHBORS - 1)
    one_way = sp.csr_matrix((weights.ravel(), (rows, neighbors.ravel())), shape=(n, n))
    both = sp.csr_matrix(one_way + one_way.T - one_way.multiply(one_way.T))
    both.data = np.round(both.data * 1024.0) / 1024.0
    both.eliminate_zeros()
    both.sort_indices()
    result: sp.csr_matrix = both.astype(np.float32)
    return result


def moons() -> BenchGraph:
    """Return two noise-free half circles with a random start."""
    angle = np.linspace(0.0, np.pi, 1000)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.concatenate([upper, [1.0, 0.5] - upper])
    rng = np.random.default_rng(1)
    # Slightly uneven steps: with even ones there would be ties among nearest neighbours.
    points += rng.uniform(-1e-4, 1e-4, points.shape)
    points = points[rng.permutation(len(points))]
    return BenchGraph("moons", fuzzy_graph(points), scaled_start(rng.uniform(-1, 1, points.shape)))


def hubs() -> BenchGraph:
    """Return Gaussian points in 100-D; 20 near the centre are neighbours of nearly all others."""
    points = np.random.default_rng(2).normal(size=(3000, 100))
    points[:20] *= 0.3
    return BenchGraph("hubs", fuzzy_graph(points), scaled_start(points[:, :2]))


def clusters() -> BenchGraph:
    """Return ten Gaussian clusters in 100-D."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(10, 100))[np.arange(2000) % 10] + rng.normal(size=(2000, 100))
    return BenchGraph("clusters", fuzzy_graph(points), scaled_start(points[:, :2]))


def surface() -> BenchGraph:
    """Return a curved sheet in 3-D."""
    uv = np.random.default_rng(4).random((2000, 2))
    points = np.column_stack([uv[:, 0], 2.0 * uv[:, 1], 0.3 * np.sin(6.0 * uv[:, 0])])
    return BenchGraph("surface", fuzzy_graph(points), scaled_start(points[:, :2]))


SMALL: dict[str, Callable[[], BenchGraph]] = {
    "moons": moons,
    "hubs": hubs,
    "clusters": clusters,
    "surface": surface,
}
