"""Reading from and writing to AnnData objects."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from tests.support.anndatas import (
    Observations,
    as_mudata,
    assert_equal_contents,
    contents,
    put_neighbors,
    sheet,
)
from umapcore.anndata_io import write as write_module
from umapcore.anndata_io.read import read_neighbors, read_representation, read_start
from umapcore.anndata_io.write import copied, is_view, write_transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TestNeighbors:
    def test_default(self) -> None:
        adata = sheet(30)
        graph, name, params = read_neighbors(adata, "neighbors")
        assert graph is adata.obsp["connectivities"]
        assert name == ".obsp['connectivities']"
        assert params["n_neighbors"] == 10

    @pytest.mark.parametrize("key", ["neighbors", "other"])
    def test_connectivities_key_counts_for_every_key(self, key: str) -> None:
        adata = sheet(30)
        adata.obsp["elsewhere"] = adata.obsp["connectivities"] * 2
        adata.uns[key] = {"connectivities_key": "elsewhere"}
        graph, name, params = read_neighbors(adata, key)
        assert graph is adata.obsp["elsewhere"]
        assert name == ".obsp['elsewhere']"
        assert params == {}

    def test_old_layout(self) -> None:
        adata = sheet(30)
        graph = adata.obsp.pop("connectivities")
        adata.uns["neighbors"] = {"connectivities": graph, "params": {"n_neighbors": 5}}
        found, name, _ = read_neighbors(adata, "neighbors")
        assert found is graph
        assert name == ".uns['neighbors']['connectivities']"

    @pytest.mark.parametrize("key", ["neighbors", "k"])
    def test_absent_key(self, key: str) -> None:
        message = f"Did not find .uns['{key}']. Run `pp.neighbors` first."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            read_neighbors(AnnData(np.ones((3, 2), np.float32)), key)

    def test_absent_graph(self) -> None:
        adata = sheet(30)
        adata.uns["neighbors"]["connectivities_key"] = "conectivities"
        with pytest.raises(ValueError, match=r"Did not find .obsp\['conectiv.*'connectivities'"):
            read_neighbors(adata, "neighbors")

    def test_entry_of_another_kind(self) -> None:
        adata = sheet(30)
        adata.uns["pca"] = np.ones(3)
        with pytest.raises(ValueError, match=r"\.uns\['pca'\] is of type ndarray"):
            read_neighbors(adata, "pca")

    @pytest.mark.parametrize(
        ("method", "warned"),
        [
            ("umap", False),
            ("rapids", False),
            (np.str_("umap"), False),
            (b"umap", False),
            ("gauss", True),
            ("jaccard", True),
        ],
    )
    def test_method(self, method: object, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
        adata = sheet(30)
        adata.uns["neighbors"]["params"]["method"] = method
        with caplog.at_level(logging.WARNING):
            read_neighbors(adata, "neighbors")
        assert (str(method) in caplog.text) == warned

    def test_params_are_plain_after_reading_a_file(self, tmp_path: Any) -> None:
        adata = sheet(30)
        adata.uns["neighbors"]["params"] |= {"n_pcs": 5, "use_rep": "X_pca"}
        adata.write_h5ad(tmp_path / "a.h5ad")
        _, _, params = read_neighbors(anndata.read_h5ad(tmp_path / "a.h5ad"), "neighbors")
        assert params["use_rep"] == "X_pca"
        assert int(params["n_pcs"]) == 5


class TestRepresentation:
    """As scanpy's _choose_representation, but that nothing is computed and nothing fails."""

    @pytest.mark.parametrize(
        ("params", "n_vars", "expected"),
        [
            ({}, 60, lambda a: a.obsm["X_pca"]),
            ({"n_pcs": 3}, 60, lambda a: a.obsm["X_pca"][:, :3]),
            ({"n_pcs": 99}, 60, lambda a: a.obsm["X_pca"]),
            ({"use_rep": "X_pca", "n_pcs": None}, 60, lambda a: a.obsm["X_pca"]),
            ({"use_rep": "X_pca", "n_pcs": 2}, 60, lambda a: a.obsm["X_pca"][:, :2]),
            ({"use_rep": "X"}, 60, lambda a: a.X),
            ({"n_pcs": 0}, 60, lambda a: a.X),
            ({}, 50, lambda a: a.X),
            ({"n_pcs": 3}, 50, lambda a: a.X),
            ({"use_rep": "X_pca"}, 50, lambda a: a.obsm["X_pca"]),
        ],
    )
    def test_choice(
        self, params: dict[str, Any], n_vars: int, expected: Callable[[AnnData], np.ndarray]
    ) -> None:
        adata = sheet(30)[:, :n_vars].copy()
        np.testing.assert_array_equal(read_representation(adata, params), expected(adata))

    @pytest.mark.parametrize("params", [{"use_rep": "X_scvi"}, {"n_pcs": 5}, {"use_rep": "X"}])
    def test_what_is_missing_is_missing(self, params: dict[str, Any]) -> None:
        adata = sheet(30)
        del adata.obsm["X_pca"]
        adata.X = None
        before = contents(adata)
        assert read_representation(adata, params) is None
        assert_equal_contents(before, contents(adata))

    def test_data_frame(self) -> None:
        adata = sheet(30)
        adata.obsm["frame"] = pd.DataFrame(np.arange(90).reshape(30, 3), index=adata.obs_names)
        found = read_representation(adata, {"use_rep": "frame", "n_pcs": 2})
        assert found.shape == (30, 2)


class TestStart:
    def read(self, adata: AnnData, init_pos: Any, n_components: int = 2) -> Any:
        return read_start(adata, init_pos, n_components=n_components, seed=0)

    @pytest.mark.parametrize(
        ("init_pos", "name"), [(None, "spectral"), ("spectral", "spectral"), ("random", "random")]
    )
    def test_names(self, init_pos: str | None, name: str) -> None:
        assert self.read(sheet(30), init_pos) == name

    def test_obsm_key(self, caplog: pytest.LogCaptureFixture) -> None:
        adata = sheet(30)
        with caplog.at_level(logging.INFO):
            found = self.read(adata, "X_pca", 3)
        np.testing.assert_array_equal(found, adata.obsm["X_pca"][:, :3])
        assert "first 3 of the 8 columns of .obsm['X_pca']" in caplog.text
        caplog.clear()
        found = self.read(adata, "X_pca", 8)
        np.testing.assert_array_equal(found, adata.obsm["X_pca"])
        assert not caplog.records

    @pytest.mark.parametrize(
        "form",
        [
            sparse.csr_matrix,
            sparse.csc_array,
            lambda x: pd.DataFrame(x, index=[f"cell{i}" for i in range(30)]),
            lambda x: pytest.importorskip("dask.array").from_array(x, chunks=(7, 2)),
        ],
    )
    def test_forms_of_obsm(self, form: Callable[[np.ndarray], Any]) -> None:
        adata = sheet(30)
        expected = adata.obsm["X_pca"][:, :2]
        adata.obsm["other"] = form(adata.obsm["X_pca"])
        np.testing.assert_array_equal(self.read(adata, "other"), expected)

    def test_obsm_goes_before_names(self) -> None:
        adata = sheet(30)
        adata.obsm["random"] = np.ones((30, 2))
        np.testing.assert_array_equal(self.read(adata, "random"), 1)

    def test_paga(self) -> None:
        adata = sheet(30)
        with pytest.raises(ValueError, match=r"init_pos='paga' needs .uns\['paga'\]"):
            self.read(adata, "paga")
        pos = np.array([[0.0, 0], [5, 5], [10, 0]])
        adata.uns["paga"] = {
            "groups": "group",
            "connectivities": sparse.csr_matrix(np.ones((3, 3))),
            "pos": pos,
        }
        found = self.read(adata, "paga")
        assert found.shape == (30, 2)
        nearest = np.linalg.norm(found[:, None] - pos, axis=2).argmin(axis=1)
        assert (nearest == np.arange(30) % 3).mean() > 0.8

    def test_data_frame_in_another_order(self, rng: np.random.Generator) -> None:
        adata = sheet(30)
        frame = pd.DataFrame(rng.random((30, 2)), index=adata.obs_names)
        np.testing.assert_allclose(self.read(adata, frame.sample(frac=1, random_state=0)), frame)
        np.testing.assert_allclose(self.read(adata, frame.reset_index(drop=True)), frame)
        with pytest.raises(ValueError, match="obs_names"):
            self.read(adata, frame.rename(index={"cell3": "cell99"}))

    @pytest.mark.parametrize(
        ("init_pos", "error", "message"),
        [
            ("X_pcaa", ValueError, r"init_pos='X_pcaa'.*'paga'.*'X_pca'.*Did you mean 'X_pca'"),
            ("spectrall", ValueError, "Did you mean 'spectral'"),
            ("X_pca", ValueError, r"\.obsm\['X_pca'\] has shape \(30, 8\).*\(30, 9\)"),
            (np.zeros((30, 2)), ValueError, r"init_pos has shape \(30, 2\).*\(30, 9\)"),
            (np.full((30, 9), np.inf), ValueError, "init_pos has 30 rows that are not finite"),
            (7, TypeError, "init_pos=7"),
            (object(), TypeError, "init_pos="),
        ],
    )
    def test_bad(self, init_pos: object, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            self.read(sheet(30), init_pos, 9)


def write_embedding(
    adata: Any, key_obsm: str, key_uns: str, embedding: Any, params: dict[str, float]
) -> None:
    entries = [("obsm", key_obsm, embedding), ("uns", key_uns, {"params": params})]
    write_transaction(adata, entries)


class TestWriting:
    embedding = np.arange(60, dtype=np.float32).reshape(30, 2)

    def test_what_is_written(self) -> None:
        adata = sheet(30)
        write_embedding(adata, "X_umap", "umap", self.embedding, {"a": 1.0, "b": 2.0})
        assert adata.obsm["X_umap"] is self.embedding
        assert adata.uns["umap"] == {"params": {"a": 1.0, "b": 2.0}}

    @pytest.mark.parametrize("there_before", [True, False])
    @pytest.mark.parametrize("failing", ["obsm", "uns"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
    def test_all_or_nothing(
        self,
        failing: str,
        there_before: bool,
        error: type[BaseException],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        adata = sheet(30)
        if there_before:
            write_embedding(adata, "X_umap", "umap", self.embedding + 1, {"a": 7.0})
        before = contents(adata)
        strikes = [error]

        class Interrupted(dict):  # type: ignore[type-arg]
            """Fails just after its first change, as a keyboard interrupt may strike."""

            def __setitem__(self, key: str, value: object) -> None:
                super().__setitem__(key, value)
                if strikes:
                    raise strikes.pop()

        if failing == "uns":
            adata._uns = Interrupted(adata.uns)
        else:
            mapping = type(adata.obsm)
            write = mapping.__setitem__

            def interrupted(self: object, key: str, value: object) -> None:
                write(self, key, value)
                if strikes:
                    raise strikes.pop()

            monkeypatch.setattr(mapping, "__setitem__", interrupted)
        with pytest.raises(error):
            write_embedding(adata, "X_umap", "umap", self.embedding, {"a": 1.0})
        assert not strikes
        assert_equal_contents(before, contents(adata))

    def test_wrong_rows_leave_everything(self) -> None:
        adata = sheet(30)
        before = contents(adata)
        with pytest.raises(ValueError, match="30"):
            write_embedding(adata, "X_umap", "umap", self.embedding[:20], {"a": 1.0})
        assert_equal_contents(before, contents(adata))

    def test_view_becomes_an_object(self) -> None:
        parent = sheet(60)
        before = contents(parent)
        view = parent[:30]
        with pytest.warns(anndata.ImplicitModificationWarning):
            write_embedding(view, "X_umap", "umap", self.embedding, {"a": 1.0})
        assert not view.is_view
        np.testing.assert_array_equal(view.obsm["X_umap"], self.embedding)
        assert view.uns["umap"] == {"params": {"a": 1.0}}
        assert_equal_contents(before, contents(parent))

    def test_view_that_cannot_be_written_to_stays_a_view(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        view = sheet(60)[:30]

        def interrupted(self: AnnData) -> AnnData:
            raise KeyboardInterrupt

        monkeypatch.setattr(AnnData, "copy", interrupted)
        with (
            pytest.warns(anndata.ImplicitModificationWarning),
            pytest.raises(KeyboardInterrupt),
        ):
            write_embedding(view, "X_umap", "umap", self.embedding, {"a": 1.0})
        assert view.is_view
        assert "X_umap" not in view.obsm
        assert "umap" not in view.uns


def in_a_file(adata: AnnData, tmp_path: Path) -> AnnData:
    adata.write_h5ad(tmp_path / "a.h5ad")
    return anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")


class TestAllOrNothing:
    """A fault before, between and after the writes, in every kind of object."""

    @pytest.mark.filterwarnings("ignore:.*:anndata.ImplicitModificationWarning")
    @pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")  # mudata's
    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
    @pytest.mark.parametrize("written", range(10))
    @pytest.mark.parametrize(
        "make",
        [
            lambda _: sheet(40),
            lambda _: sheet(60)[:40],
            lambda tmp_path: in_a_file(sheet(40), tmp_path),
            lambda _: Observations(sheet(40)),
            lambda _: as_mudata(sheet(40)),
            lambda _: as_mudata(sheet(60))[:40],
        ],
        ids=["AnnData", "view", "backed", "stand-in", "MuData", "view of MuData"],
    )
    def test_fault(
        self,
        make: Callable[[Path], Any],
        written: int,
        error: type[BaseException],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        adata = make(tmp_path)
        was_view = is_view(adata)
        labels = pd.Series(pd.Categorical(["x"] * 40), index=adata.obs.index)
        entries: list[tuple[str, str, Any]] = [
            ("obsm", "X_pca", np.ones((40, 2))),
            ("obsm", "new", np.ones((40, 2))),
            ("obsp", "connectivities", sparse.eye(40, format="csr")),
            ("obsp", "new", sparse.eye(40, format="csr")),
            ("uns", "neighbors", {}),
            ("uns", "new", {}),
            ("obs", "group", labels),
            ("obs", "new", labels),
        ]
        if hasattr(adata, "varm"):
            entries.append(("varm", "new", np.ones((60, 2))))
        before = contents(adata)

        def failing(adata: Any, entries: Any) -> None:
            write(adata, entries[:written])
            raise error

        write = write_module._write
        monkeypatch.setattr(write_module, "_write", failing)
        with pytest.raises(error):
            write_transaction(adata, entries)
        assert is_view(adata) == was_view
        assert_equal_contents(before, contents(adata))
        monkeypatch.undo()
        write_transaction(adata, entries)
        assert set(adata.obs["group"]) == {"x"}
        assert not is_view(adata)


class TestCopies:
    def test_object_and_view(self) -> None:
        adata = sheet(30)
        for given in (adata, adata[5:25]):
            copy = copied(given)
            assert not copy.is_view
            assert_equal_contents(contents(given), contents(copy))
            assert not np.shares_memory(copy.X, adata.X)

    @pytest.mark.parametrize("rows", [slice(None), slice(5, 25)])
    def test_backed(self, rows: slice, tmp_path: Any) -> None:
        adata = sheet(30)
        adata.write_h5ad(tmp_path / "a.h5ad")
        backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
        copy = copied(backed[rows] if rows != slice(None) else backed)
        assert not copy.isbacked
        np.testing.assert_array_equal(copy.X, adata.X[rows])
        np.testing.assert_array_equal(backed.X[:], adata.X)  # still usable
        backed.file.close()

    def test_graph_on_disk(self, tmp_path: Any) -> None:
        import h5py

        adata = sheet(30)
        adata.write_h5ad(tmp_path / "a.h5ad")
        with h5py.File(tmp_path / "a.h5ad") as file:
            put_neighbors(adata, anndata.io.sparse_dataset(file["obsp/connectivities"]))
            copy = copied(adata)
        assert sparse.issparse(copy.obsp["connectivities"])
