"""Connected components and their rooms."""

from __future__ import annotations

import logging
import tracemalloc
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from tests.support.graphs import clusters, hub, path, random_tree
from umapcore.graph.components import connected_components
from umapcore.graph.csr import prepare_graph
from umapcore.init.rooms import _product, centroid_targets, component_rooms


@pytest.mark.parametrize("density", [0.0, 0.002, 0.01, 0.1])
def test_labels_are_those_of_scipy(density: float, rng: np.random.Generator) -> None:
    given = rng.random((300, 300)) < density
    graph = prepare_graph(given | given.T)
    count, labels = connected_components(graph)
    expected_count, expected = csgraph.connected_components(graph, directed=False)
    assert count == expected_count
    assert len(set(zip(labels, expected, strict=True))) == count
    # Numbered in the order of their first vertices.
    _, firsts = np.unique(labels, return_index=True)
    assert (np.diff(firsts) > 0).all()


@pytest.mark.parametrize("n_threads", [1, 2, 8])
@pytest.mark.parametrize("shape", ["path", "tree", "hub", "pairs", "mixed"])
def test_labels_by_any_number_of_threads(
    shape: str, n_threads: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umapcore._kit.parallel.ROWS_PER_TASK", 256)
    monkeypatch.setattr("umapcore._kit.parallel.thread_count", lambda n: n or 1)
    graph = {
        "path": lambda: path(20_000),
        "tree": lambda: random_tree(20_000),
        "hub": lambda: hub(3000),
        "pairs": lambda: sparse.block_diag([sparse.coo_array([[0, 1], [1, 0]])] * 5000),
        "mixed": lambda: sparse.block_diag([path(7000), random_tree(8000), clusters(900)]),
    }[shape]()
    graph = sparse.csr_array(graph)
    order = rng.permutation(graph.shape[0])
    graph = prepare_graph(graph[order][:, order])
    count, labels = connected_components(graph, n_threads=n_threads)
    expected_count, expected = csgraph.connected_components(graph, directed=False)
    assert count == expected_count
    _, firsts, expected = np.unique(expected, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(labels, np.argsort(np.argsort(firsts))[expected])


@pytest.mark.parametrize("n_dimensions", [1, 2, 3, 10])
@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 17, 400])
def test_rooms_have_their_share_and_do_not_overlap(
    count: int, placed: bool, n_dimensions: int, rng: np.random.Generator
) -> None:
    sizes = rng.integers(1, 50, count)
    sizes[count // 2] = 5000
    targets = rng.normal(size=(count, n_dimensions)) if placed else None
    low, high = component_rooms(sizes, n_dimensions, targets)
    assert (low >= 0).all()
    assert (high <= 1).all()
    np.testing.assert_allclose((high - low).prod(axis=1), sizes / sizes.sum(), rtol=1e-9)
    overlap = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    touching = (overlap > 1e-12).all(axis=2)
    assert touching.sum() == count  # each with itself


def test_rooms_lie_as_the_targets_do() -> None:
    """On a grid of equal components every room is at its place in the grid."""
    x, y = (c.ravel() for c in np.meshgrid(np.arange(8), np.arange(8)))
    order = np.random.default_rng(0).permutation(64)
    targets = np.stack([x, 0.1 * y], axis=1)[order]
    low, high = component_rooms(np.full(64, 10), 2, targets)
    middle = 0.5 * (low + high)
    np.testing.assert_allclose(middle[:, 0], (x[order] + 0.5) / 8)
    np.testing.assert_allclose(middle[:, 1], (y[order] + 0.5) / 8)


def test_without_targets_large_components_come_first() -> None:
    low, high = component_rooms(np.array([1, 100, 3]), 1, None)
    assert low[1, 0] < low[2, 0] < low[0, 0]
    assert high[0, 0] == 1.0


def test_equal_targets_are_no_problem() -> None:
    low, high = component_rooms(np.arange(1, 40), 2, np.zeros((39, 2)))
    assert ((high - low) > 0).all()


def test_memory_is_linear_in_the_number_of_components(rng: np.random.Generator) -> None:
    count = 20_000
    tracemalloc.start()
    labels = np.repeat(np.arange(count, dtype=np.int32), 2)
    representation = rng.random((2 * count, 10), dtype=np.float32)
    sizes = np.full(count, 2)
    component_rooms(sizes, 2, centroid_targets(representation, labels, sizes, 2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # a dense matrix of components would take 3200e6


@pytest.fixture
def points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = rng.integers(0, 12, 500).astype(np.int32)
    centres = rng.normal(size=(12, 20)) * np.linspace(9, 1, 20)
    return (centres[labels] + 0.01 * rng.normal(size=(500, 20))), labels, np.bincount(labels)


def test_targets_are_the_principal_components_of_the_centroids(
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    representation, labels, sizes = points
    targets = centroid_targets(representation, labels, sizes, 2)
    centroids = np.stack([representation[labels == c].mean(axis=0) for c in range(12)])
    u, _, _ = np.linalg.svd(centroids - centroids.mean(axis=0), full_matrices=False)
    for found, expected in zip(targets.T, u.T, strict=False):
        assert abs(np.corrcoef(found, expected)[0, 1]) > 0.9999
        assert found[np.abs(found).argmax()] > 0


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_only_directions_count_for_some_metrics(
    form: object, metric: str, rng: np.random.Generator
) -> None:
    """Along an arc, each component at another distance from the origin."""
    angles = np.linspace(0.1, 1.4, 9)
    lengths = rng.uniform(0.5, 50.0, 9)
    centres = lengths[:, None] * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    if metric == "correlation" and form is np.asarray:
        centres += rng.normal(size=(9, 1)) * 30  # a shift that correlation does not see
    labels = np.repeat(np.arange(9), 4).astype(np.int32)
    sizes = np.full(9, 4)
    points = form(centres[labels])
    along = centroid_targets(points, labels, sizes, 1, metric=metric)[:, 0]
    assert np.argsort(along).tolist() in (list(range(9)), list(range(9))[::-1])
    plain = centroid_targets(points, labels, sizes, 1)[:, 0]
    assert np.argsort(plain).tolist() not in (list(range(9)), list(range(9))[::-1])


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        lambda x: x.astype(np.float32),
        sparse.csr_matrix,
        sparse.csc_array,
        pd.DataFrame,
    ],
)
def test_every_form_of_representation(
    form: object, points: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    representation, labels, sizes = points
    expected = centroid_targets(representation, labels, sizes, 3)
    found = centroid_targets(form(representation), labels, sizes, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=10)  # of 2**20


def test_representations_are_read_piece_by_piece(
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    da = pytest.importorskip("dask.array")
    representation, labels, sizes = points
    expected = centroid_targets(representation, labels, sizes, 3)
    monkeypatch.setattr("umapcore._kit.arrays._CHUNK_ENTRIES", 20 * 33)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        anndata.io.write_elem(file, "dense", representation)
        anndata.io.write_elem(file, "sparse", sparse.csr_matrix(representation))
        for stored in (
            representation,
            file["dense"],
            anndata.io.sparse_dataset(file["sparse"]),
            da.from_array(representation, chunks=(70, 7)),
        ):
            found = centroid_targets(stored, labels, sizes, 3)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=10)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_a_representation_that_is_not_finite_is_left_alone(
    form: object,
    caplog: pytest.LogCaptureFixture,
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    representation, labels, sizes = points
    representation[7, 3] = np.nan
    with caplog.at_level(logging.WARNING):
        assert centroid_targets(form(representation), labels, sizes, 2) is None
    assert "not finite" in caplog.text


@pytest.mark.parametrize("n_features", [1, 2])
def test_fewer_features_than_dimensions(n_features: int) -> None:
    graph = prepare_graph(clusters(90))
    count, labels = connected_components(graph)
    targets = centroid_targets(
        np.ones((90, n_features)) * labels[:, None], labels, np.bincount(labels), 3
    )
    assert targets.shape == (count, 3)
    assert np.isfinite(targets).all()
    assert (targets[:, n_features:] == 0).all()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, pd.DataFrame, np.ndarray.tolist])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_the_scale_of_a_representation_does_not_matter(
    form: Any, metric: str, rng: np.random.Generator
) -> None:
    points = rng.integers(-(2**20), 2**20, size=(60, 5)) / 2.0**20
    labels = (np.arange(60) % 12).astype(np.int32)
    sizes = np.full(12, 5)
    expected = centroid_targets(form(points), labels, sizes, 2, metric=metric)
    for exponent in (-1000, -520, -100, 300, 520, 1015):
        given = form(points * 2.0**exponent)
        found = centroid_targets(given, labels, sizes, 2, metric=metric)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x[:50], ValueError, r"shape \(50, 5\): it must have 60 rows"),
        (lambda x: np.vstack([x, x]), ValueError, r"shape \(120, 5\): it must have 60 rows"),
        (lambda x: x[:, 0], ValueError, r"shape \(60,\)"),
        (lambda x: x[None], ValueError, r"shape \(1, 60, 5\)"),
        (lambda x: x + 0j, TypeError, "dtype complex128"),
        (lambda x: x.astype(str), TypeError, "dtype <U32"),
        (lambda x: sparse.csr_array(x + 0j), TypeError, "real numbers"),
        (lambda x: np.ma.masked_greater(x, 0.5), ValueError, "masked values"),
    ],
)
def test_representations_are_checked(
    change: Any, error: type[Exception], message: str, rng: np.random.Generator
) -> None:
    labels = (np.arange(60) % 12).astype(np.int32)
    with pytest.raises(error, match=f"^representation.*{message}"):
        centroid_targets(change(rng.random((60, 5))), labels, np.full(12, 5), 2)


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sums_of_products_round_after_every_operation(form: str, rng: np.random.Generator) -> None:
    """SciPy's own, on ARM, do not round the products."""
    x = rng.random((40, 30)) * (rng.random((40, 30)) < 0.4)
    y = rng.random((30, 3))
    expected = np.zeros((40, 3))
    for column in range(30):
        expected += x[:, column, None] * y[column]
    np.testing.assert_array_equal(_product(sparse.csr_array(x).asformat(form), y), expected)
