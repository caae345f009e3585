"""`umapcore embed --plot`: pictures that are whole or not at all, names checked before the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest

from tests.cli.test_cli import QUICK, files_in, one_error_line, run
from umapcore import cli, demo
from umapcore.cli import embed_file
from umapcore.files import anndata_files
from umapcore.pl.save import Picture

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

if TYPE_CHECKING:
    from pathlib import Path

N = 120
STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    cells = demo.load_cells()[:N].copy()
    genes = anndata.AnnData(
        np.arange(2.0 * N, dtype=np.float32).reshape(N, 2),
        obs=cells.obs,
        obsm=dict(cells.obsm),
        obsp=dict(cells.obsp),
        uns=cells.uns,
    )
    genes.var_names = ["CD3E", "CD19"]
    genes.raw = genes.copy()
    path = tmp_path / getattr(request, "param", "in.h5ad")
    if path.suffix == ".zarr":
        pytest.importorskip("zarr", reason="zarr is not installed")
        # Through the library itself, which keeps back the notices of anndata's writer.
        genes.write_h5ad(tmp_path / "made.h5ad")
        anndata_files.write_with(tmp_path / "made.h5ad", path, {})
        (tmp_path / "made.h5ad").unlink()
    else:
        genes.write_h5ad(path)
    return path


@pytest.mark.parametrize("source", ["in.h5ad", "in.zarr"], indirect=True)
@pytest.mark.parametrize("kind", ["png", "PDF", "svg"])
def test_picture(source: Path, tmp_path: Path, kind: str, capsys: Any) -> None:
    picture, target = tmp_path / f"umap.{kind}", tmp_path / "out.h5ad"
    colors = ("--color", "cell_type", "CD19")
    assert run("embed", source, "-o", target, *QUICK, "--plot", picture, *colors) == cli.OK
    said = capsys.readouterr().out
    assert str(picture) in said
    assert "draw" in said
    assert picture.read_bytes().startswith(STARTS[kind.lower()])
    assert files_in(tmp_path) == {source.name, target.name, picture.name}
    written = anndata.read_h5ad(target)
    assert set(written.uns) == {"neighbors", "source", "umap"}, "drawing has left nothing"


def test_picture_in_space_and_without_colour(source: Path, tmp_path: Path) -> None:
    picture, target = tmp_path / "umap.png", tmp_path / "out.h5ad"
    options = ("--plot", picture, "--n-components", 3, "--key-added", "mine")
    assert run("embed", source, "-o", target, *QUICK, *options) == cli.OK
    assert picture.exists()


def test_colours_are_checked_before_the_work(
    source: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umapcore.tl.umap", lambda *_, **__: pytest.fail("too late"))
    target, picture = tmp_path / "out.h5ad", tmp_path / "umap.png"
    command = ("embed", source, "-o", target, "--plot", picture, "--color", "cell_typ")
    assert run(*command) == cli.FAILED
    assert "Did you mean 'cell_type'" in one_error_line(capsys)
    picture.write_bytes(b"precious")
    assert run(*command[:-1], "cell_type") == cli.FAILED
    assert "--overwrite" in one_error_line(capsys)
    assert picture.read_bytes() == b"precious"
    assert run("embed", source, "-o", target, "--plot", tmp_path / "no" / "umap.png") == cli.FAILED
    assert "no such folder" in one_error_line(capsys)
    assert files_in(tmp_path) == {"in.h5ad", "umap.png"}


@pytest.mark.parametrize("where", ["drawing", "writing"])
def test_both_or_neither(
    source: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if where == "drawing":
        monkeypatch.setattr(Picture, "draw", interrupted)
    else:
        monkeypatch.setattr(embed_file, "write_with", interrupted)
    command = ("embed", source, "-o", tmp_path / "o.h5ad", *QUICK, "--plot", tmp_path / "p.png")
    assert run(*command) == cli.INTERRUPTED
    assert files_in(tmp_path) == {"in.h5ad"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--color", "cell_type"), "--color needs --plot"),
        (("--plot", "umap.gif"), ".png, .pdf or .svg"),
        (("--plot", "umap"), ".png, .pdf or .svg"),
        (("--plot", "umap.png", "--n-components", "1"), "--n-components"),
        (("--plot", "umap.png", "--color"), "--color"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], message: str, capsys: Any) -> None:
    assert run("embed", "in.h5ad", "-o", "out.h5ad", *options) == cli.USAGE
    assert message in one_error_line(capsys)
