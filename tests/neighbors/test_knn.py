"""Searches for nearest neighbours, beside SciPy's distances of all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

from umapcore.errors import GPUUnavailableError
from umapcore.neighbors import descent, search
from umapcore.neighbors.exact import exact_knn
from umapcore.neighbors.knn import KNN, with_self_first
from umapcore.neighbors.record import ACCURACY, Search
from umapcore.neighbors.search import find_neighbors, nearest_neighbors
from umapcore.settings import settings


def some_points(n: int = 333, p: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, p)).astype(np.float32)


def expected(points: np.ndarray, k: int, metric: str, **options: Any) -> tuple[Any, Any]:
    all_pairs = cdist(points.astype(float), points.astype(float), metric, **options)
    np.fill_diagonal(all_pairs, -1.0)
    order = np.argsort(all_pairs, axis=1, kind="stable")[:, :k]
    return order, np.maximum(np.take_along_axis(all_pairs, order, axis=1), 0.0)


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("euclidean", {}),
        ("sqeuclidean", {}),
        ("cosine", {}),
        ("correlation", {}),
        ("cityblock", {}),
        ("chebyshev", {}),
        ("minkowski", {"p": 3}),
        ("canberra", {}),
    ],
)
@pytest.mark.parametrize("n", [20, 333])
def test_exact(metric: str, options: dict[str, Any], n: int) -> None:
    points = some_points(n)
    indices, distances = exact_knn(points, 9, metric=metric, metric_kwds=options)
    order, lengths = expected(points, 9, metric, **options)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, lengths, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("metric", ["seuclidean", "mahalanobis"])
def test_metrics_with_scales_take_them_of_all_points(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = some_points()
    whole = exact_knn(points, 5, metric=metric)
    monkeypatch.setattr("umapcore.neighbors.top_k._BLOCK_ENTRIES", 10 * 333)
    np.testing.assert_array_equal(exact_knn(points, 5, metric=metric).indices, whole.indices)
    np.testing.assert_array_equal(whole.indices, expected(points, 5, metric)[0])


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "correlation"])
def test_exact_sparse(metric: str) -> None:
    points = some_points(200, 12)
    points[points < 0.4] = 0.0
    points[7] = points[9]
    points[11] = 0.0
    dense = exact_knn(points, 7, metric=metric)
    found = exact_knn(sparse.csr_array(points), 7, metric=metric)
    np.testing.assert_allclose(found.distances, dense.distances, rtol=1e-5, atol=1e-6)
    assert (found.indices == dense.indices).mean() > 0.95
    assert found.distances[7, 1] == 0


def test_points_without_direction() -> None:
    points = np.array([[0, 0], [0, 0], [1, 2], [2, 4], [-1, 5]], np.float32)
    for given in (points, sparse.csr_array(points)):
        distances = exact_knn(given, 5, metric="cosine").distances
        np.testing.assert_allclose(distances[0], [0, 0, 1, 1, 1], atol=1e-6)
        np.testing.assert_allclose(distances[2, :2], [0, 0], atol=1e-6)


def test_same_bits_on_any_number_of_threads() -> None:
    points = some_points(1000)
    found = {
        tuple(part.tobytes() for part in exact_knn(points, 8, n_threads=n)) for n in (None, 1, 2)
    }
    assert len(found) == 1


def test_ties_go_to_smaller_numbers() -> None:
    points = np.repeat(np.arange(4, dtype=np.float32), 50)[:, None]
    indices, distances = exact_knn(points, 5)
    assert (distances == 0).all()
    np.testing.assert_array_equal(indices[120], [120, 100, 101, 102, 103])


def test_self_comes_first() -> None:
    knn = KNN(
        np.array([[1, 0, 2], [0, 2, 1], [0, 1, 3], [3, 0, 1]], np.int32),
        np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 1, 2]], np.float32),
    )
    moved = with_self_first(knn, insert=True)
    np.testing.assert_array_equal(moved.indices, [[0, 1, 2], [1, 0, 2], [2, 0, 1], [3, 0, 1]])
    np.testing.assert_array_equal(moved.distances[0], [0, 0, 1])
    np.testing.assert_array_equal(with_self_first(knn, insert=False).indices[2], [0, 1, 3])


def test_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: "No such device.")
    points = some_points()
    with pytest.warns(UserWarning, match="runs on the CPU: No such device. The result has"):
        found = nearest_neighbors(points, 6, method="rapids")
    np.testing.assert_array_equal(found.indices, exact_knn(points, 6).indices)
    nearest_neighbors(points, 6, method="auto")  # warnings are errors
    monkeypatch.setattr(settings, "gpu_fallback", False)
    with pytest.raises(GPUUnavailableError, match="No such device"):
        nearest_neighbors(points, 6, method="rapids")


class TestChoice:
    def test_without_pynndescent(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(descent, "find_spec", lambda _: None)
        monkeypatch.setattr(search, "EXACT_BELOW_OTHERS", 10)
        points = some_points()
        found = nearest_neighbors(points, 6, metric="canberra")
        assert "umapcore[neighbors]" in caplog.text
        own = exact_knn(points, 6, metric="canberra")
        np.testing.assert_array_equal(found.indices, own.indices)
        monkeypatch.setattr(search, "EXACT_UP_TO", 100)
        with pytest.raises(ImportError, match=r"pip install \"umapcore\[neighbors\]\""):
            nearest_neighbors(points, 6, metric="canberra")
        nearest_neighbors(points, 6, metric="canberra", exact=True)
        nearest_neighbors(points, 6, exact=False)

    def test_own_search_is_exact_for_few_points(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = some_points()
        assert find_neighbors(points, 6).search == Search(kind="exact", accuracy=1.0)
        monkeypatch.setattr(search, "EXACT_WORK", 10)
        found = find_neighbors(points, 6).search
        assert (found.kind, found.accuracy) == ("partitions", ACCURACY)
        assert found.recall is not None
        assert found.recall >= ACCURACY
        assert find_neighbors(points, 6, accuracy=0.5).search.accuracy == 0.5
        assert find_neighbors(points, 6, accuracy=1.0).search.kind == "exact"
        assert find_neighbors(points, 6, exact=True).search.kind == "exact"

    def test_sparse_points_are_made_dense(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="umapcore")
        points = np.abs(some_points())
        points[points < 1] = 0
        given = sparse.csr_array(points)
        found = find_neighbors(given, 6, exact=False)
        assert found.search.kind == "partitions"
        assert "made dense: 0.00 GB" in caplog.text
        own = find_neighbors(points, 6, exact=False)
        np.testing.assert_array_equal(found.knn.indices, own.knn.indices)
        np.testing.assert_array_equal(found.knn.distances, own.knn.distances)
        monkeypatch.setattr(search, "DENSE_BYTES", 100)
        monkeypatch.setattr(descent, "descent_knn", lambda *_, **__: exact_knn(points, 6))
        assert find_neighbors(given, 6, exact=False).search.kind == "pynndescent"

    def test_pynndescent_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pynndescent", None)
        with pytest.raises(ImportError, match=r"umapcore\[neighbors\]"):
            descent.descent_knn(some_points(), 6)

    def test_by_pynndescent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stand-in: the real one compiles for a minute."""
        made: dict[str, Any] = {}

        class NNDescent:
            def __init__(self, points: Any, **options: Any) -> None:
                made.update(options)
                indices, distances = (part.copy() for part in exact_knn(points, 7))
                indices[3, 5:] = -1
                indices[5, :2] = indices[5, 1::-1]
                self.neighbor_graph = indices, distances

        module = type(descent)("pynndescent")
        module.NNDescent = NNDescent  # type: ignore[attr-defined]
        monkeypatch.setitem(__import__("sys").modules, "pynndescent", module)
        monkeypatch.setattr(descent, "known_metrics", lambda is_sparse: frozenset())
        found = nearest_neighbors(some_points(), 6, metric="canberra", exact=False, seed=2**40)
        assert (made["n_neighbors"], made["n_trees"], made["n_iters"]) == (7, 6, 8)
        assert made["n_jobs"] == 1
        assert found.indices.shape == (333, 6)
        np.testing.assert_array_equal(found.indices[:, 0], np.arange(333))
        assert found.indices[3, 5] == -1
        assert found.distances[3, 5] == np.inf

    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_unknown_metric(self, is_sparse: bool) -> None:
        points: Any = sparse.csr_array(some_points()) if is_sparse else some_points()
        with pytest.raises(ValueError, match=r"metric='euclidian' is unknown.*'euclidean'\?"):
            nearest_neighbors(points, 5, metric="euclidian")

    def test_metric_without_parameters(self) -> None:
        with pytest.raises(ValueError, match="has no parameters"):
            nearest_neighbors(some_points(), 5, metric_kwds={"p": 3})
