"""``umapcore.verify(from_coordinates=True)``: the neighbours are searched again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import umapcore as uc
from tests.support.anndatas import Observations, as_mudata, assert_equal_contents, contents
from umapcore import cli, pp
from umapcore.anndata_io import neighborhood
from umapcore.neighbors.exact import exact_knn
from umapcore.neighbors.record import NEIGHBORS_VERSION, Found, Search

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def embedded(n_vars: int = 60, **options: Any) -> AnnData:
    rng = np.random.default_rng(0)
    adata = AnnData(rng.random(size=(150, n_vars), dtype=np.float32))
    adata.obsm["X_pca"] = rng.normal(size=(150, 8)).astype(np.float32)
    adata.obsm["X_pca"][3] = adata.obsm["X_pca"][5]
    pp.neighbors(adata, **({"n_neighbors": 8} | options))
    uc.tl.umap(adata, maxiter=5, neighbors_key=options.get("key_added"))
    return adata


def checked(adata: AnnData, **options: Any) -> uc.Verification:
    """Verify, and see that the object is as before."""
    before = contents(adata)
    found = uc.verify(adata, from_coordinates=True, **options)
    assert_equal_contents(before, contents(adata))
    assert (found.neighbors_problem == "") == found.neighbors_reproduced
    assert bool(found) == (found.reproduced and found.neighbors_reproduced)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"random_state": None},
        {"n_pcs": 3},
        {"n_pcs": 0},
        {"n_vars": 20, "metric": "correlation"},
        {"use_rep": "X", "metric": "minkowski", "metric_kwds": {"p": 3}, "key_added": "mine"},
        {"n_neighbors": 200},
        {"accuracy": 1},
    ],
    ids=str,
)
def test_reproduced(options: dict[str, Any], tmp_path: Path) -> None:
    adata = embedded(**options)
    found = checked(adata, n_threads=1)
    assert found
    assert found.neighbors_rows_different == 0
    assert str(found) == (
        ".obsm['X_umap'] is reproduced bit for bit. "
        "Its neighbours are reproduced bit for bit from the coordinates."
    )
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert checked(anndata.read_h5ad(tmp_path / "a.h5ad"))


def test_not_asked_for() -> None:
    found = uc.verify(embedded())
    assert found
    assert found.neighbors_reproduced is None
    assert "neighbours" not in str(found)
    with pytest.raises(TypeError, match="from_coordinates=1"):
        uc.verify(embedded(), from_coordinates=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "form", [sparse.csc_matrix, sparse.csc_array, lambda d: sparse.csr_array(d.astype(np.float64))]
)
def test_stored_otherwise(form: Callable[[Any], Any]) -> None:
    adata = embedded()
    for key in ("distances", "connectivities"):
        adata.obsp[key] = form(adata.obsp[key])
    assert checked(adata)


@pytest.mark.parametrize("form", [Observations, as_mudata])
def test_other_objects(form: Callable[[AnnData], Any]) -> None:
    adata = embedded(use_rep="X_pca")
    adata.obs["group"] = "a"
    assert uc.verify(form(adata), from_coordinates=True)


def test_components_that_were_computed() -> None:
    rng = np.random.default_rng(0)
    adata = AnnData(rng.random(size=(150, 60), dtype=np.float32))
    with pytest.warns(UserWarning, match="50 principal components"):
        pp.neighbors(adata, n_pcs=None)
    uc.tl.umap(adata, maxiter=5)
    assert checked(adata)
    del adata.obsm["X_pca"]  # no components are computed to replace them
    found = checked(adata)
    assert (found.reproduced, found.neighbors_reproduced) == (True, False)
    assert "use_rep='X_pca': there is no .obsm['X_pca']" in str(found)


def _params(adata: AnnData) -> dict[str, Any]:
    return adata.uns["neighbors"]["params"]


def _one_bit(matrix: Any) -> None:
    matrix.data.view(np.uint32)[20] ^= 1


@pytest.mark.parametrize(
    ("harm", "rows", "said"),
    [
        (lambda a: a.obsm["X_pca"].__setitem__(7, 50.0), None, "the coordinates give other ones"),
        (lambda a: _one_bit(a.obsp["distances"]), 1, "1 rows of .obsp['distances'] differ."),
        (lambda a: a.obsp.__setitem__("distances", a.obsp["distances"] * 2), 150, "150 rows"),
        (lambda a: _params(a).update(n_neighbors=7), 150, "150 rows"),
        (lambda a: _params(a).update(metric="cosine"), 150, "150 rows"),
        (lambda a: (_params(a).pop("metric"), _one_bit(a.obsp["distances"])), 1, "1 rows"),
        (lambda a: _params(a).update(metric="cosin"), None, "metric='cosin' is unknown"),
        (lambda a: _params(a).update(metric="cityblock"), 150, "SciPy computes this metric"),
        (lambda a: _params(a).update(n_neighbors=500), None, "['n_neighbors']=500"),
        (lambda a: _params(a).pop("n_neighbors"), None, "no 'n_neighbors'"),
        (lambda a: _params(a).update(random_state="x"), None, "['random_state']='x'"),
        (lambda a: _params(a).update(use_rep=["a", "b"]), None, "['use_rep']="),
        (lambda a: _params(a).update(metric_kwds=3), None, "['metric_kwds']=3"),
        (lambda a: _params(a).update(metric_kwds={"p": 3}), None, "has no parameters"),
        (lambda a: _params(a).pop("search"), None, "has no record of a search"),
        (lambda a: _params(a).update(search="exact"), None, "has no record of a search"),
        (lambda a: _params(a)["search"].update(kind="pynndescent"), None, "kind 'pynndescent'"),
        (lambda a: _params(a)["search"].update(kind=3), None, "['search']['kind']=3"),
        (lambda a: _params(a)["search"].update(accuracy=7), None, "accuracy=7"),
        (lambda a: _params(a)["search"].update(version=1), 0, "are reproduced bit for bit from"),
        (lambda a: a.obsp.pop("distances"), None, "Did not find .obsp['distances']"),
        (
            lambda a: a.obsp.__setitem__("distances", a.obsp["distances"].toarray()[:, ::-1]),
            150,
            "150 rows of .obsp['distances'] differ",
        ),
    ],
)
def test_harmed(harm: Callable[[Any], Any], rows: int | None, said: str) -> None:
    adata = embedded()
    harm(adata)
    found = checked(adata)
    assert found.reproduced  # the graph is as it was
    assert found.neighbors_reproduced == (rows == 0)
    assert said in str(found)
    assert rows in (None, found.neighbors_rows_different)


def test_another_version_of_the_search() -> None:
    adata = embedded()
    _params(adata)["search"]["version"] = 1
    _one_bit(adata.obsp["distances"])
    said = f"The search had version 1; this umapcore's has {NEIGHBORS_VERSION}."
    assert said in str(checked(adata))


def test_weights_that_were_changed() -> None:
    adata = embedded()
    adata.obsp["connectivities"].data[:] *= np.float32(0.5)
    found = checked(adata)
    assert found.graph_changed
    assert found.neighbors_rows_different == 150
    assert "the distances are, but not the weights: 150 rows of them differ." in str(found)


def test_given_neighbours() -> None:
    points = embedded().obsm["X_pca"]
    assert "no record of a search" in str(checked(embedded(precomputed_knn=exact_knn(points, 8))))


def test_the_approximate_search_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def search(points: Any, k: int, **options: Any) -> Found:
        asked.append(options)
        how = Search(kind="partitions", accuracy=options["accuracy"], recall=0.9)
        return Found(exact_knn(points, k), how)

    monkeypatch.setattr(pp, "find_neighbors", search)
    monkeypatch.setattr(neighborhood, "find_neighbors", search)
    adata = embedded(exact=False, accuracy=0.9, random_state=2**64 - 1)
    assert checked(adata, n_threads=1)
    assert asked[0].pop("progress") is None
    assert asked[1] == asked[0] | {"n_threads": 1}
    monkeypatch.setattr(
        neighborhood,
        "find_neighbors",
        lambda p, k, **_: Found(exact_knn(p, k), Search(kind="pynndescent")),
    )
    assert "of kind 'partitions', and this one is of kind 'pynndescent'" in str(checked(adata))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.h5ad"
    adata = embedded()
    adata.write_h5ad(path)
    arguments = ["verify", str(path), "--from-coordinates"]
    assert cli.main(arguments) == 0
    assert "reproduced bit for bit from the coordinates" in capsys.readouterr().out
    adata.obsm["X_pca"][0] = 9.0
    adata.write_h5ad(path)
    assert cli.main([*arguments, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["reproduced"], found["neighbors_reproduced"]) == (True, False)
