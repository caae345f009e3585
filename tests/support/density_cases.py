"""Graphs with distances, whose clusters are of different densities."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from tests.support import graphs


def of_points(points: np.ndarray, k: int = 10) -> tuple[sp.csr_array, sp.csr_array]:
    """Graph and distances of each point to its k nearest, one way only, as scanpy stores them."""
    n = points.shape[0]
    lengths, neighbours = cKDTree(points).query(points, k + 1)
    rows = np.repeat(np.arange(n), k)
    distances = sp.csr_array((lengths[:, 1:].ravel(), (rows, neighbours[:, 1:].ravel())))
    return graphs.knn_graph(points, k), sp.csr_array(distances, shape=(n, n))


def blobs(n: int = 300, dimensions: int = 5, seed: int = 0) -> tuple[sp.csr_array, sp.csr_array]:
    """Three clusters, the second four and the third sixteen times as wide as the first."""
    rng = np.random.default_rng(seed)
    which = np.arange(n) % 3
    noise = rng.normal(size=(n, dimensions)) * 4.0 ** which[:, None]
    return of_points(200.0 * which[:, None] + noise)


def of_graph(graph: sp.csr_array, seed: int = 0) -> sp.csr_array:
    """Arbitrary distances for the edges of a graph."""
    entries = graph.tocoo()
    lengths = np.random.default_rng(seed).lognormal(size=entries.nnz)
    return sp.csr_array((lengths, (entries.row, entries.col)), shape=graph.shape)
