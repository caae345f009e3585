"""Memory that runs out and interrupts at any moment leave the caller's objects and files whole.

``UMAPCORE_EXAMPLES=1000 pytest tests/faults`` tries as many moments of each call.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.anndatas import sheet
from tests.support.fingerprint import elements, fingerprint
from tests.support.injection import Moments, at_allocation, at_line, spread
from umapcore import (
    OptimizerSpec,
    cli,
    fuzzy_simplicial_set,
    place,
    pp,
    simplicial_set_embedding,
    tl,
    verify,
)
from umapcore.files.anndata_files import read_file, write_with
from umapcore.files.atomic_write import remove

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from anndata import AnnData

TRIES = int(os.environ.get("UMAPCORE_EXAMPLES", "12"))


def laid_out() -> AnnData:
    adata = sheet(40)
    adata.obsp["distances"] = adata.obsp["connectivities"].copy()
    tl.umap(adata, maxiter=2)
    return adata


def new_cells() -> AnnData:
    adata = sheet(60)[40:].copy()
    del adata.obsp["connectivities"], adata.uns["neighbors"]
    return adata


#: Calls that write to the first of their objects, by the keys that they write.
CALLS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "layout": (lambda a, _: tl.umap(a, maxiter=3), {"obsm/X_umap", "uns/umap"}),
    "layout with densities": (
        lambda a, _: tl.umap(a, maxiter=3, density_weight=2, snapshots=1, key_added="new"),
        {"obsm/new", "uns/new"},
    ),
    "neighbours": (
        lambda a, _: pp.neighbors(a, 5, use_rep="X_pca", key_added="k"),
        {"obsp/k_distances", "obsp/k_connectivities", "uns/k"},
    ),
    "neighbours after a PCA": (
        lambda a, _: pp.neighbors(a, 5, key_added="k"),
        {"obsp/k_distances", "obsp/k_connectivities", "uns/k", "obsm/X_pca", "varm/PCs", "uns/pca"},
    ),
    "placement": (
        lambda a, b: tl.ingest(a, b, obs="group", key_added=None, use_rep="X_pca", maxiter=2),
        {"obsm/X_umap", "uns/umap", "obs"},
    ),
    "verification": (lambda a, _: verify(a), set()),
}

KINDS: dict[str, Callable[[int, pytest.MonkeyPatch], AbstractContextManager[Moments]]] = {
    "memory runs out": at_allocation,
    "interrupt": lambda at, _: at_line(at, KeyboardInterrupt),
    "memory runs out at a line": lambda at, _: at_line(at, MemoryError),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:.X has 60 variables")
def test_objects_are_written_whole_or_not_at_all(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, written = CALLS[name]
    reference = laid_out()
    original = new_cells() if name == "placement" else reference.copy()
    if name == "neighbours after a PCA":
        del original.obsm["X_pca"]
    before, of_reference = elements(original), elements(reference)

    whole = original.copy()
    call(whole, reference)  # loads what is loaded at the first call
    whole = original.copy()
    with KINDS[kind](0, monkeypatch) as moments:
        call(whole, reference)
    complete = elements(whole)
    assert moments.count > 10
    for at in spread(moments.count, TRIES):
        adata = original.copy()
        with suppress(KeyboardInterrupt, MemoryError), KINDS[kind](at, monkeypatch):
            call(adata, reference)
        after = elements(adata)
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        # An interrupt may arrive when all is written.
        assert not changed or (changed <= written and after == complete), (at, changed)
        assert elements(reference) == of_reference
    call(again := original.copy(), reference)
    assert elements(again) == complete


def test_arrays_given_are_never_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    graph = sheet(40).obsp["connectivities"]
    start = rng.random((40, 2))
    knn = np.argsort(rng.random((40, 40)))[:, :5], np.sort(rng.random((40, 5)))

    def call() -> None:
        simplicial_set_embedding(graph, OptimizerSpec(n_epochs=2), init=start)
        fuzzy_simplicial_set(*knn)
        place(start, *knn, n_epochs=2)

    call()
    before = fingerprint((graph, start, knn))
    with at_allocation(0, monkeypatch) as moments:
        call()
    for at in spread(moments.count, 2 * TRIES):
        with at_allocation(at, monkeypatch), pytest.raises(MemoryError):
            call()
        assert fingerprint((graph, start, knn)) == before


@pytest.mark.parametrize(
    ("suffix", "there_before", "kind"),
    [
        ("h5ad", False, "interrupt"),
        ("h5ad", True, "memory runs out at a line"),
        ("zarr", True, "interrupt"),
        pytest.param("h5ad", True, "interrupt", marks=pytest.mark.slow),
        pytest.param("zarr", False, "interrupt", marks=pytest.mark.slow),
        pytest.param("zarr", True, "memory runs out at a line", marks=pytest.mark.slow),
    ],
)
# Between opening a file and its `with`, an interrupt leaves it to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_are_written_whole_or_not_at_all(
    suffix: str,
    there_before: bool,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # no power fails here
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    sheet(30).write_h5ad(tmp_path / "in.h5ad")
    if suffix == "zarr":
        pytest.importorskip("zarr")
        write_with(tmp_path / "in.h5ad", source, {})
        (tmp_path / "in.h5ad").unlink()
    embed = ["embed", str(source), "-o", str(target), "--overwrite"]
    embed += ["--maxiter", "2", "--init-pos", "random"]
    assert cli.main(embed) == cli.OK
    complete = digest(target)
    old = digest(source) if there_before else None

    def restore() -> None:
        remove(target)
        if there_before:
            copy(source, target)

    restore()
    with KINDS[kind](0, monkeypatch) as moments:
        assert cli.main(embed) == cli.OK
    assert moments.count > 100
    for at in spread(moments.count, TRIES):
        restore()
        # Before and after `main` has its guard, there is none.
        with suppress(KeyboardInterrupt, MemoryError), KINDS[kind](at, monkeypatch):
            cli.main(embed)
        found = digest(target) if target.exists() else None
        assert found in (old, complete), at
        left = {path.name for path in tmp_path.iterdir()} - {source.name, target.name}
        assert not left, (at, left)
    said = capsys.readouterr().err
    assert "Traceback" not in said


def digest(path: Path) -> dict[str, str]:
    """Content of an object's file: HDF5 files differ in their bytes each time."""
    return elements(read_file(path))


def copy(source: Path, target: Path) -> None:
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
