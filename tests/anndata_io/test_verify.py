"""Provenance in uns, and umapcore.verify: what it finds, what it says, what it leaves alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import umapcore
from tests.support.anndatas import (
    assert_equal_contents,
    contents,
    islands,
    put_neighbors,
    sheet,
    with_neighbors,
)
from umapcore import Checkpoint, OptimizerSpec, Snapshots, verify
from umapcore.layout.spec import LAYOUT_VERSION
from umapcore.runs.provenance import Provenance
from umapcore.tl import umap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = {"maxiter": 15}


def embedded(adata: anndata.AnnData, **parameters: Any) -> anndata.AnnData:
    umap(adata, **(FAST | parameters))
    return adata


def checked(adata: anndata.AnnData, *args: Any, **options: Any) -> umapcore.Verification:
    """Verify, and see that the object is as before."""
    before = contents(adata)
    found = verify(adata, *args, **options)
    assert_equal_contents(before, contents(adata))
    assert bool(found) is found.reproduced
    assert str(found)
    return found


def provenance(adata: anndata.AnnData, key: str = "umap") -> dict[str, Any]:
    return adata.uns[key]["provenance"]


class TestProvenance:
    def test_what_is_written(self) -> None:
        adata = embedded(sheet(), random_state=2**64 - 1, min_dist=0.25)
        found = provenance(adata)
        assert set(found) == {
            "format", "umapcore", "layout_version", "spec", "epochs", "graph", "start", "embedding"
        }  # fmt: skip
        assert found["layout_version"] == LAYOUT_VERSION
        assert found["umapcore"] == umapcore.__version__
        assert found["epochs"] == 15
        assert found["graph"]["neighbors_key"] == "neighbors"
        assert found["start"]["kind"] == "spectral"
        spec = OptimizerSpec(min_dist=0.25, n_epochs=15, seed=2**64 - 1)
        assert Provenance.from_dict(found).spec == spec
        assert "provenance" not in adata.uns["umap"]["params"]

    def test_nothing_of_how_it_was_run(self) -> None:
        """Equal bits, equal provenance."""
        one = embedded(sheet(), n_threads=1, progress=False, timings={}, callback=lambda *_: None)
        other = embedded(sheet(), n_threads=2, method="auto", snapshots=Snapshots(2))
        assert provenance(one) == provenance(other)

    @pytest.mark.parametrize(
        "random_state",
        [0, 7, None, np.random.RandomState(3), np.random.default_rng(3), np.uint64(2**63 + 1)],
        ids=str,
    )
    def test_the_seed_is_there_whatever_it_was_drawn_from(self, random_state: Any) -> None:
        adata = embedded(sheet(50), random_state=random_state)
        assert 0 <= int(provenance(adata)["spec"]["seed"]) < 2**64
        assert checked(adata)

    @pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")
    @pytest.mark.parametrize("kind", ["h5ad", "zarr"])
    @pytest.mark.parametrize("seed", [0, 5, 3])  # from 3 a seed above 2**63 is drawn
    def test_survives_a_file(self, kind: str, seed: int, tmp_path: Path) -> None:
        if kind == "zarr":
            pytest.importorskip("zarr")
        adata = embedded(
            islands(),
            random_state=np.random.RandomState(seed) if seed else 0,
            snapshots=5,
            init_pos="X_pca",
        )
        path = tmp_path / f"a.{kind}"
        getattr(adata, f"write_{kind}")(path)
        read = getattr(anndata, f"read_{kind}")(path)
        assert provenance(read) == provenance(adata)
        assert Provenance.from_dict(provenance(read)) == Provenance.from_dict(provenance(adata))
        for name in ("epochs", "positions"):
            np.testing.assert_array_equal(
                read.uns["umap"]["snapshots"][name], adata.uns["umap"]["snapshots"][name]
            )
        assert checked(read)
        getattr(read, f"write_{kind}")(tmp_path / f"b.{kind}")

    def test_curve_that_was_given(self) -> None:
        adata = embedded(sheet(), a=1.5, b=0.9)
        assert provenance(adata)["spec"]["a"] == 1.5
        assert "min_dist" not in provenance(adata)["spec"]
        assert checked(adata)

    @pytest.mark.parametrize(
        ("harm", "message"),
        [
            (lambda p: p.pop("spec"), "damaged: KeyError: 'spec'"),
            (lambda p: p.update(format=2), "has format 2"),
            (lambda p: p.update(start="x"), "damaged"),
            (lambda p: p["start"].update(kind="magic"), "start kind='magic'"),
            (lambda p: p["spec"].update(warp=3.0), "'warp' are unknown to this version"),
            (lambda p: p["spec"].update(alpha=-1.0), "alpha=-1"),
        ],
    )
    def test_damaged(self, harm: Callable[[Any], Any], message: str) -> None:
        adata = embedded(sheet(40))
        harm(provenance(adata))
        with pytest.raises(ValueError, match=message):
            verify(adata)


class TestReproduced:
    @pytest.mark.parametrize("make", [sheet, islands])
    @pytest.mark.parametrize("maxiter", [0, 1, 15])
    def test_plainly(self, make: Any, maxiter: int) -> None:
        found = checked(embedded(make(), maxiter=maxiter))
        assert found
        assert (found.rows_different, found.largest_difference) == (0, 0.0)
        assert str(found) == ".obsm['X_umap'] is reproduced bit for bit."

    def test_one_cell(self) -> None:
        assert checked(embedded(with_neighbors(sparse.csr_matrix((1, 1), dtype=np.float32))))

    @pytest.mark.parametrize("init_pos", ["random", "paga", "X_pca", None])
    def test_starts(self, init_pos: str | None) -> None:
        adata = sheet()
        adata.uns["paga"] = {
            "groups": "group",
            "connectivities": sparse.csr_matrix(np.ones((3, 3))),
            "pos": np.array([[0.0, 0], [5, 5], [10, 0]]),
        }
        embedded(adata, init_pos=init_pos, n_components=3 if init_pos == "X_pca" else 2)
        assert checked(adata)

    def test_keys(self) -> None:
        adata = sheet()
        put_neighbors(adata, islands().obsp["connectivities"], "other")
        embedded(adata, key_added="layout", neighbors_key="other", random_state=4)
        assert checked(adata, "layout")
        assert checked(adata, key="layout").key == "layout"
        with pytest.raises(ValueError, match=r"Did not find .obsm\['X_umap'\]"):
            verify(adata)
        for key in ("umap", "X_umap"):
            embedded(adata, key_added=key, random_state=5)
            assert checked(adata, key)
        embedded(adata, random_state=6)
        assert checked(adata)

    def test_stopped_by_a_callback(self) -> None:
        adata = embedded(sheet(), callback=lambda epoch, _: epoch == 7)
        assert provenance(adata)["epochs"] == 7
        assert provenance(adata)["spec"]["n_epochs"] == 15
        assert checked(adata)

    def test_continued_from_a_checkpoint(self, tmp_path: Path) -> None:
        path = tmp_path / "run.ckpt"
        adata = embedded(sheet(), checkpoint=path, callback=lambda epoch, _: epoch == 7)
        assert path.exists()
        embedded(adata, checkpoint=path)
        assert not path.exists()
        assert provenance(adata) == provenance(embedded(sheet()))
        assert checked(adata)

    @pytest.mark.parametrize(
        "form",
        [
            sparse.csc_matrix,
            lambda g: g.astype(np.float64),
            lambda g: sparse.csc_array(g.astype(np.float64)),
            lambda g: g.toarray(),
        ],
    )
    def test_graph_stored_otherwise(self, form: Any) -> None:
        adata = embedded(islands())
        adata.obsp["connectivities"] = form(adata.obsp["connectivities"])
        assert checked(adata)

    def test_embedding_stored_otherwise(self) -> None:
        adata = embedded(sheet())
        adata.obsm["X_umap"] = adata.obsm["X_umap"].astype(np.float64)
        assert checked(adata)
        assert not checked(adata).embedding_altered
        adata.obsm["X_umap"] = pd.DataFrame(
            adata.obsm["X_umap"], index=adata.obs_names, columns=["x", "y"]
        )
        assert checked(adata)

    def test_copies_views_and_files(self, tmp_path: Path) -> None:
        adata = umap(sheet(), copy=True, **FAST)
        assert checked(adata)
        view = adata[:]
        assert verify(view)
        assert view.is_view
        adata.write_h5ad(tmp_path / "a.h5ad")
        backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
        assert verify(backed)
        backed.file.close()

    def test_start_whose_key_was_renamed(self) -> None:
        adata = embedded(sheet(), init_pos="X_pca")
        adata.obsm["X_renamed"] = adata.obsm.pop("X_pca")
        assert checked(adata)

    def test_start_given_as_an_array(self) -> None:
        adata = sheet()
        start = np.random.default_rng(1).random((120, 2))
        embedded(adata, init_pos=start)
        found = checked(adata)
        assert not found
        assert not found.start_available
        assert found.start_changed is None
        assert "init_pos=" in str(found)
        assert checked(adata, init_pos=start)
        adata.obsm["start"] = start
        assert checked(adata)
        found = checked(adata, init_pos=start[::-1])
        assert (found.start_available, found.start_changed) == (True, True)

    def test_start_that_the_embedding_replaced(self) -> None:
        adata = embedded(sheet(), random_state=3)
        first = adata.obsm["X_umap"].copy()
        embedded(adata, init_pos="X_umap")
        assert not checked(adata).start_available
        assert checked(adata, init_pos=first)

    def test_rapids_that_falls_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: "there is none here.")
        with pytest.warns(UserWarning, match="runs on the CPU"):
            adata = embedded(sheet(), method="rapids")
        with pytest.warns(UserWarning, match="runs on the CPU"):
            assert verify(adata, method="rapids")
        assert checked(adata, method="auto", n_threads=1)


class TestNotReproduced:
    def test_altered_embedding(self) -> None:
        adata = embedded(sheet())
        adata.obsm["X_umap"][[3, 50]] += 0.5
        found = checked(adata)
        assert not found
        assert found.embedding_altered
        assert found.rows_different == 2
        assert found.largest_difference == pytest.approx(0.5, rel=1e-5)
        assert "altered after it was written; 2 rows differ, by up to 0.5" in str(found)

    def test_one_bit(self) -> None:
        adata = embedded(sheet())
        adata.obsm["X_umap"].view(np.uint32)[7, 1] ^= 1
        assert checked(adata).rows_different == 1

    def test_other_shape(self) -> None:
        adata = embedded(sheet(), n_components=3)
        adata.obsm["X_umap"] = adata.obsm["X_umap"][:, :2].copy()
        found = checked(adata)
        assert not found
        assert found.largest_difference is None
        assert "its shape is another one" in str(found)

    def test_other_numbers_from_the_same(self) -> None:
        """As if another machine had written it."""
        adata = embedded(sheet())
        other = embedded(sheet(), random_state=1)
        adata.obsm["X_umap"] = other.obsm["X_umap"]
        provenance(adata)["embedding"] = provenance(other)["embedding"]
        found = checked(adata)
        assert not found.embedding_altered
        assert "other numbers here; 120 rows differ" in str(found)

    @pytest.mark.parametrize(
        "change",
        [
            lambda a: a.obsp["connectivities"].data.__imul__(np.float32(0.5)),
            lambda a: a.obsp.__setitem__("connectivities", a.obsp["connectivities"] ** 2),
        ],
    )
    def test_changed_graph(self, change: Callable[[Any], Any]) -> None:
        adata = embedded(sheet())
        change(adata)
        found = checked(adata)
        assert found.graph_changed
        assert found.start_changed is None
        assert found.rows_different is None
        assert "the graph has changed" in str(found)

    def test_subset_and_new_order(self) -> None:
        adata = embedded(sheet())
        for rows in (slice(0, 60), np.random.default_rng(0).permutation(120)):
            assert checked(adata[rows].copy()).graph_changed

    def test_changed_start(self) -> None:
        adata = embedded(islands())
        adata.obsm["X_pca"] = adata.obsm["X_pca"][::-1].copy()  # places the components
        found = checked(adata)
        assert (found.graph_changed, found.start_changed) == (False, True)
        assert "the start positions are others" in str(found)
        adata = embedded(sheet(), init_pos="X_pca")
        adata.obsm["X_pca"] = adata.obsm["X_pca"] ** 2
        assert not checked(adata).start_available

    def test_edited_parameters_and_another_version(self) -> None:
        adata = embedded(sheet(), random_state=3)
        adata.uns["umap"]["params"] |= {"a": 1.0, "random_state": 4}
        provenance(adata)["umapcore"] = "0.0.1"
        found = checked(adata)
        assert found
        assert found.spec_differs == ("a", "random_state")
        assert found.version_differs
        assert "umapcore 0.0.1 wrote it" in str(found)
        assert "'a', 'random_state'" in str(found)

    def test_layouts_of_another_version(self) -> None:
        adata = embedded(sheet())
        provenance(adata)["layout_version"] = LAYOUT_VERSION + 1
        found = checked(adata)
        assert found.layout_version == LAYOUT_VERSION + 1
        assert f"layouts have version {LAYOUT_VERSION + 1}" in str(found)
        del provenance(adata)["layout_version"]  # as the first version wrote it
        assert checked(adata).layout_version == 1

    def test_parameters_of_the_run_edited(self) -> None:
        adata = embedded(sheet())
        provenance(adata)["spec"]["gamma"] = 0.9
        found = checked(adata)
        assert not found
        assert found.rows_different == 120

    def test_is_frozen(self) -> None:
        found = checked(embedded(sheet(40)))
        with pytest.raises(dataclasses.FrozenInstanceError):
            found.reproduced = False  # type: ignore[misc]


class TestRefused:
    def test_no_provenance(self) -> None:
        adata = embedded(sheet(40))
        del adata.uns["umap"]["provenance"]
        with pytest.raises(ValueError, match=r"\.uns\['umap'\] has no provenance"):
            verify(adata)
        del adata.uns["umap"]
        with pytest.raises(ValueError, match="no provenance"):
            verify(adata)

    def test_no_graph_any_more(self) -> None:
        adata = embedded(sheet(40))
        del adata.uns["neighbors"]
        with pytest.raises(ValueError, match=r"Did not find .uns\['neighbors'\]"):
            verify(adata)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"key": "X_umpa"}, ValueError, "Did you mean 'X_umap'"),
            ({"key": 3}, TypeError, "key=3"),
            ({"method": "gpu"}, ValueError, "method='gpu'"),
            ({"n_threads": 0}, ValueError, "n_threads=0"),
            ({"init_pos": np.zeros((3, 2))}, ValueError, "init_pos has shape"),
        ],
    )
    def test_bad_values(
        self, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        adata = embedded(sheet(40), init_pos="X_pca")
        with pytest.raises(error, match=message):
            verify(adata, **options)

    def test_not_anndata(self) -> None:
        with pytest.raises(TypeError, match="adata="):
            verify(np.zeros(3))  # type: ignore[arg-type]


class TestSnapshotsAndCheckpoints:
    def test_snapshots_in_uns(self) -> None:
        adata = embedded(sheet(), snapshots=6, key_added="layout")
        kept = adata.uns["layout"]["snapshots"]
        assert kept["epochs"].tolist() == [0, 6, 12, 15]
        assert kept["positions"].shape == (4, 120, 2)
        np.testing.assert_array_equal(kept["positions"][-1], adata.obsm["layout"])
        start = embedded(sheet(), maxiter=0).obsm["X_umap"]
        np.testing.assert_array_equal(kept["positions"][0], start)

    def test_snapshots_of_ones_own(self) -> None:
        seen = Snapshots(10)
        adata = embedded(sheet(), snapshots=seen)
        assert seen.epochs.tolist() == [0, 10, 15]
        assert "snapshots" not in adata.uns["umap"]

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"snapshots": 0}, ValueError, "snapshots=0"),
            ({"snapshots": "often"}, TypeError, "snapshots='often'.*Snapshots"),
            ({"snapshots": True}, TypeError, "snapshots=True"),
            ({"checkpoint": 3}, TypeError, "checkpoint=3"),
            ({"checkpoint": "/nowhere/at/all"}, FileNotFoundError, "its folder does not exist"),
        ],
    )
    def test_bad_values(
        self, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        adata = sheet(40)
        before = contents(adata)
        with pytest.raises(error, match=message):
            embedded(adata, **options)
        assert_equal_contents(before, contents(adata))

    def test_the_file_outlives_a_failure_to_write(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "run.ckpt"
        adata = embedded(sheet(), checkpoint=path, callback=lambda epoch, _: epoch == 7)

        def fail(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr("umapcore.tl.write_transaction", fail)
        with pytest.raises(MemoryError):
            embedded(adata, checkpoint=path)
        assert path.exists()

    def test_a_seed_that_is_drawn_anew_does_not_fit(self, tmp_path: Path) -> None:
        path = tmp_path / "run.ckpt"
        kept = Checkpoint(path, keep=True)
        embedded(sheet(), checkpoint=kept, random_state=None)
        with pytest.raises(ValueError, match=r"seed is .* in it and .* here"):
            embedded(sheet(), checkpoint=kept, random_state=None)
