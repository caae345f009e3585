"""The multilevel eigensolver against dense and exact ones."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from tests.support import graphs
from umapcore.graph.csr import prepare_graph
from umapcore.init import multilevel
from umapcore.init.rayleigh_ritz import rayleigh_ritz
from umapcore_numba.spectral.ops import NumbaSpectralOps


def laplacian(graph: sparse.csr_array) -> sparse.csc_array:
    weights = graph.astype(np.float64)
    root = 1.0 / np.sqrt(weights.sum(axis=1))
    scale = sparse.diags_array(root)
    return sparse.csc_array(sparse.eye_array(graph.shape[0]) - scale @ weights @ scale)


def exact(graph: sparse.csr_array, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Smallest eigenvalues but the first, and their vectors, by shift-invert."""
    matrix = laplacian(graph)
    n = graph.shape[0]
    solver = splu(sparse.csc_array(matrix + 1e-10 * sparse.eye_array(n)))
    inverse = LinearOperator((n, n), matvec=solver.solve, dtype=np.float64)
    values, vectors = eigsh(inverse, k=k + 1, v0=np.linspace(-1, 2, n), tol=1e-12)
    order = np.argsort(-values)[1:]
    return 1.0 / values[order] - 1e-10, vectors[:, order]


def solve(graph: sparse.csr_array, d: int, n_threads: int = 1) -> np.ndarray:
    with NumbaSpectralOps(n_threads) as ops:
        return multilevel.smallest_eigenvectors(graph, d, ops)


def quotients(graph: sparse.csr_array, vectors: np.ndarray) -> np.ndarray:
    return (vectors * (laplacian(graph) @ vectors)).sum(axis=0) / (vectors**2).sum(axis=0)


def near_disconnected(n: int) -> sparse.csr_array:
    graph = sparse.block_diag([graphs.surface(n), graphs.surface(n, seed=1)]).tolil()
    graph[5, n + 7] = graph[n + 7, 5] = 1e-6
    return sparse.csr_array(graph)


SHAPES = {
    "surface": lambda: graphs.surface(4000),
    "hub": lambda: graphs.hub(2000),
    "path": lambda: graphs.path(3000),
    "strip": lambda: graphs.grid(1000, 3),
    "oblong": lambda: graphs.grid(90, 70),
    "tree": lambda: graphs.random_tree(3000),
    "weights": lambda: graphs.random_weights(graphs.grid(80, 50)),
    "near-disconnected": lambda: near_disconnected(1000),
}


@pytest.mark.parametrize("d", [2, 10])
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_quotients_are_close_to_the_eigenvalues(shape: str, d: int) -> None:
    graph = prepare_graph(SHAPES[shape]())
    values, _ = exact(graph, d)
    found = solve(graph, d)
    assert found.shape == (graph.shape[0], d)
    assert (quotients(graph, found) <= 1.1 * values + 1e-12).all()
    # Orthogonal to the first eigenvector and to each other.
    unit = found / np.linalg.norm(found, axis=0)
    root = np.sqrt(graph.sum(axis=1))
    assert np.abs(unit.T @ (root / np.linalg.norm(root))).max() < 1e-5
    np.testing.assert_allclose(unit.T @ unit, np.eye(d), atol=1e-4)


@pytest.mark.parametrize("shape", ["oblong", "weights", "strip"])
def test_vectors_span_what_the_exact_ones_do(shape: str) -> None:
    graph = prepare_graph(SHAPES[shape]())
    values, vectors = exact(graph, 3)
    assert values[2] > 1.3 * values[1]  # a gap, without which there is no one span
    basis, _ = np.linalg.qr(solve(graph, 2))
    cosines = np.linalg.svd(vectors[:, :2].T @ basis, compute_uv=False)
    assert cosines.min() > 0.99


@pytest.mark.parametrize("n", [34, 40, 48])
def test_few_vertices_are_solved_exactly(n: int) -> None:
    graph = prepare_graph(graphs.surface(n))
    values, vectors = np.linalg.eigh(laplacian(graph).toarray())
    found = solve(graph, 3)
    np.testing.assert_allclose(quotients(graph, found), values[1:4], rtol=1e-10)
    unit = found / np.linalg.norm(found, axis=0)
    np.testing.assert_allclose(np.abs((unit * vectors[:, 1:4]).sum(axis=0)), 1.0, atol=1e-10)


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_order_in_memory_is_not_the_result(n_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels in an order of their own give what the natural order gives, but for rounding."""
    graph = prepare_graph(graphs.random_weights(graphs.grid(150, 40)))
    natural = solve(graph, 2)
    monkeypatch.setattr(multilevel, "_OUT_OF_CACHE", 300)
    monkeypatch.setattr("umapcore._kit.parallel._SERIAL_ROWS", 0)
    monkeypatch.setattr("umapcore._kit.parallel.thread_count", lambda n: n)
    ordered = solve(graph, 2)
    for k in range(2):
        assert abs(np.corrcoef(natural[:, k], ordered[:, k])[0, 1]) > 0.9999
    assert solve(graph, 2, n_threads).tobytes() == ordered.tobytes()


def test_a_start_that_is_still_falling_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multilevel, "MOST_PASSES", 1)
    monkeypatch.setattr(multilevel, "DEGREE", 2)
    with caplog.at_level(logging.WARNING):
        found = solve(prepare_graph(graphs.path(3000)), 2)
    assert "approximate: its Rayleigh quotients" in caplog.text
    assert np.isfinite(found).all()


def test_without_coarse_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where coarsening stalls, the filter works on the level that there is."""
    monkeypatch.setattr(multilevel, "_STALLED", 0.0)
    graph = prepare_graph(graphs.hub(2000))
    found = solve(graph, 2)
    assert (quotients(graph, found) <= 1.1 * exact(graph, 2)[0]).all()


def test_weights_over_many_orders_of_magnitude() -> None:
    graph = graphs.grid(40, 40)
    upper = sparse.triu(graph).tocoo()
    upper.data = 10.0 ** np.random.default_rng(0).uniform(-42, 0, upper.nnz)
    found = solve(prepare_graph(upper + upper.T), 2)
    assert np.isfinite(found).all()


def test_rayleigh_ritz_drops_what_depends_on_others(rng: np.random.Generator) -> None:
    n = 60
    degrees = rng.random(n) + 0.5
    x = rng.normal(size=(n, 8))
    x[:, 3] = x[:, 0] - 2 * x[:, 1]
    x[:, 5] = 0.0
    x[:, 6] = 4.0
    energy = rng.normal(size=(n, n))
    energy = energy @ energy.T
    # Constants have none.
    energy -= np.outer(energy.sum(axis=1), energy.sum(axis=0)) / energy.sum()
    weighted = degrees[:, None] * x
    gram = np.zeros((3, 8, 8))
    gram[0], gram[1], gram[2, 0] = weighted.T @ x, -x.T @ energy @ x, weighted.sum(axis=0)
    ritz = rayleigh_ritz(gram, degrees.sum())
    assert np.isinf(ritz.quotients[5:]).all()
    best = x @ ritz.rotation - ritz.offset
    assert np.abs(best[:, 5:]).max() == 0.0
    best = best[:, :5]
    inner = best.T @ (degrees[:, None] * best)
    np.testing.assert_allclose(inner, np.eye(5) * degrees.sum(), atol=1e-9)
    np.testing.assert_allclose(degrees @ best, 0.0, atol=1e-9)
    found = np.diag(best.T @ energy @ best) / degrees.sum()
    np.testing.assert_allclose(found, ritz.quotients[:5])
