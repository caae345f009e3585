"""Spectral layouts: right, in their rooms, and always the same."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import sparse

from tests.support import graphs
from umapcore.graph.components import connected_components
from umapcore.graph.csr import prepare_graph
from umapcore.init.spectral import spectral_layout


def normalised(graph: sparse.csr_array) -> np.ndarray:
    dense = graph.toarray().astype(np.float64)
    root = np.sqrt(dense.sum(axis=1))
    return dense / root[:, None] / root


def ring(n: int) -> sparse.csr_array:
    graph = graphs.path(n).tolil()
    graph[0, n - 1] = graph[n - 1, 0] = 1
    return graph.tocsr()


def complete(n: int) -> sparse.csr_array:
    return sparse.csr_array(np.ones((n, n)) - np.eye(n))


@pytest.mark.parametrize(
    "graph",
    [
        graphs.surface(150),
        graphs.hub(150),
        graphs.grid(9, 7),
        graphs.path(20),
        graphs.path(60),
        graphs.grid(5, 4),
    ],
)
@pytest.mark.parametrize("d", [1, 2, 5])
def test_layout_is_the_leading_eigenvectors(graph: sparse.csr_array, d: int) -> None:
    graph = prepare_graph(graph)
    assert connected_components(graph)[0] == 1
    layout = spectral_layout(graph, d, seed=0)
    adjacency = normalised(graph)
    values = np.linalg.eigvalsh(adjacency)[::-1][1 : d + 1]
    root = np.sqrt(graph.sum(axis=1))
    # Up to 48 vertices the solver is a dense one.
    tolerance = 1e-8 if graph.shape[0] <= 48 else 0.02
    for column, value in zip(layout.T, values, strict=True):
        np.testing.assert_allclose(adjacency @ column, value * column, atol=tolerance)
        assert abs(column @ root) < 1e-5 * len(column)
        assert column[np.abs(column).argmax()] == 1.0
        quotient = column @ adjacency @ column / (column @ column)
        assert 1 - quotient <= 1.02 * (1 - value)


def test_tolerance_suffices_for_a_small_gap() -> None:
    """A long strip: Rayleigh quotients close to the eigenvalues, as a start needs them."""
    graph = prepare_graph(graphs.grid(45, 3))
    layout = spectral_layout(graph, 2, seed=0)
    adjacency = normalised(graph)
    quotients = (layout * (adjacency @ layout)).sum(axis=0) / (layout**2).sum(axis=0)
    exact = np.linalg.eigvalsh(adjacency)[::-1][1:3]
    np.testing.assert_allclose(1 - quotients, 1 - exact, rtol=0.02)


@pytest.mark.parametrize("n", [4, 5, 20, 33, 40, 150])
@pytest.mark.parametrize("make", [ring, complete, graphs.star])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_graphs_with_equal_eigenvalues(make: object, n: int, d: int) -> None:
    """Any vectors will do, but they must be eigenvectors, independent, and always the same."""
    graph = prepare_graph(make(n))
    layout = spectral_layout(graph, d, seed=0)
    assert layout.shape == (n, d)
    assert np.isfinite(layout).all()
    np.testing.assert_array_equal(
        layout, spectral_layout(graph, d, seed=1) if n > d + 1 else layout
    )
    if n > d + 1:
        assert np.linalg.matrix_rank(layout, tol=1e-6) == d
        adjacency = normalised(graph)
        quotients = (layout * (adjacency @ layout)).sum(axis=0) / (layout**2).sum(axis=0)
        np.testing.assert_allclose(
            adjacency @ layout, quotients * layout, atol=5e-3 * np.abs(layout).max()
        )


@pytest.mark.parametrize("d", [1, 2, 3, 10])
@pytest.mark.parametrize("n", [1, 2, 3, 12])
def test_no_edges(n: int, d: int) -> None:
    layout = spectral_layout(prepare_graph(sparse.csr_array((n, n))), d, seed=0)
    assert layout.shape == (n, d)
    assert np.unique(layout, axis=0).shape[0] == n


def test_components_do_not_mix() -> None:
    """Every component fills its own box; large ones get more room."""
    blocks = [
        graphs.surface(300),
        graphs.path(40),
        graphs.surface(50),
        complete(5),
        graphs.path(2),
        graphs.path(1),
    ]
    graph = prepare_graph(sparse.block_diag(blocks, format="csr"))
    order = np.random.default_rng(0).permutation(graph.shape[0])
    graph = prepare_graph(graph[order][:, order])
    layout = spectral_layout(graph, 2, seed=0)
    _, labels = connected_components(graph)
    low = np.stack([layout[labels == c].min(axis=0) for c in range(6)])
    high = np.stack([layout[labels == c].max(axis=0) for c in range(6)])
    overlap = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    assert (overlap >= 0).all(axis=2).sum() == 6
    sizes = np.bincount(labels)
    extent = (high - low).max(axis=1)
    assert extent[sizes == 300] > extent[sizes == 50] > extent[sizes == 5] > 0


def test_a_component_is_laid_out_as_if_it_were_alone() -> None:
    alone = prepare_graph(graphs.surface(200))
    together = prepare_graph(sparse.block_diag([graphs.path(50), alone], format="csr"))
    own = spectral_layout(alone, 2, seed=0)
    placed = spectral_layout(together, 2, seed=0)[50:]
    for k in range(2):
        assert np.corrcoef(own[:, k], placed[:, k])[0, 1] > 0.9999


def test_components_lie_as_their_centroids_do() -> None:
    x = np.array([3.0, 0.0, 2.0, 1.0])
    graph = prepare_graph(sparse.block_diag([graphs.path(30)] * 4, format="csr"))
    representation = np.repeat(np.stack([x, np.zeros(4)], axis=1), 30, axis=0)
    calls = []

    def read() -> np.ndarray:
        calls.append(1)
        return representation

    layout = spectral_layout(graph, 1, seed=0, representation=read)
    middle = layout.reshape(4, 30).mean(axis=1)
    assert np.argsort(middle).tolist() == np.argsort(x).tolist() or (
        np.argsort(-middle).tolist() == np.argsort(x).tolist()
    )
    assert calls == [1]
    spectral_layout(prepare_graph(graphs.path(30)), 1, seed=0, representation=read)
    assert calls == [1]  # one component: not read


def test_thousands_of_tiny_components_are_fast(rng: np.random.Generator) -> None:
    sizes = rng.integers(1, 12, 4000)
    n = int(sizes.sum())
    offsets = np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Every vertex is joined to the one before it in its component.
    heads = np.flatnonzero(np.arange(n) > offsets)
    graph = prepare_graph(
        sparse.coo_array(
            (np.ones(2 * heads.size), (np.r_[heads, heads - 1], np.r_[heads - 1, heads])),
            shape=(n, n),
        )
    )
    assert connected_components(graph)[0] == 4000
    representation = rng.normal(size=(n, 20))
    spectral_layout(graph, 2, seed=0, representation=representation)  # compiles
    began = time.perf_counter()
    layout = spectral_layout(graph, 2, seed=0, representation=representation)
    assert time.perf_counter() - began < 3
    assert np.isfinite(layout).all()


@pytest.mark.parametrize("d", [1, 3, 10, 50])
def test_up_to_fifty_dimensions(d: int) -> None:
    blocks = [graphs.surface(1500), graphs.surface(40), complete(5), graphs.path(1)]
    graph = prepare_graph(sparse.block_diag(blocks, format="csr"))
    layout = spectral_layout(graph, d, seed=0)
    assert layout.shape == (1546, d)
    assert np.isfinite(layout).all()
    adjacency = normalised(prepare_graph(blocks[0]))
    values = np.linalg.eigvalsh(adjacency)[::-1][1 : d + 1]
    part = layout[:1500] - layout[:1500].mean(axis=0)
    root = np.sqrt(blocks[0].sum(axis=1))
    part -= root[:, None] * (root @ part) / (root @ root)
    quotients = (part * (adjacency @ part)).sum(axis=0) / (part**2).sum(axis=0)
    assert (1 - quotients <= 1.1 * (1 - values)).all()
