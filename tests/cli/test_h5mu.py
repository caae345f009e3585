"""Files of MuData, .h5mu, as mudata writes them: what the modalities share, and one modality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pytest
from anndata.io import read_elem, write_elem

import umapcore
from umapcore import cli, demo

if TYPE_CHECKING:
    from pathlib import Path

N = 100
QUICK = ("--maxiter", "3", "--init-pos", "random", "--no-progress")


@pytest.fixture(scope="module")
def cells() -> anndata.AnnData:
    return demo.load_cells()[4000 : 4000 + N].copy()


@pytest.fixture
def source(cells: anndata.AnnData, tmp_path: Path) -> Path:
    """Write what mudata writes, with a graph of all modalities and one of a single one."""
    path = tmp_path / "in.h5mu"
    graph = dict(cells.uns["neighbors"], connectivities_key="wnn_c", distances_key="wnn_d")
    graph["params"] = {"n_neighbors": 15, "use_rep": {"rna": "X_pca"}}
    parts: dict[str, Any] = {
        "obs": cells.obs.rename(columns={"cell_type": "rna:cell_type"}),
        "var": anndata.AnnData(shape=(0, 9)).var,
        "obsm": {"X_wnn": cells.obsm["X_pca"][:, :4], "rna": np.ones((N, 1), bool)},
        "varm": {"rna": np.ones((9, 1), bool)},
        "obsp": {"wnn_c": cells.obsp["connectivities"], "wnn_d": cells.obsp["distances"]},
        "varp": {},
        "obsmap": {"rna": np.arange(N, dtype=np.uint32)},
        "uns": {"wnn": graph},
    }
    # A block before the data, in which mudata names itself.
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in parts.items():
            write_elem(file, name, value)
        write_elem(file.create_group("mod"), "rna", cells)
        file.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0})
    with path.open("rb+") as raw:
        raw.write(b"MuData (format-version=0.1.0;creator=mudata)")
    return path


@pytest.mark.parametrize(
    ("inner", "key", "group"),
    [("", "wnn", "/"), ("rna", None, "/mod/rna"), ("mod/rna", None, "/mod/rna")],
)
def test_embed_and_plot(
    cells: anndata.AnnData, source: Path, inner: str, key: str | None, group: str, capsys: Any
) -> None:
    target, picture = source.with_name("out.h5mu"), source.with_name("a.png")
    named = ("--neighbors-key", key) if key else ()
    command = ["embed", source / inner, "-o", target, *named, *QUICK]
    assert cli.main(list(map(str, command))) == cli.OK
    expected = umapcore.tl.umap(cells, maxiter=3, init_pos="random", copy=True).obsm["X_umap"]
    with h5py.File(target) as file, h5py.File(source) as before:
        assert file[group]["obsm/X_umap"][()].tobytes() == expected.tobytes()
        assert "a" in read_elem(file[group]["uns/umap"])["params"]
        names: list[str] = []
        before.visit(names.append)
        assert all(name in file for name in names)
    assert target.read_bytes().startswith(b"MuData (format")
    assert cli.main(["verify", str(target / inner)]) == cli.OK
    color = "cell_type" if inner else "rna:cell_type"
    assert cli.main(["plot", str(target / inner), "-o", str(picture), "--color", color]) == cli.OK
    assert picture.exists()
    assert cli.main(["compare", str(target / inner), str(target / inner)]) == cli.OK
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("given", "target", "message"),
    [
        ("in.h5mu", "out.h5ad", "must end in .h5mu"),
        ("in.h5mu", "out.zarr", "must end in .h5mu"),
        ("in.h5mu/prot", "out.h5mu", "no such modality; it has rna"),
        ("in.h5mu", "out.h5mu", ".uns['neighbors']"),
    ],
)
def test_refusals(source: Path, given: str, target: str, message: str, capsys: Any) -> None:
    folder = source.parent
    command = ["embed", folder / given, "-o", folder / target, "--neighbors-key", "neighbors"]
    assert cli.main(list(map(str, command))) == cli.FAILED
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["in.h5mu"]
