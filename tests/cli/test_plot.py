"""``umapcore plot``: the picture of a file's embedding, by suffix; the file is only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest

from umapcore import cli

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")
N = 60


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    made = anndata.AnnData(rng.random((N, 3)).astype(np.float32))
    made.var_names = ["CD3E", "CD19", "CD8A"]
    made.var["symbol"] = ["x", "a gene", "y"]
    made.obs["kind"] = np.array(["a", "b", "$c$"])[np.arange(N) % 3]
    made.obsm["X_umap"] = rng.random((N, 3)).astype(np.float32)
    made.write_h5ad(tmp_path / "in.h5ad")
    return tmp_path / "in.h5ad"


def _plot(*arguments: object) -> int:
    try:
        return cli.main(["plot", *map(str, arguments)])
    except SystemExit as left:
        return int(left.code or 0)


@pytest.mark.parametrize(
    ("name", "start", "options"),
    [
        ("a.png", b"\x89PNG", ()),
        ("a.pdf", b"%PDF", ("--color", "kind", "--color", "CD19", "--vmax", "p99", "--vmin", "0")),
        ("a.SVG", b"<?xml", ("--color", "kind", "--groups", "a", "b", "--title", "two of three")),
        ("a.png", b"\x89PNG", ("--color", "kind", "--components", "2", "0", "--dims", "2")),
        ("a.png", b"\x89PNG", ("--color", "kind", "--palette", "red", "blue", "green", "--dpi=40")),
        ("a.png", b"\x89PNG", ("--color", "kind", "--palette", "tab10", "--legend-loc", "none")),
        ("a.png", b"\x89PNG", ("--basis", "umap", "--size", "3", "--alpha", "0.5")),
        ("a.png", b"\x89PNG", ("--color", "a gene", "--gene-symbols", "symbol", "--sort-order")),
        (
            "a.png",
            b"\x89PNG",
            ("--color=kind", "--legend-loc=upper right", "--dims=2", "--add-outline"),
        ),
    ],
)
def test_pictures(
    source: Path, name: str, start: bytes, options: tuple[str, ...], capsys: Any
) -> None:
    before = source.read_bytes()
    target = source.with_name(name)
    assert _plot(source, "-o", target, *options) == cli.OK
    assert capsys.readouterr().out == f"{target}: the picture, {N} points\n"
    assert target.read_bytes().startswith(start)
    assert source.read_bytes() == before
    assert len(list(source.parent.iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--color", "kindd"), cli.FAILED, "Did you mean 'kind'"),
        (("--basis", "tsne"), cli.FAILED, "tsne"),
        (("--components", "0", "7"), cli.FAILED, "components"),
        (("--color", "CD19", "--vmin", "low"), cli.FAILED, "vmin='low'"),
        (("--color", "CD19", "--cmap", "viridiss"), cli.FAILED, "Did you mean 'viridis'"),
        (("--title", "a", "b"), cli.USAGE, "2 titles for 1 panels"),
        (("--dims", "4"), cli.USAGE, "--dims"),
        (("--dpi", "9" * 5000), cli.USAGE, "--dpi: '99999999999999999999…' is not an integer"),
        (("--legend-loc", "left"), cli.FAILED, "legend_loc='left' is not allowed"),
        (("--edges", "--neighbors-key", "none"), cli.FAILED, "'none'"),
    ],
)
def test_wrong_options(
    source: Path, options: tuple[str, ...], code: int, message: str, capsys: Any
) -> None:
    assert _plot(source, "-o", source.with_name("a.png"), *options) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not said.endswith(("..\n", "?.\n"))
    assert [path.name for path in source.parent.iterdir()] == ["in.h5ad"]


def test_places(source: Path, capsys: Any) -> None:
    assert _plot(source, "-o", source.with_name("a.gif")) == cli.USAGE
    assert ".png, .pdf or .svg" in capsys.readouterr().err
    there = source.with_name("a.png")
    there.write_text("precious")
    assert _plot(source, "-o", there) == cli.FAILED
    assert "there already; use --overwrite" in capsys.readouterr().err
    assert there.read_text() == "precious"
    assert _plot(source, "-o", there, "--overwrite") == cli.OK
    for given in ("-", "no.h5ad"):
        assert _plot(given, "-o", source.with_name("b.png")) == cli.FAILED
    assert _plot(source, "-o", source.with_name("a\nb.png")) == cli.OK
    assert "a b.png: the picture" in capsys.readouterr().out.splitlines()[-1]
