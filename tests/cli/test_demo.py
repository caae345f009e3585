"""The demo: real data, true statements, a picture; without matplotlib still the table."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from umapcore import demo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def cells() -> anndata.AnnData:
    return demo.load_cells()


@pytest.fixture
def few(
    cells: anndata.AnnData,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let the demo embed 300 of its cells, to be quick; the very first are all of one type."""
    path = tmp_path_factory.mktemp("few") / "few.h5ad"
    cells[4000:4300].write_h5ad(path)
    monkeypatch.setattr(demo, "_bundled", lambda: nullcontext(path))


def test_bundled_data(cells: anndata.AnnData) -> None:
    assert cells.shape[0] == 8617
    assert cells.obsm["X_pca"].shape == (8617, 50)
    assert cells.obsm["X_pca"].dtype == np.float32
    graph = cells.obsp[cells.uns["neighbors"]["connectivities_key"]]
    assert sp.issparse(graph)
    assert graph.nnz == 185_450
    assert graph.dtype == np.float32
    assert abs(graph - graph.T).max() == 0
    assert cells.uns["neighbors"]["params"]["use_rep"] == "X_pca"
    assert cells.obs["cell_type"].nunique() == 15
    assert not cells.obs["cell_type"].isna().any()
    assert "GSE100866" in cells.uns["source"]["accession"]
    assert "Apache-2.0" in cells.uns["source"]["licence"]


def test_bundled_file_is_small() -> None:
    from importlib.resources import files

    folder = files("umapcore") / "data"
    assert len((folder / "cbmc8k.h5ad").read_bytes()) < 3_000_000
    assert "Apache" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("few")
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    folder = tmp_path / "new" / "folder"
    demo.run(folder)
    said = capsys.readouterr().out
    for stage in ("read", "graph", "plan", "start", "optimise", "write"):
        assert f"\n  {stage} " in said
    assert "Both runs gave the same bits" in said
    assert {path.name for path in folder.iterdir()} == {"umap.png", "umapcore_demo.h5ad"}
    written = anndata.read_h5ad(folder / "umapcore_demo.h5ad")
    assert written.obs["cell_type"].nunique() > 3
    assert written.obsm["X_umap"].shape == (300, 2)
    assert np.isfinite(written.obsm["X_umap"]).all()
    assert (folder / "umap.png").read_bytes().startswith(b"\x89PNG")
    demo.run(folder)  # its own files may be replaced


@pytest.mark.usefixtures("few")
def test_without_matplotlib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    demo.run(tmp_path)
    assert 'pip install "umapcore[plot]"' in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"umapcore_demo.h5ad"}


def test_spares_a_picture_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "umap.png").write_bytes(b"\x89PNG mine")
    with pytest.raises(FileExistsError, match="-o"):
        demo.run(tmp_path)
    assert (tmp_path / "umap.png").read_bytes() == b"\x89PNG mine"


@pytest.mark.usefixtures("few")
def test_says_when_the_bits_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = demo._embed

    def embed(adata: anndata.AnnData, n_threads: int | None, stages: dict[str, float]) -> None:
        whole(adata, n_threads, stages)
        if n_threads == 1:
            adata.obsm["X_umap"][0, 0] = np.nextafter(adata.obsm["X_umap"][0, 0], np.float32(99))

    monkeypatch.setattr(demo, "_embed", embed)
    with pytest.raises(RuntimeError, match="different bits"):
        demo.run(tmp_path)
    assert "same bits" not in capsys.readouterr().out


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file"):
        demo.run(tmp_path / "file")
