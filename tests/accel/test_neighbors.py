"""Routing of scanpy's and umap-learn's searches for neighbours to umapcore."""

from __future__ import annotations

import copy
import importlib
import inspect
import logging
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

import umapcore
from tests.support.anndatas import sheet
from umapcore import accel
from umapcore.neighbors.exact import exact_knn

if TYPE_CHECKING:
    from anndata import AnnData


def _points(n: int = 120) -> Any:
    return np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32)


def _passed_on(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "passed on" in r.getMessage()]


@pytest.mark.usefixtures("peers")
class TestScanpy:
    def _call(self, adata: AnnData, **parameters: Any) -> Any:
        return importlib.import_module("scanpy").pp.neighbors(adata, **parameters)

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"n_neighbors": 9, "metric": "cosine", "random_state": 3},
            {"transformer": "pynndescent", "use_rep": "X_pca", "random_state": None},
        ],
    )
    def test_searched_by_umapcore(
        self, parameters: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="umapcore")
        accel.install()
        adata, same = sheet(), sheet()
        expected = ("transformed", parameters.get("n_neighbors", 15))
        assert self._call(adata, **parameters) == expected
        umapcore.pp.neighbors(
            same, parameters.get("n_neighbors", 15), metric=parameters.get("metric", "euclidean")
        )
        for part in ("data", "indices", "indptr"):
            ours, theirs = (getattr(a.obsp["distances"], part) for a in (adata, same))
            np.testing.assert_array_equal(ours, theirs)
        assert "scanpy.pp.neighbors: done by umapcore" in caplog.text

    @pytest.mark.parametrize(
        ("parameters", "why"),
        [
            ({"method": "gauss"}, "method='gauss'"),
            ({"knn": False}, "knn=False"),
            ({"metric": "manhattan"}, "metric='manhattan'"),
            ({"metric": len}, "metric=<built-in"),
            ({"metric_kwds": {"p": 3}}, "metric_kwds={'p': 3}"),
            ({"n_neighbors": 200}, "n_neighbors=200"),
            ({"n_neighbors": 1}, "n_neighbors=1"),
            ({"random_state": -1}, "random_state=-1"),
            ({"novelty": 1}, "novelty"),
            ({"use_rep": "sparse"}, "sparse data"),
            ({"use_rep": "nan"}, "NaN"),
        ],
    )
    def test_passed_on(
        self, parameters: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        accel.install()
        adata = sheet()
        adata.obsm["sparse"] = sparse.csr_matrix(adata.obsm["X_pca"])
        adata.obsm["nan"] = np.full((120, 2), np.nan)
        assert self._call(adata, **parameters) == ("scanpy", None)
        (line,) = _passed_on(caplog)
        assert why in line

    @pytest.mark.parametrize(
        ("options", "parameters"),
        [
            ({"neighbors": False}, {}),
            ({}, {"transformer": "sklearn"}),
            ({}, {"transformer": len}),
            ({}, {"distances": np.ones((120, 120))}),
        ],
    )
    def test_no_part(
        self,
        options: dict[str, Any],
        parameters: dict[str, Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with accel.enabled(**options):
            answer = self._call(sheet(), **parameters)
        assert answer == ("scanpy", parameters.get("transformer"))
        assert not caplog.records

    def test_without_transformers(self, caplog: pytest.LogCaptureFixture) -> None:
        """As in scanpy 1.9, whose search is umap-learn's."""
        module = importlib.import_module("scanpy.neighbors")
        module.neighbors = _as_in_scanpy_1_9
        accel.install()
        assert module.neighbors(sheet()) == "scanpy 1.9"
        assert not caplog.records

    def test_it_is_put_back(self) -> None:
        with accel.enabled():
            assert self._call(sheet())[0] == "transformed"
        assert self._call(sheet()) == ("scanpy", None)


def _as_in_scanpy_1_9(adata: AnnData, n_neighbors: int = 15, method: str = "umap") -> str:
    return "scanpy 1.9"


@pytest.mark.usefixtures("peers")
class TestUmapLearn:
    def _call(self, **changes: Any) -> Any:
        arguments = {
            "X": _points(), "n_neighbors": 9, "metric": "euclidean", "metric_kwds": {},
            "angular": False, "random_state": np.random.RandomState(1), "low_memory": True,
            "use_pynndescent": True, "n_jobs": 1, "verbose": False,
        }  # fmt: skip
        return importlib.import_module("umap.umap_").nearest_neighbors(**(arguments | changes))

    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_searched_by_umapcore(self, metric: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="umapcore")
        accel.install()
        indices, distances, _ = self._call(metric=metric)
        knn = exact_knn(_points(), 9, metric=metric)
        np.testing.assert_array_equal(indices, knn.indices)
        np.testing.assert_array_equal(distances, knn.distances)
        assert indices.flags.writeable  # umap-learn writes to both
        assert distances.flags.writeable
        assert "umap.umap_.nearest_neighbors: done by umapcore" in caplog.text

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"metric": "manhattan"}, "metric='manhattan'"),
            ({"metric": len}, "metric=<built-in"),
            ({"metric_kwds": {"p": 3}}, "metric_kwds={'p': 3}"),
            ({"n_neighbors": 200}, "n_neighbors=200"),
            ({"X": sparse.csr_matrix(_points())}, "sparse data"),
            ({"X": np.full((20, 2), np.nan)}, "NaN"),
            ({"novelty": 1}, "novelty"),
        ],
    )
    def test_passed_on(
        self, changes: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        accel.install()
        answer = self._call(**changes)
        assert answer[:2] == ("umap-learn", changes.get("metric", "euclidean"))
        assert answer[2].draw == np.random.RandomState(1).randint(1 << 30)
        (line,) = _passed_on(caplog)
        assert why in line

    @pytest.mark.parametrize(
        ("options", "metric"), [({}, "precomputed"), ({"neighbors": False}, "euclidean")]
    )
    def test_no_part(
        self, options: dict[str, Any], metric: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with accel.enabled(**options):
            assert self._call(metric=metric)[:2] == ("umap-learn", metric)
        assert not caplog.records

    def test_index_is_umap_learns_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Built at first use, from the random state of the call, also after the end."""
        umap_ = importlib.import_module("umap.umap_")
        monkeypatch.setitem(__import__("sys").modules, "pynndescent", _Pynndescent(umap_.Index))
        with accel.enabled():
            index = self._call()[2]
            other = self._call()[2]
        assert isinstance(index, umap_.Index)
        assert not isinstance(index, str)
        assert index.__dict__["_index"] is None
        assert not hasattr(index, "__array__")
        assert index.__dict__["_index"] is None
        assert index.query(_points(), 5, epsilon=0.2) == (5, 0.2)
        assert index.draw == np.random.RandomState(1).randint(1 << 30)
        for copied in (pickle.loads(pickle.dumps(other)), copy.deepcopy(other)):
            assert type(copied) is umap_.Index
            assert copied.draw == index.draw

    def test_the_random_state_moves_on(self) -> None:
        accel.install()
        state, again = np.random.RandomState(1), np.random.RandomState(1)
        self._call(random_state=state)
        self._call(random_state=again)
        assert state.randint(1 << 30) == again.randint(1 << 30)

    @pytest.mark.parametrize(("seed", "expected"), [(0, 2), (None, None)])
    def test_threads_of_a_fit_with_a_seed(
        self, seed: int | None, expected: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from umapcore.accel import umap_learn_neighbors
        from umapcore.neighbors.search import find_neighbors

        asked: list[Any] = []

        def record(points: Any, k: int, **options: Any) -> Any:
            asked.append(options["n_threads"])
            return find_neighbors(points, k, **options)

        monkeypatch.setattr(umap_learn_neighbors, "find_neighbors", record)
        accel.install()
        model = importlib.import_module("umap").UMAP()
        model.random_state = seed
        model.fit(_points(), 9, "euclidean", {}, False, np.random.RandomState(1))
        assert asked == [expected]


class _Pynndescent:
    """Stands for the package, which has the type of umap-learn's index."""

    def __init__(self, kind: type) -> None:
        self.NNDescent = kind


class TestRealPeers:
    """The real packages, where they are installed."""

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("transformer", [None, "pynndescent"])
    def test_scanpy(self, transformer: str | None, caplog: pytest.LogCaptureFixture) -> None:
        sc = pytest.importorskip("scanpy", reason="scanpy is not installed")
        pytest.importorskip("umap", reason="umap-learn is not installed: scanpy's weights are its")
        if "transformer" not in inspect.signature(sc.pp.neighbors).parameters:
            pytest.skip("this scanpy leaves the search to umap-learn")
        caplog.set_level(logging.INFO, logger="umapcore")
        adata, same = sheet(200), sheet(200)
        with accel.enabled():
            sc.pp.neighbors(
                adata, 9, use_rep="X_pca", metric="cosine", key_added="k", transformer=transformer
            )
        assert "scanpy.pp.neighbors: done by umapcore" in caplog.text
        umapcore.pp.neighbors(same, 9, use_rep="X_pca", metric="cosine", key_added="k")
        ours, theirs = adata.uns["k"], same.uns["k"]
        assert theirs["params"].pop("search")["kind"] == "exact"
        assert ours == theirs
        assert (adata.obsp["k_distances"] != same.obsp["k_distances"]).nnz == 0
        assert abs(adata.obsp["k_connectivities"] - same.obsp["k_connectivities"]).max() < 1e-4

    @pytest.mark.filterwarnings("ignore")
    def test_umap_learn(self, caplog: pytest.LogCaptureFixture) -> None:
        umap = pytest.importorskip("umap", reason="umap-learn is not installed")
        from umap.umap_ import nearest_neighbors

        from umapcore.accel.umap_learn_neighbors import _KNOWN

        assert set(inspect.signature(nearest_neighbors).parameters) == _KNOWN
        caplog.set_level(logging.INFO, logger="umapcore")
        points = _points(400)
        options = {"n_neighbors": 8, "n_epochs": 20, "random_state": 1}
        with accel.enabled():
            model = umap.UMAP(force_approximation_algorithm=True, **options).fit(points[:380])
        assert "umap.umap_.nearest_neighbors: done by umapcore" in caplog.text
        knn = exact_knn(points[:380], 8)
        np.testing.assert_array_equal(model._knn_indices, knn.indices)
        index = model._knn_search_index
        assert index.__dict__["_index"] is None
        placed = model.transform(points[380:])
        assert placed.shape == (20, 2)
        assert np.isfinite(placed).all()
        found = index.query(points[380:], 8, epsilon=0.12)[0]
        true = [np.argsort(((points[:380] - p) ** 2).sum(axis=1))[:8] for p in points[380:]]
        assert np.mean([np.isin(a, b).mean() for a, b in zip(found, true, strict=True)]) > 0.9
        again = pickle.loads(pickle.dumps(model))
        assert type(again._knn_search_index).__name__ == "NNDescent"
