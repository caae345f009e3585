"""Small graphs of many shapes for tests."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree


def knn_graph(points: np.ndarray, k: int = 10) -> sp.csr_array:
    """Symmetric graph of nearest neighbours with fuzzy-like weights in (0, 1]."""
    distances, neighbours = cKDTree(points).query(points, k + 1)
    distances, neighbours = distances[:, 1:], neighbours[:, 1:]
    excess = distances - distances[:, :1]
    weights = np.exp(-excess / (excess.mean(axis=1, keepdims=True) + 1e-12))
    n = points.shape[0]
    rows = np.repeat(np.arange(n), k)
    one_way = sp.csr_array((weights.ravel(), (rows, neighbours.ravel())), shape=(n, n))
    both = one_way.multiply(one_way.T)
    graph = sp.csr_array((one_way + one_way.T - both).astype(np.float32))
    graph = sp.csr_array(graph - sp.diags_array(graph.diagonal()))
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def clusters(n: int = 300, n_clusters: int = 3, dimensions: int = 5, seed: int = 0) -> sp.csr_array:
    """Gaussian clusters: several components."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, dimensions)) * 20
    return knn_graph(centres[np.arange(n) % n_clusters] + rng.normal(size=(n, dimensions)))


def surface(n: int = 400, seed: int = 0) -> sp.csr_array:
    """Sheet of points: one component, few distinct directions."""
    rng = np.random.default_rng(seed)
    uv = rng.random((n, 2))
    return knn_graph(np.c_[uv, np.sin(3 * uv[:, 0])])


def hub(n: int = 700, n_hubs: int = 2, seed: int = 0) -> sp.csr_array:
    """A sheet with vertices that nearly everything is joined to."""
    rng = np.random.default_rng(seed)
    graph = surface(n, seed).tolil()
    for h in range(n_hubs):
        members = np.flatnonzero(rng.random(n) < 0.9)
        members = members[members != h]
        graph[h, members] = graph[members, h] = rng.random(members.size).astype(np.float32)
    out = sp.csr_array(graph.tocsr())
    out = sp.csr_array(out.maximum(out.T))
    out.sort_indices()
    return out


def star(n: int = 40) -> sp.csr_array:
    """One vertex joined to all others."""
    rows = np.r_[np.zeros(n - 1, int), np.arange(1, n)]
    columns = np.r_[np.arange(1, n), np.zeros(n - 1, int)]
    return sp.csr_array((np.ones(2 * (n - 1), np.float32), (rows, columns)), shape=(n, n))


def path(n: int) -> sp.csr_array:
    """One vertex after the other."""
    return sp.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[1, -1], format="csr")


def grid(width: int, height: int) -> sp.csr_array:
    """Vertices of a lattice: bipartite, many equal weights."""
    across = sp.kron(path(width), sp.eye_array(height))
    return sp.csr_array(across + sp.kron(sp.eye_array(width), path(height)))


def random_weights(graph: sp.csr_array, seed: int = 0) -> sp.csr_array:
    """Give the edges weights between 0.01 and 1."""
    upper = sp.triu(graph).tocoo()
    upper.data = np.random.default_rng(seed).uniform(0.01, 1.0, upper.nnz).astype(np.float32)
    return sp.csr_array(upper + upper.T)


def random_tree(n: int, seed: int = 0) -> sp.csr_array:
    """Every vertex hangs on an earlier one."""
    rng = np.random.default_rng(seed)
    i = np.arange(1, n)
    parents = rng.integers(i)
    ends = (np.r_[i, parents], np.r_[parents, i])
    return sp.csr_array((np.ones(2 * n - 2, np.float32), ends), shape=(n, n))


def random_start(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Positions as an initialisation would give them."""
    return (np.random.default_rng(seed).random((n, d)) * 10).astype(np.float32)
