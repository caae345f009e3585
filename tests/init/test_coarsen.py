"""Coarsening: what becomes one vertex, and that nothing stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from tests.support import graphs
from umapcore.graph.csr import prepare_graph
from umapcore_numba.spectral.ops import NumbaSpectralOps

if TYPE_CHECKING:
    from umapcore_numba.spectral.level import Aggregates, NumbaLevel


def steps(
    graph: sparse.csr_array, least: int = 40
) -> list[tuple[NumbaLevel, Aggregates, NumbaLevel]]:
    ops = NumbaSpectralOps(1)
    level, done = ops.finest(prepare_graph(graph)), []
    while level.n_vertices > least and len(done) < 40:
        smaller, aggregates = ops.coarsen(level)
        done.append((level, aggregates, smaller))
        level = smaller
    return done


def rising_path(n: int) -> sparse.csr_array:
    weights = 1.0 + np.arange(n - 1) / n
    return sparse.diags_array([weights, weights], offsets=[1, -1], format="csr")


def pendants(n: int) -> sparse.csr_array:
    """A clique, to one member of which everything else hangs by a thread."""
    graph = sparse.block_diag([sparse.coo_array(np.ones((8, 8)) * 100), np.zeros((n, n))]).tolil()
    graph[0, 8:] = graph[8:, 0] = 0.01
    return sparse.csr_array(graph)


SHAPES = {
    "surface": lambda: graphs.surface(3000),
    "hub": lambda: graphs.hub(3000),
    "star": lambda: graphs.star(3000),
    "path": lambda: graphs.path(3000),
    "rising path": lambda: rising_path(3000),
    "grid": lambda: graphs.grid(70, 50),
    "tree": lambda: graphs.random_tree(3000),
    "pendants": lambda: pendants(1000),
    "complete": lambda: sparse.csr_array(np.ones((500, 500))),
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_level_is_about_half_of_the_one_before(shape: str) -> None:
    done = steps(SHAPES[shape]())
    for level, _, smaller in done:
        assert smaller.n_vertices <= 0.75 * level.n_vertices
    assert done[-1][2].n_vertices <= 40


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_aggregates_are_close_and_nothing_is_lost(shape: str) -> None:
    for level, aggregates, smaller in steps(SHAPES[shape]())[:4]:
        n, n_coarse = level.n_vertices, smaller.n_vertices
        sizes = np.diff(aggregates.offsets)
        assert sizes.min() == 1 or sizes.min() == 2
        assert sizes.sum() == n
        np.testing.assert_array_equal(np.sort(aggregates.members), np.arange(n))
        np.testing.assert_array_equal(
            aggregates.coarse[aggregates.members], np.repeat(np.arange(n_coarse), sizes)
        )
        assert smaller.degrees.sum() == pytest.approx(level.degrees.sum())
        indptr, indices, values = level.graph
        weights = sparse.csr_array((values, indices.copy(), indptr.copy()), shape=(n, n))
        # Members are neighbours or have one in common: no shortcuts through the graph.
        near = (weights @ weights + weights).tocsr()
        for c in np.random.default_rng(0).choice(n_coarse, 50):
            members = aggregates.members[aggregates.offsets[c] : aggregates.offsets[c + 1]]
            inside = near[members][:, members].toarray() > 0
            assert csgraph.connected_components(inside)[0] == 1
            assert sizes[c] <= 6


def test_clusters_that_hang_by_a_thread_stay_apart() -> None:
    """Five cliques on a sheet, joined by weak edges, are five vertices of the coarsest level."""
    sheet, clique = graphs.surface(2000), np.ones((6, 6)) - np.eye(6)
    graph = sparse.block_diag([sheet] + [clique] * 5).tolil()
    for k in range(5):
        graph[300 * k, 2000 + 6 * k] = graph[2000 + 6 * k, 300 * k] = 1e-4
    cluster = np.r_[np.zeros(2000, int), np.repeat(np.arange(1, 6), 6)]
    for level, aggregates, smaller in steps(sparse.csr_array(graph)):
        assert level.n_vertices == cluster.shape[0]
        merged = np.empty(smaller.n_vertices, int)
        merged[aggregates.coarse] = cluster
        np.testing.assert_array_equal(merged[aggregates.coarse], cluster)
        cluster = merged
    assert np.bincount(cluster)[1:].tolist() == [1] * 5
