"""``umapcore.KNeighborsTransformer``: by itself, in scanpy, in scikit-learn."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import umapcore as uc
from umapcore.neighbors.exact import exact_knn


def some_points(n: int = 200, p: int = 6, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, p)).astype(np.float32)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "cityblock"])
def test_fit_transform(metric: str) -> None:
    points = some_points()
    points[4] = points[9]
    transformer = uc.KNeighborsTransformer(7, metric=metric)
    found = transformer.fit_transform(points)
    knn = exact_knn(points, 8, metric=metric)
    assert found.shape == (200, 200)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.diff(found.indptr), 8)
    np.testing.assert_array_equal(found.indices.reshape(200, 8), knn.indices)
    np.testing.assert_array_equal(found.data.reshape(200, 8), knn.distances)
    assert transformer.search_.kind == "exact"
    assert (transformer.n_samples_fit_, transformer.n_features_in_) == (200, 6)


def test_the_search_is_that_of_pp_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def record(points: Any, k: int, **options: Any) -> Any:
        asked.append((k, options))
        raise KeyboardInterrupt

    monkeypatch.setattr("umapcore.accel.transformer.find_neighbors", record)
    monkeypatch.setattr("umapcore.pp.find_neighbors", record)
    options = {"random_state": 3, "method": "auto", "accuracy": 1, "n_threads": 2}
    with pytest.raises(KeyboardInterrupt):
        uc.KNeighborsTransformer(7, metric_params={}, **options).fit_transform(some_points())
    with pytest.raises(KeyboardInterrupt):
        uc.pp.neighbors(AnnData(some_points()), 8, metric_kwds={}, **options)
    assert asked[1][1].pop("progress") is None
    assert asked[0] == asked[1]


def test_transform() -> None:
    points, new = some_points(), some_points(30, seed=1)
    transformer = uc.KNeighborsTransformer(5, metric="cosine").fit(points)
    found = transformer.transform(new)
    assert found.shape == (30, 200)
    both = exact_knn(np.vstack([points, new]), 200, metric="cosine")
    for row in range(30):
        nearest = [i for i in both.indices[200 + row] if i < 200][:6]
        np.testing.assert_array_equal(found.indices[6 * row : 6 * row + 6], nearest)
    again = pickle.loads(pickle.dumps(transformer)).transform(new[::-1])
    np.testing.assert_array_equal(again[::-1].toarray(), found.toarray())


def test_sparse() -> None:
    points = np.maximum(some_points(), 0)
    found = uc.KNeighborsTransformer(5).fit_transform(sparse.csc_matrix(points))
    dense = uc.KNeighborsTransformer(5).fit_transform(points.tolist())
    assert (found.indices == dense.indices).mean() > 0.95


def test_parameters() -> None:
    transformer = uc.KNeighborsTransformer(5, metric="cosine")
    assert repr(transformer) == "KNeighborsTransformer(n_neighbors=5, metric='cosine')"
    assert transformer.set_params(n_neighbors=4, accuracy=0.9) is transformer
    assert transformer.get_params() == {
        "n_neighbors": 4, "metric": "cosine", "metric_params": None, "random_state": 0,
        "method": "umap", "exact": None, "accuracy": 0.9, "n_threads": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"'metrics' is no parameter.* Did you mean 'metric'\?"):
        transformer.set_params(metrics="cosine", n_neighbors=3)
    assert transformer.n_neighbors == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_neighbors": 0}, ValueError, "n_neighbors=0"),
        ({"n_neighbors": 20}, ValueError, "n_neighbors=20 .* from 1 to 19"),
        ({"metric": 3}, TypeError, "metric=3"),
        ({"metric": "cosin"}, ValueError, "metric='cosin'"),
        ({"metric_params": 3}, TypeError, "metric_params=3"),
        ({"random_state": -1}, ValueError, "random_state=-1"),
        ({"method": "gpu"}, ValueError, "method='gpu'"),
        ({"exact": 1}, TypeError, "exact=1"),
        ({"accuracy": 2}, ValueError, "accuracy=2"),
        ({"accuracy": 0.5, "exact": True}, ValueError, "accuracy=0.5"),
        ({"n_threads": 0}, ValueError, "n_threads=0"),
    ],
)
def test_bad_parameters(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        uc.KNeighborsTransformer(**options).fit_transform(some_points(20))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.ones(20), "X has shape"),
        (np.full((20, 2), np.nan), "X has 40 values that are NaN"),
        ([["a", "b"]] * 20, "X has dtype"),
        (np.ones((20, 0)), "X has shape"),
    ],
)
def test_bad_points(points: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        uc.KNeighborsTransformer().fit(points)


def test_bad_new_points() -> None:
    transformer = uc.KNeighborsTransformer()
    with pytest.raises(ValueError, match="call fit first"):
        transformer.transform(some_points())
    transformer.fit(some_points())
    with pytest.raises(ValueError, match="X has 3 columns, those of fit 6"):
        transformer.transform(some_points(p=3))
    with pytest.raises(ValueError, match="must be dense"):
        transformer.transform(sparse.csr_matrix(some_points()))


def _as_scanpy(transformer: Any, x: Any) -> tuple[Any, Any]:
    """What ``scanpy.pp.neighbors`` does with a transformer."""
    n_neighbors = transformer.get_params()["n_neighbors"]
    distances = transformer.fit_transform(x)
    counts = distances.getnnz(axis=1)
    assert (counts == counts[0]).all()
    shape = (distances.shape[0], int(counts[0]))
    indices, lengths = distances.indices.reshape(shape), distances.data.reshape(shape)
    assert (indices[:, 0] == np.arange(shape[0])).any()
    assert getattr(transformer, "index_", None) is None
    return indices[:, :n_neighbors], lengths[:, :n_neighbors]


def test_as_scanpy_takes_it() -> None:
    points = some_points()
    indices, distances = _as_scanpy(uc.KNeighborsTransformer(7), points)
    knn = exact_knn(points, 7)
    np.testing.assert_array_equal(indices, knn.indices)
    np.testing.assert_array_equal(distances, knn.distances)


@pytest.mark.filterwarnings("ignore")
def test_in_scanpy() -> None:
    sc = pytest.importorskip("scanpy", reason="scanpy is not installed")
    pytest.importorskip("umap", reason="umap-learn is not installed: scanpy's weights are its")
    points = some_points()
    ours, theirs = AnnData(points), AnnData(points)
    sc.pp.neighbors(ours, transformer=uc.KNeighborsTransformer(7, metric="cosine"))
    uc.pp.neighbors(theirs, 7, metric="cosine")
    difference = abs(ours.obsp["connectivities"] - theirs.obsp["connectivities"]).max()
    assert difference < 1e-4
    assert ours.uns["neighbors"]["params"]["n_neighbors"] == 7
    uc.tl.umap(ours, maxiter=2)


def test_in_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import KNeighborsTransformer
    from sklearn.pipeline import make_pipeline

    points = some_points()
    ours, theirs = uc.KNeighborsTransformer(7), KNeighborsTransformer(n_neighbors=7)
    copied = sklearn.base.clone(ours)
    assert copied is not ours
    assert copied.get_params() == ours.get_params()
    found, expected = ours.fit_transform(points), theirs.fit_transform(points)
    assert found.nnz == expected.nnz
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-3)
    new = some_points(20, seed=3)
    np.testing.assert_allclose(
        ours.transform(new).toarray(), theirs.transform(new).toarray(), atol=1e-5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        groups = [
            make_pipeline(each, DBSCAN(metric="precomputed", eps=1.2)).fit_predict(points)
            for each in (copied, theirs)
        ]
    np.testing.assert_array_equal(*groups)
    assert "KNeighborsTransformer" in make_pipeline(copied, DBSCAN())._repr_html_()
