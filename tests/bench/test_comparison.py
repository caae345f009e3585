"""`umapcore.compare` and `umapcore compare`: bits, cells, differences, exit codes of cmp."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import cdist

import umapcore as uc
from tests.cli.test_cli import one_error_line, run
from umapcore.measures import comparison

if TYPE_CHECKING:
    from pathlib import Path

N = 60


def _cells(positions: np.ndarray, names: list[str] | None = None) -> anndata.AnnData:
    names = [f"c{i}" for i in range(len(positions))] if names is None else names
    return anndata.AnnData(obs=pd.DataFrame(index=names), obsm={"X_umap": positions})


@pytest.fixture
def layout() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 2)).astype(np.float32)


def test_equal(layout: np.ndarray) -> None:
    found = uc.compare(_cells(layout), _cells(layout.copy()))
    assert found.equal
    assert found.same_cells
    assert found.same_order
    assert (found.n_shared, found.n_moved, found.largest_difference) == (N, 0, 0.0)
    assert (found.procrustes, found.neighbor_overlap, found.k) == (0.0, 1.0, 15)
    assert uc.compare(layout, np.asfortranarray(layout)).equal, "the order in memory is no bit"


def test_one_bit_is_a_difference(layout: np.ndarray) -> None:
    other = layout.copy()
    other[7, 1] = np.nextafter(other[7, 1], np.float32(9))
    found = uc.compare(layout, other)
    assert not found.equal
    assert found.n_moved == 1
    assert found.largest_difference == pytest.approx(1e-7, rel=2)
    assert found.neighbor_overlap == 1.0
    assert not uc.compare(layout, layout.astype(np.float64)).equal
    zeros = np.zeros((3, 2))
    assert not uc.compare(zeros, -zeros).equal
    assert uc.compare(zeros, -zeros).n_moved == 0


def test_procrustes_is_scipys(layout: np.ndarray) -> None:
    other = layout + np.random.default_rng(1).normal(size=layout.shape)
    assert uc.compare(layout, other).procrustes == pytest.approx(procrustes(layout, other)[2])
    turned = -3.0 * layout[:, ::-1] + 5.0
    found = uc.compare(layout.astype(np.float64), turned)
    assert found.procrustes == pytest.approx(0.0, abs=1e-6)
    assert found.neighbor_overlap == 1.0


@pytest.mark.parametrize("most", [50_000, 20])
def test_overlap_from_the_definition(
    layout: np.ndarray, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "_MOST_LOOKED_UP", most)
    monkeypatch.setattr(comparison, "_CHUNK", 7)
    other = layout + np.random.default_rng(1).normal(size=layout.shape)
    near = [np.argsort(cdist(x, x), axis=1)[:, 1:6] for x in (layout, other)]
    shares = [len(set(p) & set(q)) / 5 for p, q in zip(*near, strict=True)]
    found = uc.compare(layout, other, k=5).neighbor_overlap
    assert found == pytest.approx(np.mean(shares), abs=1e-12 if most > N else 0.2)


def test_cells_in_another_order_are_matched(layout: np.ndarray) -> None:
    order = np.random.default_rng(2).permutation(N)
    shuffled = _cells(layout)[order].copy()
    found = uc.compare(_cells(layout), shuffled)
    assert not found.equal
    assert found.same_cells
    assert not found.same_order
    assert (found.n_moved, found.procrustes, found.neighbor_overlap) == (0, 0.0, 1.0)


def test_cells_that_both_have(layout: np.ndarray) -> None:
    found = uc.compare(_cells(layout), _cells(layout)[10:50].copy())
    assert not found.same_cells
    assert found.shapes == ((N, 2), (40, 2))
    assert (found.n_shared, found.n_moved, found.neighbor_overlap) == (40, 0, 1.0)
    nothing = uc.compare(_cells(layout), _cells(layout, [f"d{i}" for i in range(N)]))
    assert nothing.n_shared == 0
    assert nothing.procrustes is nothing.neighbor_overlap is nothing.largest_difference is None


def test_other_dimensions_have_neighbours_only(layout: np.ndarray) -> None:
    found = uc.compare(layout, np.column_stack([layout, np.zeros(N)]))
    assert found.n_moved is found.largest_difference is found.procrustes is None
    assert found.neighbor_overlap == 1.0


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_cells(n: int) -> None:
    positions = np.arange(2.0 * n).reshape(n, 2)
    assert uc.compare(positions, positions).equal
    found = uc.compare(positions, positions + 1)
    assert found.equal == (n == 0)
    assert found.k == max(n - 1, 0)
    assert found.neighbor_overlap == (None if n < 2 else 1.0)


def test_cells_in_one_place() -> None:
    found = uc.compare(np.zeros((30, 2)), np.ones((30, 2)))
    assert found.procrustes is None
    assert 0.0 <= found.neighbor_overlap <= 1.0


def test_values_that_are_not_finite(layout: np.ndarray) -> None:
    broken = layout.copy()
    broken[3] = np.nan
    assert uc.compare(broken, broken).equal
    assert uc.compare(broken, broken).n_moved == 0
    found = uc.compare(layout, broken)
    assert found.n_moved == 1
    assert found.largest_difference == 0.0


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2)), {}, "a has 3 rows and b 4"),
        (np.zeros(3), np.zeros((3, 2)), {}, "a="),
        (np.zeros((3, 2)), np.full((3, 2), "x"), {}, "b="),
        (np.zeros((3, 2)), np.zeros((3, 2)), {"k": 0}, "k=0"),
        (_cells(np.zeros((3, 2))), np.zeros((3, 2)), {"key": "X_umpa"}, "Did you mean 'X_umap'"),
    ],
)
def test_bad_values(a: Any, b: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        uc.compare(a, b, **options)


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_names_that_are_not_unique() -> None:
    twice = _cells(np.zeros((3, 2)), list("aab"))
    assert uc.compare(twice, twice).equal, "the order is the same"
    with pytest.raises(ValueError, match="'a' occurs more than once"):
        uc.compare(twice, _cells(np.zeros((2, 2))))


@pytest.fixture
def files(layout: np.ndarray, tmp_path: Path) -> tuple[Path, Path]:
    cells = _cells(layout)
    cells.obsm["X_other"] = layout[::-1].copy()
    paths = tmp_path / "a.h5ad", tmp_path / "b.h5ad"
    for path in paths:
        cells.write_h5ad(path)
    return paths


def test_exit_codes_are_those_of_cmp(files: tuple[Path, Path], capsys: Any) -> None:
    assert run("compare", *files) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["bits", "equal"]
    assert "100.0%" in said[-1]
    assert run("compare", *files, "--key-b", "other") == 1
    said = capsys.readouterr().out
    assert "different" in said
    assert "60 of 60" in said
    assert run("compare", *files, "--key-b", "other", "-q") == 1
    assert capsys.readouterr().out == ""
    assert run("compare", files[0], "missing.h5ad") == 2
    assert "no such file" in one_error_line(capsys)
    assert run("compare", *files, "--key", "X_otter") == 2
    assert "Did you mean 'X_other'" in one_error_line(capsys)
    assert run("compare", *files, "-k", "0") == 2


def test_comparison_as_json(files: tuple[Path, Path], capsys: Any) -> None:
    assert run("compare", *files, "--key-b", "X_other", "--json", "-k", 3) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] is False
    assert found["k"] == 3
    assert found["shapes"] == [[N, 2], [N, 2]]
    assert found["a"] == str(files[0])


def test_store_against_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="zarr is not installed")
    from umapcore.files.anndata_files import write_with

    write_with(files[0], tmp_path / "b.zarr", {})
    assert run("compare", files[0], tmp_path / "b.zarr") == 0
