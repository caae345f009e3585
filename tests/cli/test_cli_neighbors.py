"""``umapcore embed`` of a file without a graph: made, used, and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest
from anndata import AnnData

import umapcore as uc
from umapcore.cli import main

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ["--maxiter", "3", "--no-progress"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    adata = AnnData(rng.normal(size=(80, 60)).astype(np.float32))
    adata.obsm["X_pca"] = rng.normal(size=(80, 6)).astype(np.float32)
    adata.write_h5ad(tmp_path / "in.h5ad")
    return tmp_path / "in.h5ad"


@pytest.mark.parametrize("key", [None, "mine"])
def test_graph_is_made_and_written(source: Path, key: str | None) -> None:
    out = source.with_name("out.h5ad")
    named = [] if key is None else ["--neighbors-key", key]
    options = ["--n-neighbors", "9", "--n-pcs", "4", "--metric", "cosine", "--accuracy", "0.9"]
    options += [*named, *QUICK]
    assert main(["embed", str(source), "-o", str(out), *options]) == 0
    found, expected = anndata.read_h5ad(out), anndata.read_h5ad(source)
    uc.pp.neighbors(expected, 9, 4, metric="cosine", key_added=key)
    uc.tl.umap(expected, maxiter=3, neighbors_key=key)
    assert found.uns[key or "neighbors"] == expected.uns[key or "neighbors"]
    assert sorted(found.obsp) == sorted(expected.obsp)
    for name, graph in expected.obsp.items():
        assert (found.obsp[name] != graph).nnz == 0
    np.testing.assert_array_equal(found.obsm["X_umap"], expected.obsm["X_umap"])


def test_a_graph_that_is_there_is_kept(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = source.with_name("a.h5ad"), source.with_name("b.h5ad")
    assert main(["embed", str(source), "-o", str(first), *QUICK]) == 0
    assert main(["embed", str(first), "-o", str(second), "--n-neighbors", "5", *QUICK]) == 1
    assert "There is a graph already" in capsys.readouterr().err
    assert not second.exists()


@pytest.mark.parametrize("accuracy", ["0", "1.5", "nan"])
def test_bad_accuracy(source: Path, accuracy: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("out.h5ad")
    with pytest.raises(SystemExit) as left:
        main(["embed", str(source), "-o", str(out), "--accuracy", accuracy, *QUICK])
    assert left.value.code == 2
    assert "--accuracy" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("use_rep", ["X_pca", "X"])
def test_verified_from_coordinates(source: Path, use_rep: str) -> None:
    out = source.with_name("out.h5ad")
    assert main(["embed", str(source), "-o", str(out), "--use-rep", use_rep, *QUICK]) == 0
    assert main(["verify", str(out), "--from-coordinates", "--no-progress"]) == 0


def test_bad_representation(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("out.h5ad")
    assert main(["embed", str(source), "-o", str(out), "--use-rep", "X_pcs", *QUICK]) == 1
    assert "Did you mean 'X_pca'?" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.filterwarnings("default:.X has 60 variables")
def test_components_that_were_computed_are_written(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adata = anndata.read_h5ad(source)
    del adata.obsm["X_pca"]
    adata.write_h5ad(source)
    out = source.with_name("out.h5ad")
    assert main(["embed", str(source), "-o", str(out), *QUICK]) == 0
    assert "50 principal components" in capsys.readouterr().err
    found = anndata.read_h5ad(out)
    assert found.obsm["X_pca"].shape == (80, 50)
    centred = found.X - found.X.mean(axis=0)
    np.testing.assert_allclose(centred @ found.varm["PCs"], found.obsm["X_pca"], atol=1e-3)
    assert found.uns["pca"]["variance_ratio"].sum() < 1
    assert not found.uns["pca"]["params"]["use_highly_variable"]
