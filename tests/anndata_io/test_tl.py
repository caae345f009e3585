"""The contract of umapcore.tl.umap: what it takes, what it writes, and what it leaves alone."""

from __future__ import annotations

import hashlib
import inspect
import logging
import re
import signal
import threading
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

import umapcore
from tests.support.anndatas import assert_equal_contents, contents, islands, put_neighbors, sheet
from umapcore._kit.seeds import seed_from
from umapcore.errors import GPUUnavailableError
from umapcore.tl import umap

FAST = {"maxiter": 15}


def embed(adata: anndata.AnnData, **parameters: Any) -> np.ndarray:
    assert umap(adata, **(FAST | parameters)) is None
    return adata.obsm[parameters.get("key_added") or "X_umap"]


def test_is_scanpys_signature_and_more() -> None:
    assert umapcore.umap is umapcore.tl.umap is umap
    parameters = inspect.signature(umap).parameters
    assert next(iter(parameters)) == "adata"
    assert all(p.kind is p.KEYWORD_ONLY for name, p in parameters.items() if name != "adata")
    expected = {
        "min_dist": 0.5,
        "spread": 1.0,
        "n_components": 2,
        "maxiter": None,
        "alpha": 1.0,
        "gamma": 1.0,
        "negative_sample_rate": 5,
        "init_pos": "spectral",
        "random_state": 0,
        "a": None,
        "b": None,
        "copy": False,
        "method": "umap",
        "neighbors_key": None,
        "key_added": None,
    }
    assert {name: parameters[name].default for name in expected} == expected


class TestWrites:
    def test_embedding_and_parameters_and_nothing_else(self) -> None:
        adata = islands()
        before = contents(adata)
        embedding = embed(adata)
        assert embedding.shape == (120, 2)
        assert embedding.dtype == np.float32
        assert embedding.flags.c_contiguous
        assert np.isfinite(embedding).all()
        assert list(adata.uns["umap"]) == ["params", "provenance"]
        assert list(adata.uns["umap"]["params"]) == ["a", "b"]
        for value, expected in zip(
            adata.uns["umap"]["params"].values(), (0.583030, 1.334167), strict=True
        ):
            assert type(value) is float
            assert value == pytest.approx(expected, rel=1e-5)
        del adata.obsm["X_umap"], adata.uns["umap"]
        assert_equal_contents(before, contents(adata))

    def test_given_curve(self) -> None:
        adata = sheet()
        embed(adata, a=np.float32(2), b=1)
        assert adata.uns["umap"]["params"] == {"a": 2.0, "b": 1.0}
        assert {type(value) for value in adata.uns["umap"]["params"].values()} == {float}

    def test_key_added(self) -> None:
        adata = sheet()
        embed(adata, key_added="layout")
        assert set(adata.obsm) == {"X_pca", "layout"}
        assert set(adata.uns) == {"neighbors", "layout"}
        np.testing.assert_array_equal(adata.obsm["layout"], embed(adata))

    def test_a_second_run_replaces_the_first(self) -> None:
        adata = sheet()
        first = embed(adata, random_state=3, n_components=3).copy()
        second = embed(adata)
        assert (first.shape, second.shape) == ((120, 3), (120, 2))
        assert "random_state" not in adata.uns["umap"]["params"]

    @pytest.mark.parametrize("copy", [True, np.True_])
    def test_copy(self, copy: bool) -> None:
        adata = sheet()
        before = contents(adata)
        result = umap(adata, copy=copy, **FAST)
        assert_equal_contents(before, contents(adata))
        assert isinstance(result, anndata.AnnData)
        np.testing.assert_array_equal(result.obsm["X_umap"], embed(adata))
        assert not np.shares_memory(result.X, adata.X)

    @pytest.mark.parametrize(
        ("random_state", "stored"),
        [
            (0, None),
            (7, 7),
            (np.int64(7), 7),
            (2**32, 2**32),
            (2**63 - 1, 2**63 - 1),
            (2**64 - 1, np.uint64(2**64 - 1)),
            (None, None),
            (np.random.RandomState(7), None),
            (np.random.default_rng(7), None),
        ],
    )
    def test_seed_is_written_when_it_is_a_number(
        self, random_state: Any, stored: Any, tmp_path: Any
    ) -> None:
        adata = sheet(40)
        embed(adata, random_state=random_state)
        params = adata.uns["umap"]["params"]
        assert params.get("random_state") == stored
        assert type(params.get("random_state")) is type(stored)
        adata.write_h5ad(tmp_path / "a.h5ad")
        read = anndata.read_h5ad(tmp_path / "a.h5ad")
        assert read.uns["umap"]["params"] == params
        np.testing.assert_array_equal(read.obsm["X_umap"], adata.obsm["X_umap"])


class TestSeeds:
    def test_a_number_is_the_seed(self) -> None:
        assert seed_from(0) == 0
        assert seed_from(np.uint64(2**64 - 1)) == 2**64 - 1

    @pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
    def test_generators_draw_one(self, make: Any) -> None:
        generator = make(5)
        first, second = seed_from(generator), seed_from(generator)
        assert first != second
        assert seed_from(make(5)) == first
        assert 0 <= first < 2**64

    def test_none_differs_from_call_to_call(self) -> None:
        assert len({seed_from(None) for _ in range(20)}) == 20

    def test_the_logged_seed_repeats_a_run(self, caplog: pytest.LogCaptureFixture) -> None:
        adata = sheet()
        with caplog.at_level(logging.INFO):
            expected = embed(adata, random_state=None)
        seed = int(re.search(r"seed (\d+)", caplog.text)[1])
        np.testing.assert_array_equal(embed(adata, random_state=seed), expected)

    def test_seeds_differ_in_result(self) -> None:
        adata = sheet()
        np.testing.assert_array_equal(embed(adata, random_state=1), embed(adata, random_state=1))
        assert (embed(adata, random_state=1) != embed(adata, random_state=2)).any()


class TestGraphs:
    @pytest.mark.parametrize(
        "form",
        [
            sparse.csr_array,
            sparse.csc_matrix,
            sparse.csc_array,
            lambda g: g.toarray(),
            lambda g: g.astype(np.float64),
            lambda g: sparse.csr_matrix(
                (g.data, g.indices.astype(np.int64), g.indptr.astype(np.int64)), shape=g.shape
            ),
            lambda g: pytest.importorskip("dask.array").from_array(
                g, chunks=(50, 120), asarray=False
            ),
        ],
    )
    def test_forms_give_the_same_bits(self, form: Any) -> None:
        adata = islands()
        expected = embed(adata)
        adata.obsp["connectivities"] = form(adata.obsp["connectivities"])
        np.testing.assert_array_equal(embed(adata), expected)

    def test_coo_in_uns(self) -> None:
        """As files of before anndata 0.7 have it; obsp takes no coo."""
        adata = islands()
        expected = embed(adata)
        adata.uns["neighbors"] = {"connectivities": adata.obsp.pop("connectivities").tocoo()}
        np.testing.assert_array_equal(embed(adata), expected)

    def test_neighbors_key(self) -> None:
        adata = sheet()
        other = islands()
        put_neighbors(adata, other.obsp["connectivities"], "other")
        found = embed(adata, neighbors_key="other", init_pos="random")
        np.testing.assert_array_equal(found, embed(other, init_pos="random"))
        expected = embed(adata, neighbors_key=None)
        np.testing.assert_array_equal(embed(adata, neighbors_key="neighbors"), expected)

    def test_representation_places_components(self) -> None:
        adata = islands()
        expected = embed(adata, maxiter=0)
        adata.obsm["X_pca"] = adata.obsm["X_pca"][::-1].copy()
        assert (embed(adata, maxiter=0) != expected).any()
        del adata.obsm["X_pca"]
        adata.X = None
        assert np.isfinite(embed(adata, maxiter=0)).all()

    def test_metric_of_the_neighbors_places_components(self) -> None:
        """Lengths of the representation's rows do not matter for cosine."""
        adata = islands()
        lengths = np.r_[1.0, 9.0, 81.0][np.arange(120) % 3, None]
        for metric, same in (("cosine", True), ("euclidean", False)):
            adata.obsm["X_pca"] = np.eye(3)[np.arange(120) % 3] + [0.0, 0.1, 0.3]
            adata.uns["neighbors"]["params"]["metric"] = metric
            plain = embed(adata, maxiter=0)
            adata.obsm["X_pca"] = adata.obsm["X_pca"] * lengths
            assert (embed(adata, maxiter=0) == plain).all() == same

    def test_a_metric_that_is_a_function_is_no_problem(self) -> None:
        adata = islands()
        adata.uns["neighbors"]["params"]["metric"] = np.hypot
        assert np.isfinite(embed(adata, maxiter=0)).all()


class TestStarts:
    def test_maxiter_0_gives_the_scaled_start(self) -> None:
        adata = sheet()
        start = embed(adata, maxiter=0, init_pos="X_pca")
        given = adata.obsm["X_pca"][:, :2]
        expected = 10 * (given - given.min(axis=0)) / np.ptp(given, axis=0)
        np.testing.assert_allclose(start, expected, rtol=1e-5, atol=1e-5)

    def test_starts_differ(self) -> None:
        adata = sheet()
        adata.uns["paga"] = {
            "groups": "group",
            "connectivities": sparse.csr_matrix(np.ones((3, 3))),
            "pos": np.array([[0.0, 0], [5, 5], [10, 0]]),
        }
        starts = ["spectral", "random", "paga", "X_pca", adata.obsm["X_pca"][:, 2:4]]
        found = [embed(adata, init_pos=start).tobytes() for start in starts]
        assert len(set(found)) == len(starts)
        assert embed(adata, init_pos=None).tobytes() == found[0]

    def test_start_is_read_before_it_is_overwritten(self) -> None:
        adata = sheet()
        first = embed(adata, random_state=3).copy()
        second = embed(adata, init_pos="X_umap")
        np.testing.assert_array_equal(embed(adata, init_pos=first), second)


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path: Any) -> Any:
        islands().write_h5ad(tmp_path / "a.h5ad")
        return tmp_path / "a.h5ad"

    def test_backed(self, path: Any) -> None:
        expected = embed(islands())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        backed = anndata.read_h5ad(path, backed="r")
        np.testing.assert_array_equal(embed(backed), expected)
        copy = umap(backed, copy=True, **FAST)
        assert not copy.isbacked
        np.testing.assert_array_equal(copy.obsm["X_umap"], expected)
        backed.file.close()
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest

    def test_view_of_backed(self, path: Any) -> None:
        backed = anndata.read_h5ad(path, backed="r")
        view = backed[20:100]
        with pytest.raises(ValueError, match=r"copy=True|to_memory"):
            umap(view, **FAST)
        assert view.is_view
        copy = umap(view, copy=True, **FAST)
        np.testing.assert_array_equal(copy.obsm["X_umap"], embed(islands()[20:100].copy()))
        backed.file.close()

    def test_graph_on_disk(self, path: Any) -> None:
        adata = islands()
        expected = embed(adata)
        with h5py.File(path) as file:
            adata.obsp["connectivities"] = anndata.io.sparse_dataset(file["obsp/connectivities"])
            np.testing.assert_array_equal(embed(adata), expected)

    def test_lazy(self, path: Any) -> None:
        pytest.importorskip("xarray")
        lazy = anndata.experimental.read_lazy(path)
        np.testing.assert_array_equal(embed(lazy), embed(islands()))


class TestViews:
    def test_view_becomes_an_object(self) -> None:
        parent = islands()
        before = contents(parent)
        view = parent[10:90]
        with pytest.warns(anndata.ImplicitModificationWarning):
            embedding = embed(view)
        assert not view.is_view
        assert_equal_contents(before, contents(parent))
        np.testing.assert_array_equal(embedding, embed(islands()[10:90].copy()))

    def test_copy_of_a_view(self) -> None:
        parent = islands()
        view = parent[10:90]
        copy = umap(view, copy=True, **FAST)
        assert view.is_view
        assert copy.obsm["X_umap"].shape == (80, 2)


class TestEpochs:
    def test_default_number(self) -> None:
        epochs: list[int] = []
        umap(sheet(30), callback=lambda epoch, _: epochs.append(epoch), callback_every=100)
        assert epochs == [100, 200, 300, 400, 500]

    def test_callback_sees_positions_and_may_stop(self) -> None:
        seen = []

        def callback(epoch: int, positions: np.ndarray) -> bool:
            seen.append((epoch, positions))
            return epoch == 6

        adata = sheet(50)
        embedding = embed(adata, callback=callback, callback_every=2)
        assert [epoch for epoch, _ in seen] == [2, 4, 6]
        np.testing.assert_array_equal(seen[-1][1], embedding)


class TestFailures:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    @pytest.mark.parametrize("done_before", [True, False])
    def test_whatever_fails_leaves_the_object(
        self, error: type[BaseException], done_before: bool
    ) -> None:
        adata = islands()
        if done_before:
            embed(adata, random_state=4)
        before = contents(adata)

        def callback(epoch: int, positions: np.ndarray) -> None:
            raise error

        with pytest.raises(error):
            embed(adata, callback=callback)
        assert_equal_contents(before, contents(adata))

    @pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="POSIX signals")
    def test_ctrl_c_gets_through(self) -> None:
        """A real signal, amid kernels that hold no lock."""
        adata = islands()
        embed(adata)  # compiles
        before = contents(adata)
        main = threading.main_thread().ident
        timer = threading.Timer(0.4, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            embed(adata, maxiter=2**31 - 1)
        timer.join()
        assert_equal_contents(before, contents(adata))


class TestMethods:
    @pytest.fixture(autouse=True)
    def no_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: "there is none here.")

    def test_rapids_falls_back_with_a_warning_and_the_same_bits(self) -> None:
        adata = sheet()
        expected = embed(adata)
        with pytest.warns(UserWarning, match="there is none here") as caught:
            found = embed(adata, method="rapids")
        np.testing.assert_array_equal(found, expected)
        assert caught[0].filename == __file__

    def test_auto_falls_back_silently(self) -> None:
        adata = sheet()
        np.testing.assert_array_equal(embed(adata, method="auto"), embed(adata))

    def test_fallback_can_be_forbidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(umapcore.settings, "gpu_fallback", False)
        adata = sheet()
        before = contents(adata)
        with pytest.raises(GPUUnavailableError, match="there is none here"):
            umap(adata, method="rapids")
        assert_equal_contents(before, contents(adata))


def test_timings_name_every_stage() -> None:
    timings: dict[str, float] = {}
    umap(sheet(), timings=timings, **FAST)
    assert set(timings) == {"read", "graph", "start", "plan", "optimise", "write"}
    assert all(seconds >= 0 for seconds in timings.values())


def test_a_graph_of_another_method_is_laid_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    adata = sheet()
    adata.uns["neighbors"]["params"]["method"] = "gauss"
    embed(adata)
    assert "'gauss'" in caplog.text
