"""The exact search finds what SciPy's brute force finds."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from umapcore.neighbors import descent
from umapcore.neighbors.exact import exact_knn
from umapcore.neighbors.query import nearest


def points(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + 0.5


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
@pytest.mark.parametrize(("n_reference", "n", "d", "k"), [(700, 90, 50, 15), (256, 9, 7, 256)])
def test_is_exact(metric: str, n_reference: int, n: int, d: int, k: int) -> None:
    reference, new = points(n_reference, d), points(n, d, 1)
    exact = cdist(new, reference, metric)
    indices, distances = nearest(reference, new, k, metric=metric)
    assert indices.dtype == np.int32
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :k], rtol=1e-5, atol=1e-6)
    found = np.take_along_axis(exact, indices.astype(int), axis=1)
    np.testing.assert_allclose(found, distances, rtol=1e-5, atol=1e-6)


def test_of_equals_the_first_is_nearer() -> None:
    reference = np.repeat(points(3, 4), 100, axis=0)
    indices, distances = nearest(reference, reference[[150]], 5)
    np.testing.assert_array_equal(indices, [[100, 101, 102, 103, 104]])
    np.testing.assert_array_equal(distances, np.zeros((1, 5)))


def test_neither_threads_nor_other_points_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore._kit.parallel.thread_count", lambda n: n)
    reference, new = points(30_000, 11), points(1000, 11, 1)
    one = nearest(reference, new, 9, n_threads=1)
    for some, n_threads in ((slice(None), 4), (slice(333, 340), 1)):
        found = nearest(reference, new[some], 9, n_threads=n_threads)
        for ours, whole in zip(found, one, strict=True):
            np.testing.assert_array_equal(ours, whole[some])


def test_the_search_of_a_graph_finds_the_same() -> None:
    """A cell of the reference, placed as a new one, has the distances that its graph has."""
    reference = points(300, 7).astype(np.float32)
    for metric in ("euclidean", "sqeuclidean", "cosine", "correlation"):
        ours = nearest(reference, reference[:40], 9, metric=metric)
        theirs = exact_knn(reference, 9, metric=metric)
        np.testing.assert_array_equal(ours[0], theirs.indices[:40])
        np.testing.assert_array_equal(ours[1], theirs.distances[:40])


def test_rows_without_a_direction() -> None:
    reference = points(40, 3)
    reference[17] = 0.0
    indices, distances = nearest(reference, np.zeros((1, 3)), 4, metric="cosine")
    np.testing.assert_allclose(distances, [[0, 1, 1, 1]], atol=1e-6)
    assert indices[0, 0] == 17


@pytest.mark.parametrize(
    ("metric", "options"), [("manhattan", {}), ("minkowski", {"p": 3}), ("seuclidean", {})]
)
def test_other_metrics_of_scipy(metric: str, options: dict[str, Any]) -> None:
    reference, new = points(300, 6), points(301, 6, 1)
    found = nearest(reference, new, 5, metric=metric, metric_kwds=options)
    exact = cdist(
        new, reference, "cityblock" if metric == "manhattan" else metric,
        **(options or ({"V": reference.var(axis=0, ddof=1)} if metric == "seuclidean" else {})),
    )  # fmt: skip
    np.testing.assert_allclose(found[1], np.sort(exact, axis=1)[:, :5], rtol=1e-5)
    alone = nearest(reference, new[7:8], 5, metric=metric, metric_kwds=options)
    np.testing.assert_array_equal(alone[0], found[0][7:8])


def test_other_metrics_go_to_pynndescent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own search takes a minute to compile."""

    seeds: list[int] = []

    class Index:
        def __init__(self, reference: np.ndarray, **options: Any) -> None:
            assert options["metric"] == "haversine"
            assert options["metric_kwds"] == {"x": 1}
            seeds.append(options["random_state"].randint(2**31))
            assert options["n_jobs"] == 1
            self.reference = reference

        def query(self, new: np.ndarray, k: int, epsilon: float) -> Any:
            exact = cdist(new, self.reference)
            order = np.argsort(exact, axis=1)[:, :k]
            found = np.take_along_axis(exact, order, axis=1)
            order[0, -1] = -1
            return order, found

    monkeypatch.setattr(descent, "known_metrics", lambda *, is_sparse: {"haversine"})
    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=Index))
    for seed in (0, 2**32, 2**63):
        indices, distances = nearest(
            points(400, 2), points(30, 2, 1), 6, metric="haversine", metric_kwds={"x": 1}, seed=seed
        )
    assert len(set(seeds)) == 3
    assert (indices.dtype, distances.dtype) == (np.int32, np.float32)
    assert (np.diff(distances) >= 0).all()
    np.testing.assert_array_equal(np.isinf(distances), indices < 0)
    assert (indices < 0).sum() == 1
    with pytest.raises(ValueError, match=r"metric='haversin' is unknown.*mean 'haversine'"):
        nearest(points(9, 2), points(2, 2), 3, metric="haversin")


def test_without_pynndescent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent, "known_metrics", lambda *, is_sparse: frozenset())
    with pytest.raises(ImportError, match="metric='haversine' needs pynndescent: python -m pip"):
        nearest(points(9, 2), points(2, 2), 3, metric="haversine")
