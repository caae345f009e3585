"""The exact search finds what SciPy's brute force finds."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from umapcore.nearest import approximate_nearest, nearest


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
    monkeypatch.setattr("umapcore.rows.thread_count", lambda n: n)
    reference, new = points(30_000, 11), points(1000, 11, 1)
    one = nearest(reference, new, 9, n_threads=1)
    for some, n_threads in ((slice(None), 4), (slice(333, 340), 1)):
        found = nearest(reference, new[some], 9, n_threads=n_threads)
        for ours, whole in zip(found, one, strict=True):
            np.testing.assert_array_equal(ours, whole[some])


def test_rows_without_a_direction() -> None:
    reference = points(40, 3)
    indices, distances = nearest(reference, np.zeros((1, 3)), 4, metric="cosine")
    np.testing.assert_allclose(distances, 0.5, rtol=1e-6)
    assert len(set(indices[0].tolist())) == 4


def test_unknown_metric() -> None:
    with pytest.raises(ValueError, match="metric='manhattan' is not allowed"):
        nearest(points(9, 2), points(2, 2), 3, metric="manhattan")


def test_other_metrics_go_to_pynndescent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own search takes a minute to compile."""

    class Index:
        def __init__(self, points: np.ndarray, **options: Any) -> None:
            assert points.dtype == np.float32
            assert options["metric"] == "manhattan"
            assert 0 <= options["random_state"] < 2**32
            self.points = points

        def query(self, new: np.ndarray, k: int, epsilon: float) -> Any:
            exact = cdist(new, self.points, "cityblock")
            order = np.argsort(exact, axis=1)[:, :k]
            return order, np.take_along_axis(exact, order, axis=1)

    known = SimpleNamespace(named_distances={"manhattan": None})
    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=Index))
    monkeypatch.setitem(sys.modules, "pynndescent.distances", known)
    reference, new = points(400, 5), points(30, 5, 1)
    indices, distances = approximate_nearest(reference, new, 6, metric="manhattan", seed=2**63)
    assert (indices.dtype, distances.dtype) == (np.int32, np.float32)
    assert (np.diff(distances) >= 0).all()
    with pytest.raises(ValueError, match=r"unknown to pynndescent: .* Did you mean 'manhattan'"):
        approximate_nearest(reference, new, 6, metric="manhatan", seed=0)


def test_without_pynndescent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(ImportError, match="metric='manhattan' needs pynndescent: pip install"):
        approximate_nearest(points(9, 2), points(2, 2), 3, metric="manhattan", seed=0)
