"""Odd graphs that umapcore.tl.umap must lay out all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from tests.support.anndatas import islands, sheet, with_neighbors
from tests.support.graphs import hub, star
from umapcore.tl import umap


def embed(graph: Any, **parameters: Any) -> np.ndarray:
    adata = with_neighbors(graph)
    umap(adata, **({"maxiter": 30} | parameters))
    embedding = adata.obsm["X_umap"]
    assert embedding.shape == (graph.shape[0], parameters.get("n_components", 2))
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()
    return embedding


def complete(n: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.ones((n, n), np.float32) - np.eye(n, dtype=np.float32))


@pytest.mark.parametrize("init_pos", ["spectral", "random", "X_pca"])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("edges", [True, False])
def test_few_vertices(n: int, edges: bool, d: int, init_pos: str) -> None:
    graph = complete(n) if edges else sparse.csr_matrix((n, n), dtype=np.float32)
    embedding = embed(graph, n_components=d, init_pos=init_pos)
    assert np.unique(embedding, axis=0).shape[0] == n


@pytest.mark.parametrize("maxiter", [0, 1, 2])
@pytest.mark.parametrize("n", [1, 2, 40])
def test_few_epochs(n: int, maxiter: int) -> None:
    embed(complete(n), maxiter=maxiter)


@pytest.mark.parametrize("init_pos", ["spectral", "random"])
def test_no_edges(init_pos: str) -> None:
    """Without edges nothing moves."""
    graph = sparse.csr_matrix((200, 200), dtype=np.float32)
    np.testing.assert_array_equal(
        embed(graph, init_pos=init_pos), embed(graph, init_pos=init_pos, maxiter=0)
    )


def test_explicit_zeros_are_no_edges() -> None:
    graph = complete(40)
    graph.data[:] = 0
    np.testing.assert_array_equal(embed(graph), embed(sparse.csr_matrix((40, 40))))


def test_isolated_vertices() -> None:
    graph = islands().obsp["connectivities"].tolil()
    graph[5], graph[:, 5] = 0, 0
    graph[77], graph[:, 77] = 0, 0
    embed(sparse.csr_matrix(graph))


def test_self_loops_do_not_matter() -> None:
    graph = sheet().obsp["connectivities"]
    loops = sparse.csr_matrix(graph + sparse.eye_array(120, dtype=np.float32))
    np.testing.assert_array_equal(embed(loops), embed(graph))


def test_duplicate_entries_are_summed() -> None:
    graph = sheet().obsp["connectivities"]
    graph.data[:] = np.round(graph.data * 64) / 64
    doubled = sparse.csr_matrix(
        (np.repeat(graph.data / 2, 2), np.repeat(graph.indices, 2), graph.indptr * 2),
        shape=graph.shape,
    )
    np.testing.assert_array_equal(embed(doubled), embed(graph))


def test_one_triangle_is_the_whole_graph(caplog: pytest.LogCaptureFixture) -> None:
    graph = sheet().obsp["connectivities"]
    np.testing.assert_array_equal(embed(sparse.csr_matrix(sparse.triu(graph))), embed(graph))
    assert "not symmetric" in caplog.text


def test_read_only_everything() -> None:
    adata = islands()
    expected = embed(adata.obsp["connectivities"], init_pos=adata.obsm["X_pca"][:, :2])
    graph, start = adata.obsp["connectivities"], adata.obsm["X_pca"][:, :2].copy()
    for array in (graph.data, graph.indices, graph.indptr, start):
        array.flags.writeable = False
    np.testing.assert_array_equal(embed(graph, init_pos=start), expected)


@pytest.mark.parametrize("exponent", [-100, -2, 60])
def test_only_ratios_of_weights_count(exponent: int) -> None:
    """Even powers of two change no rounding, so not even the bits."""
    graph = sheet().obsp["connectivities"]
    scaled = sparse.csr_matrix(graph.astype(np.float64) * 2.0**exponent)
    np.testing.assert_array_equal(embed(scaled), embed(graph))


@pytest.mark.parametrize("graph", [star(300), hub(300)], ids=["star", "hubs"])
def test_nothing_runs_away_from_a_hub(graph: sparse.csr_array) -> None:
    assert np.abs(embed(sparse.csr_matrix(graph), maxiter=200)).max() < 60


def test_constant_axis_of_a_start_unfolds() -> None:
    start = np.zeros((120, 2))
    start[:, 0] = np.arange(120)
    embedding = embed(sheet().obsp["connectivities"], init_pos=start, maxiter=200)
    assert np.ptp(embedding[:, 1]) > 1


def test_all_starts_equal() -> None:
    embedding = embed(sheet().obsp["connectivities"], init_pos=np.ones((120, 2)), maxiter=200)
    assert (np.ptp(embedding, axis=0) > 1).all()


@pytest.mark.parametrize(
    "parameters",
    [
        {"gamma": 0},
        {"negative_sample_rate": 0},
        {"min_dist": 0},
        {"min_dist": 1.0},
        {"spread": 5, "min_dist": 0.1},
        {"alpha": 1e-6},
        {"n_components": 17},
        {"maxiter": 30.0},
        {"a": 10, "b": 0.1},
    ],
)
def test_extremes_of_parameters(parameters: dict[str, Any]) -> None:
    embed(islands().obsp["connectivities"], **parameters)
