"""Files and zarr stores: whole or not at all, formats, what else is in them, refusals."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from contextlib import ExitStack, nullcontext
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from umapcore._kit import file_names
from umapcore.files import atomic_write as module
from umapcore.files import zarr_store
from umapcore.files.anndata_files import check_paths, format_of, open_file, write_with
from umapcore.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

zarr = pytest.importorskip("zarr", reason='zarr is not installed (pip install "umapcore[zarr]")')

N = 30
NEW = np.arange(2 * N, dtype=np.float32).reshape(N, 2)
ELEMENTS = {"obsm/X_umap": NEW, "uns/umap": {"params": {"a": 1.5}}}


@pytest.fixture
def cells() -> anndata.AnnData:
    made = anndata.AnnData(sp.random(N, 7, 0.4, format="csr", dtype=np.float32, random_state=0))
    made.layers["counts"] = np.ones((N, 7))
    made.obsm["X_umap"] = np.zeros((N, 3))
    made.raw = made.copy()
    return made


def _store(cells: anndata.AnnData, path: Path, zarr_format: int = 2) -> Path:
    if path.suffix == ".h5ad":
        cells.write_h5ad(path)
        return path
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore")  # those of the tests' own writing
        if hasattr(anndata.settings, "zarr_write_format"):
            stack.enter_context(anndata.settings.override(zarr_write_format=zarr_format))
        elif zarr_format == 3:
            pytest.skip("this anndata writes version 2 of zarr only")
        cells.write_zarr(path)
    return path


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("source", ["in.h5ad", "in.zarr", "in3.zarr"])
@pytest.mark.parametrize("target", ["out.h5ad", "out.zarr", "in place"])
def test_elements_are_put_into_a_copy(
    cells: anndata.AnnData, tmp_path: Path, source: str, target: str
) -> None:
    read = _store(cells, tmp_path / source, 3 if "3" in source else 2)
    written = read if target == "in place" else tmp_path / target
    write_with(read, written, ELEMENTS)
    fmt = format_of(written)
    result = (anndata.read_zarr if fmt == "zarr" else anndata.read_h5ad)(written)
    np.testing.assert_array_equal(result.obsm["X_umap"], NEW)
    assert result.uns["umap"]["params"]["a"] == 1.5
    assert (result.X != cells.X).nnz == 0
    assert (result.raw.X != cells.X).nnz == 0
    np.testing.assert_array_equal(result.layers["counts"], cells.layers["counts"])
    assert _names(tmp_path) == {read.name, written.name}


def test_consolidated_metadata_know_what_was_put_in(cells: anndata.AnnData, tmp_path: Path) -> None:
    del cells.obsm["X_umap"]
    read = _store(cells, tmp_path / "in.zarr")
    zarr.consolidate_metadata(str(read))
    write_with(read, tmp_path / "out.zarr", ELEMENTS)
    group = zarr.open_consolidated(str(tmp_path / "out.zarr"))
    assert group["obsm/X_umap"].shape == (N, 2)


@pytest.mark.parametrize("name", ["in.h5ad", "in.zarr"])
@pytest.mark.parametrize("dense", [False, True])
def test_x_stays_on_disk(cells: anndata.AnnData, tmp_path: Path, dense: bool, name: str) -> None:
    if dense:
        cells.X = cells.X.toarray()
        cells.raw = cells.copy()
    with open_file(_store(cells, tmp_path / name)) as opened:
        assert not isinstance(opened.X, (np.ndarray, sp.spmatrix, sp.sparray))
        assert opened.shape == cells.shape
        assert not opened.layers
        part = opened[:, [2]].X
        part = part if dense else part.toarray()
        expected = cells.X[:, [2]] if dense else cells.X[:, [2]].toarray()
        np.testing.assert_array_equal(part, expected)
        raw = opened.raw[:, [2]].X
        np.testing.assert_array_equal(raw if dense else raw.toarray(), expected)


@pytest.mark.parametrize("name", ["in.h5ad", "in.zarr"])
def test_a_store_without_x(tmp_path: Path, name: str) -> None:
    cells = anndata.AnnData(shape=(N, 0), obsm={"X_pca": np.zeros((N, 4))})
    with open_file(_store(cells, tmp_path / name)) as opened:
        assert opened.X is None
        assert opened.obsm["X_pca"].shape == (N, 4)


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("failing", [False, True])
def test_a_folder_is_swapped_whole(
    tmp_path: Path, exchange: bool, failing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(module, "_renameat2", lambda *_: False)
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "old").write_text("old")

    def replace() -> None:
        with atomic_write(target) as beside:
            beside.mkdir()
            (beside / "new").write_text("new")
            assert _names(target) == {"old"}
            if failing:
                raise KeyboardInterrupt

    if failing:
        with pytest.raises(KeyboardInterrupt):
            replace()
    else:
        replace()
    assert _names(target) == ({"old"} if failing else {"new"})
    assert _names(tmp_path) == {"a.zarr"}


def test_interrupted_between_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_renameat2", lambda *_: False)
    rename, calls = module.os.rename, []

    def second_fails(one: Path, other: Path) -> None:
        calls.append(other)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(one, other)

    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "old").write_text("old")
    monkeypatch.setattr(module.os, "rename", second_fails)
    with pytest.raises(KeyboardInterrupt), atomic_write(target) as beside:
        beside.mkdir()
    assert _names(target) == {"old"}
    assert _names(tmp_path) == {"a.zarr"}


@pytest.mark.parametrize("rename", ["as Linux can", "by a claim"])
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("taken", [False, True])
def test_what_appears_meanwhile_is_not_replaced(
    tmp_path: Path, kind: str, rename: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two writers that both found nothing at the start, the second one fails."""
    if rename == "by a claim":
        monkeypatch.setattr(module, "_renameat2", lambda *_: False)

    def write(target: Path, text: str) -> None:
        with atomic_write(target, overwrite=False) as beside:
            if kind == "folder":
                beside.mkdir()
            (beside / "a" if kind == "folder" else beside).write_text(text)
            if taken and text == "mine":
                write(target, "theirs")

    target = tmp_path / "out"
    if taken:
        with pytest.raises(FileExistsError, match="out: is there already; use --overwrite"):
            write(target, "mine")
    else:
        write(target, "mine")
    found = (target / "a" if kind == "folder" else target).read_text()
    assert found == ("theirs" if taken else "mine")
    assert _names(tmp_path) == {"out"}


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_target_that_is_open_elsewhere(
    tmp_path: Path, kind: str, overwrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: neither the file nor the folder can be replaced, and all stays as it was."""
    monkeypatch.setattr(file_names, "WINDOWS", True)
    monkeypatch.setattr(file_names, "_PAUSE", 0.0)
    monkeypatch.setattr(module, "_renameat2", lambda *_: False)

    def refuse(one: Path, other: Path) -> None:
        raise PermissionError(13, "Access is denied", str(one), 5, str(other))

    target = tmp_path / "out"
    if overwrite:
        target.mkdir() if kind == "folder" else target.write_text("old")
    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    with (
        pytest.raises(PermissionError, match="is it open in another program") as raised,
        atomic_write(target, overwrite=overwrite) as beside,
    ):
        beside.mkdir() if kind == "folder" else beside.write_text("new")
    assert raised.value.filename == str(target)
    assert _names(tmp_path) == ({"out"} if overwrite else set())
    assert not overwrite or kind == "folder" or target.read_text() == "old"


def test_what_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first error is what counts, or that there is none."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Access is denied", str(path))

    monkeypatch.setattr(module, "remove", refuse)

    def write() -> None:
        with atomic_write(tmp_path / "out") as beside:
            beside.touch()
            raise ValueError("of the writer")

    with pytest.raises(ValueError, match="of the writer"):
        write()
    (left,) = _names(tmp_path)
    assert f"{left} is left and can be removed: Access is denied" in caplog.text
    with atomic_write(tmp_path / "out") as beside:
        beside.write_text("new")
    assert (tmp_path / "out").read_text() == "new"


@pytest.mark.parametrize("without", ["renameat2", "a C library"])
def test_systems_without_linuxs_rename(
    tmp_path: Path, without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ctypes

    def load(*_: object, **__: object) -> object:
        if without == "renameat2":
            return SimpleNamespace()
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", load)
    for platform in ("linux", "darwin"):
        monkeypatch.setattr(sys, "platform", platform)
        assert not module._renameat2(tmp_path, tmp_path, 1)
    target = tmp_path / "out.zarr"
    for text in ("old", "new"):
        with atomic_write(target) as beside:
            beside.mkdir()
            (beside / text).touch()
        assert _names(target) == {text}
    with pytest.raises(FileExistsError), atomic_write(target, overwrite=False) as beside:
        beside.mkdir()
    assert _names(tmp_path) == {"out.zarr"}


def test_our_own_files_are_closed_before_they_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where an open file cannot be replaced, also not by who has opened it."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the system does not list open files")
    from tests.support.anndatas import sheet
    from umapcore import cli

    source = tmp_path / "in.h5ad"
    sheet(60).write_h5ad(source)
    given, replaced = file_names.replace, []

    def strict(one: Path, other: Path) -> None:
        opened = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        assert not {str(one), str(other)} & opened
        replaced.append(other.name)
        given(one, other)

    monkeypatch.setattr(file_names, "replace", strict)
    drawn = ["--plot", str(tmp_path / "out.png")] if find_spec("matplotlib") else []
    options = ["--overwrite", "--maxiter", "4", "--init-pos", "random", *drawn]
    checkpoint = ["--checkpoint", str(tmp_path / "run.ckpt")]
    assert cli.main(["embed", str(source), "-o", str(source), *options, *checkpoint]) == 0
    assert {"in.h5ad", "run.ckpt"} <= set(replaced)
    assert not drawn or "out.png" in replaced


def test_names_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 120 + ".h5ad")
    with atomic_write(target) as beside:
        beside.write_text("a")
    assert _names(tmp_path) == {target.name}


def _damage(path: Path, element: str) -> None:
    """Make an element unreadable: of a type that nobody knows."""
    import h5py

    with (
        h5py.File(path, "a")
        if path.suffix == ".h5ad"
        else nullcontext(zarr.open_group(str(path), mode="a")) as root
    ):
        root[element].attrs["encoding-type"] = "unheard of"


@pytest.mark.parametrize("name", ["in.h5ad", "in.zarr"])
@pytest.mark.parametrize(
    ("element", "needed"),
    [
        ("obsm/X_umap", True),
        ("uns/neighbors", True),
        ("obs/_index", True),
        ("obs/kind", False),
        ("varm/loadings", False),
        ("uns/notes", False),
        ("raw/var", False),
        ("layers/counts", None),
        ("varp/pairs", None),
    ],
)
def test_damaged_parts_are_named(
    cells: anndata.AnnData, tmp_path: Path, name: str, element: str, needed: bool | None
) -> None:
    """Needed: an error. Not needed: a warning. Never read: nothing."""
    cells.obs["kind"] = np.arange(N)
    cells.obs["other"] = np.arange(N)
    cells.varm["loadings"] = np.zeros((7, 2))
    cells.varp["pairs"] = np.eye(7)
    cells.uns = {"notes": {"a": 1}, "neighbors": {"connectivities_key": "connectivities"}}
    path = _store(cells, tmp_path / name)
    _damage(path, element)
    said = (
        rf"{name}: {element.removesuffix('/_index').removesuffix('/var')} cannot be read: No read"
    )
    if needed:
        with pytest.raises(ValueError, match=said), open_file(path):
            pass
        return
    warned = pytest.warns(UserWarning, match=said) if needed is False else nullcontext()
    with warned, open_file(path) as opened:
        assert opened.obs["other"].tolist() == list(range(N))
        assert ("kind" in opened.obs) == (element != "obs/kind")


def test_a_change_of_format_names_what_cannot_be_read(
    cells: anndata.AnnData, tmp_path: Path
) -> None:
    path = _store(cells, tmp_path / "in.h5ad")
    _damage(path, "layers/counts")
    with pytest.raises(ValueError, match=r"in\.h5ad: cannot be read completely.*counts.*layers"):
        write_with(path, tmp_path / "out.zarr", ELEMENTS)
    assert _names(tmp_path) == {"in.h5ad"}


def test_damaged_values_name_the_file(cells: anndata.AnnData, tmp_path: Path) -> None:
    cells.X = np.random.default_rng(0).random((N, 7))
    path = tmp_path / "in.h5ad"
    cells.write_h5ad(path, compression="gzip")
    import h5py

    with h5py.File(path) as file:
        first = file["X"].id.get_chunk_info(0)
    whole = bytearray(path.read_bytes())
    whole[first.byte_offset : first.byte_offset + first.size] = bytes(first.size)
    path.write_bytes(whole)
    with (
        pytest.raises(OSError, match=r"in\.h5ad: cannot be read: Can't"),
        open_file(path) as opened,
    ):
        opened.X[:]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve space")
def test_hdf5_never_meets_a_full_disk(
    cells: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = _store(cells, tmp_path / "in.h5ad"), tmp_path / "out.h5ad"
    write_with(path, target, ELEMENTS)
    assert target.stat().st_size < path.stat().st_size + 20_000, "what was reserved is given back"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_with(path, target, ELEMENTS)
    assert error.value.filename == str(target)
    assert _names(tmp_path) == {"in.h5ad", "out.h5ad"}


@pytest.mark.skipif(os.name == "nt", reason="read-only files are another thing on Windows")
def test_a_read_only_store_can_be_copied(cells: anndata.AnnData, tmp_path: Path) -> None:
    path = _store(cells, tmp_path / "in.zarr")
    for part in [path, *path.rglob("*")]:
        part.chmod(0o555 if part.is_dir() else 0o444)
    write_with(path, tmp_path / "out.zarr", ELEMENTS)
    assert os.access(tmp_path / "out.zarr" / "obsm", os.W_OK)


def test_folders_of_others_are_spared(cells: anndata.AnnData, tmp_path: Path) -> None:
    source = _store(cells, tmp_path / "in.zarr")
    thesis = tmp_path / "out.zarr"
    thesis.mkdir()
    (thesis / "thesis.tex").write_text("precious")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_paths(source, thesis, overwrite=True)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_paths(thesis, tmp_path / "new.zarr", overwrite=True)
    shutil.rmtree(thesis)
    thesis.write_text("a file")
    with pytest.raises(NotADirectoryError, match="is a file"):
        check_paths(source, thesis, overwrite=True)
    with pytest.raises(OSError, match="within one another"):
        check_paths(source, source / "obs" / "out.zarr", overwrite=True)


@pytest.mark.parametrize("broken", ["other", "metadata"])
def test_stores_that_are_no_anndata(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "in.zarr"
    zarr.open_group(str(path), mode="w").create_group("table")
    if broken == "metadata":
        for mark in ("zarr.json", ".zgroup"):
            if (path / mark).exists():
                (path / mark).write_text("{")
    with pytest.raises(ValueError, match=r"in\.zarr: (a zarr store, but|not a zarr store that)"):
        open_file(path).__enter__()


def test_pickles_are_refused(tmp_path: Path) -> None:
    """Reading them could run any program; zarr 3 does not read them itself."""
    evil = SimpleNamespace(filters=[SimpleNamespace(codec_id="pickle")])
    with pytest.raises(ValueError, match=r"in\.zarr: uns/evil is pickled"):
        zarr_store._refuse_pickles(tmp_path / "in.zarr", "uns/evil", evil)
    zarr_store._refuse_pickles(tmp_path, "uns/good", SimpleNamespace(filters=None))


def test_what_cannot_be_inserted_names_the_target(
    cells: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise KeyError("bad heap")

    monkeypatch.setattr(zarr_store, "insert_into", damaged)
    source, target = _store(cells, tmp_path / "in.h5ad"), tmp_path / "out.h5ad"
    with pytest.raises(OSError, match="cannot be inserted: bad heap") as error:
        write_with(source, target, ELEMENTS)
    assert error.value.filename == str(target)
    assert _names(tmp_path) == {"in.h5ad"}
