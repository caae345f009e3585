"""``umapcore ingest``: what `tl.ingest` gives, in a copy of the new cells' file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest

import umapcore
from umapcore import cli, demo
from umapcore.files.anndata_files import write_with

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def objects() -> tuple[anndata.AnnData, anndata.AnnData]:
    cells = demo.load_cells()[4000:4400].copy()
    reference = cells[:300].copy()
    umapcore.tl.umap(reference, maxiter=5, init_pos="random")
    reference.uns["cell_type_colors"] = ["#000000"] * reference.obs["cell_type"].nunique()
    return cells[300:].copy(), reference


def _ingest(*arguments: object) -> int:
    try:
        return cli.main(["ingest", *map(str, arguments)])
    except SystemExit as left:
        return int(left.code or 0)


@pytest.mark.parametrize("name", ["new.h5ad", "new.zarr"])
def test_as_the_library(objects: Any, tmp_path: Path, name: str, capsys: Any) -> None:
    new, reference = objects
    paths = [tmp_path / part for part in ("new.h5ad", "ref.h5ad", f"out{name[3:]}")]
    new, given = new.copy(), new.copy()
    given.obs = given.obs.rename(columns={"cell_type": "truth"})
    given.write_h5ad(paths[0])
    reference.write_h5ad(paths[1])
    if name.endswith(".zarr"):
        pytest.importorskip("zarr", reason="zarr is not installed")
        write_with(paths[0], tmp_path / name, {})
        paths[0] = tmp_path / name
    options = ("--obs", "cell_type", "--use-rep", "X_pca", "--n-neighbors", 7, "--maxiter", 3)
    command = (paths[0], "--reference", paths[1], "-o", paths[2], *options, "--random-state", 4)
    assert _ingest(*command, "--no-progress") == cli.OK
    assert "obs['cell_type']" in capsys.readouterr().out
    umapcore.tl.ingest(
        given, reference, obs="cell_type", use_rep="X_pca", n_neighbors=7, maxiter=3, random_state=4
    )
    read = anndata.read_zarr if name.endswith(".zarr") else anndata.read_h5ad
    written = read(paths[2])
    assert written.obsm["X_umap"].tobytes() == given.obsm["X_umap"].tobytes()
    assert written.obs["cell_type"].tolist() == given.obs["cell_type"].tolist()
    assert list(written.obs) == ["truth", "cell_type"]
    assert list(written.uns["cell_type_colors"]) == list(given.uns["cell_type_colors"])
    assert written.uns["umap"]["params"] == given.uns["umap"]["params"]
    assert _ingest(*command) == cli.FAILED
    assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--obs", "cell_typ"), cli.FAILED, "--obs='cell_typ'"),
        (("--n-neighbors=-1",), cli.FAILED, "--n-neighbors=-1"),
        (("--use-rep", "X_pcaa"), cli.FAILED, "X_pcaa"),
        (("--embedding-method", "tsne"), cli.USAGE, "--embedding-method"),
    ],
)
def test_wrong_options(
    objects: Any, tmp_path: Path, options: tuple[str, ...], code: int, message: str, capsys: Any
) -> None:
    for made, name in zip(objects, ("new.h5ad", "ref.h5ad"), strict=True):
        made.write_h5ad(tmp_path / name)
    paths = (tmp_path / "new.h5ad", "--reference", tmp_path / "ref.h5ad", "-o", tmp_path / "o.h5ad")
    assert _ingest(*paths, "--use-rep", "X_pca", *options) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "o.h5ad").exists()


def test_no_such_reference(tmp_path: Path, capsys: Any) -> None:
    anndata.AnnData(np.zeros((3, 2))).write_h5ad(tmp_path / "a.h5ad")
    assert _ingest(tmp_path / "a.h5ad", "--reference", "no.h5ad", "-o", tmp_path / "o.h5ad") == 1
    assert "no.h5ad: no such file" in capsys.readouterr().err
