"""``umapcore embed --preprocess``: from counts to an embedding, by the textbook's formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from umapcore import cli
from umapcore.anndata_io.counts import components_of_counts
from umapcore.files.anndata_files import open_file

if TYPE_CHECKING:
    from pathlib import Path

N, P = 90, 70


@pytest.fixture
def counts() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    made = rng.poisson(rng.gamma(1.0, 1.0, (3, P))[rng.integers(0, 3, N)])
    made[5] = 0  # a cell without counts
    return made


def _run(*arguments: object) -> int:
    return cli.main(["embed", *map(str, arguments), "--maxiter", "3", "--no-progress"])


FORMS = {
    "csr": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "dense": np.asarray,
    "uint16": lambda c: c.astype(np.uint16),
    "float": lambda c: sp.csr_matrix(c, dtype=np.float32),
}


@pytest.mark.parametrize("form", FORMS)
def test_components(counts: np.ndarray[Any, Any], tmp_path: Path, form: str) -> None:
    sums = counts.sum(axis=1)
    scaled = counts / np.maximum(sums, 1)[:, None] * np.median(sums[sums > 0])
    logs = np.log1p(scaled)
    centred = logs - logs.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    expected = (u * s)[:, :50]
    anndata.AnnData(FORMS[form](counts)).write_h5ad(tmp_path / "in.h5ad")
    with open_file(tmp_path / "in.h5ad") as adata:
        entries = {key: value for _, key, value in components_of_counts(adata)}
    found = entries["X_pca"]
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=2e-3)
    assert entries["PCs"].shape == (P, 50)
    np.testing.assert_allclose(entries["pca"]["variance"], s[:50] ** 2 / (N - 1), rtol=1e-4)


def test_command(counts: np.ndarray[Any, Any], tmp_path: Path, capsys: Any) -> None:
    source, target = tmp_path / "in.h5ad", tmp_path / "out.h5ad"
    anndata.AnnData(sp.csr_matrix(counts)).write_h5ad(source)
    picture = ("--plot", tmp_path / "a.png")
    assert _run(source, "-o", target, "--preprocess", "--n-pcs", 9, *picture) == cli.OK
    assert "preprocess" in capsys.readouterr().out
    written = anndata.read_h5ad(target)
    assert (sp.csr_matrix(counts) != written.X).nnz == 0
    assert written.obsm["X_pca"].shape == (N, 9)
    assert written.varm["PCs"].shape == (P, 9)
    assert written.uns["neighbors"]["params"]["use_rep"] == "X_pca"
    assert written.uns["pca"]["preprocess"]["log1p"]
    assert (tmp_path / "a.png").exists()
    assert _run(target, "-o", tmp_path / "b.h5ad", "--preprocess") == cli.FAILED
    assert "There is a graph already" in capsys.readouterr().err
    again = (target, "-o", tmp_path / "b.h5ad", "--preprocess", "--neighbors-key", "new")
    assert _run(*again) == cli.FAILED
    assert "X_pca'] is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: np.log1p(c), "preprocess takes counts, which are whole numbers"),
        (lambda c: c.astype(float) - 1, "holds -1"),
        (lambda c: np.where(c > 3, np.nan, c), "holds nan"),
        (lambda c: sp.csr_matrix(c * 1.5), "holds 1.5"),
        (lambda c: c * 0, "zeros only"),
        (lambda c: c[:, :1], "at most|from 1 to 0"),
        (lambda _: None, "There is no .X"),
    ],
)
def test_what_is_not_counts(
    counts: np.ndarray[Any, Any], tmp_path: Path, change: Any, message: str, capsys: Any
) -> None:
    source = tmp_path / "in.h5ad"
    changed = change(counts)
    made = anndata.AnnData(changed) if changed is not None else anndata.AnnData(shape=(N, P))
    made.write_h5ad(source)
    assert _run(source, "-o", tmp_path / "out.h5ad", "--preprocess") == cli.FAILED
    said = capsys.readouterr().err
    assert any(part in said for part in message.split("|"))
    assert said.count("\n") == 1
    assert not (tmp_path / "out.h5ad").exists()
