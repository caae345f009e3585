"""New cells of an AnnData into the embedding of another: ``umapcore.tl.ingest``."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from scipy import sparse

import umapcore as uc
from tests.support.anndatas import assert_equal_contents, contents, put_neighbors
from tests.support.graphs import knn_graph
from umapcore.anndata_io import shared_space
from umapcore.anndata_io.labels import named, vote

if TYPE_CHECKING:
    from pathlib import Path

CENTRES = np.random.default_rng(5).normal(size=(3, 60)) * 3


def cells(n: int, seed: int) -> AnnData:
    """Make cells of three types, of which the third is rare."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=[0.5, 0.4, 0.1])
    adata = AnnData((CENTRES[kind] + rng.normal(size=(n, 60))).astype(np.float32))
    adata.obs_names = [f"cell{seed}-{i}" for i in range(n)]
    adata.obs["type"] = pd.Categorical(np.array(["T", "B", "NK"])[kind])
    return adata


def reference(n: int = 240, **params: Any) -> AnnData:
    """Make a reference with principal components, a graph and an embedding."""
    adata = cells(n, 0)
    centred = adata.X - adata.X.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    adata.varm["PCs"] = directions[:8].T.copy()
    adata.obsm["X_pca"] = centred @ adata.varm["PCs"]
    put_neighbors(adata, sparse.csr_matrix(knn_graph(adata.obsm["X_pca"])), **params)
    uc.tl.umap(adata, maxiter=40, random_state=3)
    adata.uns["type_colors"] = ["#ff0000", "#00ff00", "#0000ff"]
    return adata


@pytest.fixture(scope="module")
def made() -> AnnData:
    return reference()


@pytest.fixture
def ref(made: AnnData) -> AnnData:
    return made.copy()


@pytest.fixture
def new() -> AnnData:
    return cells(60, 1)


def bits(adata: AnnData, key: str = "X_umap") -> np.ndarray:
    return np.asarray(adata.obsm[key]).view(np.int32)


def test_takes_what_scanpy_takes() -> None:
    scanpy = pytest.importorskip("scanpy", reason="scanpy is not installed")
    ours = inspect.signature(uc.tl.ingest).parameters
    for name, parameter in inspect.signature(scanpy.tl.ingest).parameters.items():
        if name != "kwargs":
            assert ours[name].kind == parameter.kind
            assert ours[name].default == parameter.default


def test_cells_go_where_their_like_is(ref: AnnData, new: AnnData) -> None:
    before = contents(ref)
    truth = new.obs.pop("type")
    assert uc.tl.ingest(new, ref, obs="type") is None
    assert_equal_contents(before, contents(ref))
    assert new.obsm["X_umap"].dtype == np.float32
    assert (new.obs["type"].astype(str) == truth.astype(str)).mean() > 0.95
    assert list(new.obs["type"].cat.categories) == list(ref.obs["type"].cat.categories)
    assert list(new.uns["type_colors"]) == ["#ff0000", "#00ff00", "#0000ff"]
    # Where most of a type is in the reference, the new ones are.
    for kind in ("T", "B"):
        theirs = np.median(ref.obsm["X_umap"][ref.obs["type"] == kind], axis=0)
        ours = np.median(new.obsm["X_umap"][truth == kind], axis=0)
        others = np.median(ref.obsm["X_umap"][ref.obs["type"] != kind], axis=0)
        assert np.linalg.norm(ours - theirs) < np.linalg.norm(ours - others)
    params = new.uns["umap"]["params"]
    assert params["a"] == ref.uns["umap"]["params"]["a"]
    assert new.uns["umap"]["placement"]["n_neighbors"] == 10


def test_projection_is_the_references(ref: AnnData, new: AnnData) -> None:
    uc.tl.ingest(new, ref)
    wanted = (new.X - ref.X.mean(axis=0)) @ ref.varm["PCs"]
    np.testing.assert_allclose(new.obsm["X_pca"], wanted, rtol=1e-4, atol=1e-4)
    # Sparse X, the reference's own cells: they have the coordinates that they had.
    again = AnnData(sparse.csr_matrix(ref.X), var=ref.var)
    ref.X = sparse.csr_matrix(ref.X)
    uc.tl.ingest(again, ref, embedding_method="pca")
    np.testing.assert_allclose(again.obsm["X_pca"], ref.obsm["X_pca"], rtol=1e-3, atol=1e-4)
    assert "X_umap" not in again.obsm


def test_a_cell_does_not_depend_on_the_others(ref: AnnData, new: AnnData) -> None:
    some = new[[7, 3, 50]].copy()
    # Given coordinates: those of a projection come from BLAS, which may round in another way.
    uc.tl.ingest(new, ref)
    some.obsm["X_pca"] = new.obsm["X_pca"][[7, 3, 50]]
    for part, options in ((new, {}), (some, {"n_threads": 1})):
        uc.tl.ingest(part, ref, use_rep="X_pca", obs="type", **options)
    np.testing.assert_array_equal(bits(some), bits(new)[[7, 3, 50]])
    assert list(some.obs["type"]) == list(new.obs["type"].iloc[[7, 3, 50]])


def test_representation_in_obsm(ref: AnnData, new: AnnData) -> None:
    rng = np.random.default_rng(0)
    ref.obsm["X_scVI"], new.obsm["X_scVI"] = rng.normal(size=(240, 4)), rng.normal(size=(60, 4))
    ref.uns["neighbors"]["params"]["use_rep"] = "X_scVI"
    uc.tl.ingest(new, ref)
    assert "X_pca" not in new.obsm
    assert new.uns["umap"]["placement"]["representation"] == "X_scVI"
    found = bits(new).copy()
    del ref.uns["neighbors"]["params"]["use_rep"]
    uc.tl.ingest(new, ref, use_rep="X_scVI")
    np.testing.assert_array_equal(bits(new), found)
    # Files of atlases often come without the graph.
    del ref.obsp["connectivities"], ref.uns["neighbors"]
    uc.tl.ingest(new, ref, use_rep="X_scVI", n_neighbors=10)
    np.testing.assert_array_equal(bits(new), found)
    with pytest.raises(ValueError, match=r"Did not find .uns\['neighbors'\]"):
        uc.tl.ingest(new, ref)


def test_other_metrics(ref: AnnData, new: AnnData) -> None:
    ref.uns["neighbors"]["params"] |= {"metric": "minkowski", "metric_kwds": {"p": 3}}

    uc.tl.ingest(new, ref)
    assert new.uns["umap"]["placement"]["metric"] == "minkowski"
    found = bits(new).copy()
    ref.uns["neighbors"]["params"]["metric_kwds"] = {"p": 1}
    uc.tl.ingest(new, ref)
    assert not np.array_equal(bits(new), found)


def test_verify_says_that_it_cannot(ref: AnnData, new: AnnData) -> None:
    uc.tl.ingest(new, ref)
    with pytest.raises(ValueError, match="has no provenance"):
        uc.verify(new)


def test_variables_themselves(ref: AnnData, new: AnnData) -> None:
    uc.tl.ingest(new, ref, use_rep="X")
    with pytest.raises(ValueError, match="other variables, or the same in another order"):
        uc.tl.ingest(new[:, ::-1].copy(), ref, use_rep="X")


def test_given_neighbours(ref: AnnData, new: AnnData) -> None:
    indices = np.tile(np.arange(5), (60, 1))
    del ref.uns["neighbors"]
    uc.tl.ingest(new, ref, knn=(indices, np.ones((60, 5))), maxiter=0)
    wanted = ref.obsm["X_umap"][:5].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(new.obsm["X_umap"], np.tile(wanted, (60, 1)), rtol=1e-5)
    with pytest.raises(ValueError, match="knn has 59 rows"):
        uc.tl.ingest(new, ref, knn=(indices[1:], np.ones((59, 5))))
    with pytest.raises(TypeError, match="knn="):
        uc.tl.ingest(new, ref, knn=indices)


def test_own_components_are_not_taken_for_the_references(
    ref: AnnData, new: AnnData, caplog: pytest.LogCaptureFixture
) -> None:
    ref.X = np.log1p(np.abs(ref.X))  # no longer what the components are of
    with pytest.raises(ValueError, match=r"adata_ref\.X is not what the reference's components"):
        uc.tl.ingest(new, ref)
    new.obsm["X_pca"] = new.X[:, :8]
    with caplog.at_level(logging.WARNING, logger="umapcore"):
        uc.tl.ingest(new, ref)
    assert "is taken to be in the reference's space" in caplog.text
    new.obsm["X_pca"] = new.X[:, :5]
    with pytest.raises(ValueError, match=r"5 columns and .* 8: both must be coordinates"):
        uc.tl.ingest(new, ref)


def test_n_pcs_of_the_graph(ref: AnnData, new: AnnData) -> None:
    ref.uns["neighbors"]["params"]["n_pcs"] = 3
    shared = shared_space.shared_representation(new, ref, ref.uns["neighbors"]["params"], None)
    assert shared.new.shape == (60, 8)
    assert shared.new_to_search.shape == (60, 3)


def test_results_go_where_they_should(ref: AnnData, new: AnnData, tmp_path: Path) -> None:
    uc.tl.umap(ref, maxiter=20, key_added="small", n_components=3)
    before = contents(new)
    out = uc.tl.ingest(new, ref, key_added="small", inplace=False, random_state=2**64 - 1)
    assert_equal_contents(before, contents(new))
    assert out is not None
    assert out.obsm["small"].shape == (60, 3)
    assert "X_umap" not in out.obsm
    out.write_h5ad(tmp_path / "out.h5ad")
    back = read_h5ad(tmp_path / "out.h5ad")
    assert back.uns["small"]["placement"]["spec"]["seed"] == str(2**64 - 1)
    assert int(back.uns["small"]["params"]["random_state"]) == 2**64 - 1


@pytest.mark.filterwarnings("ignore:Setting element.*:anndata.ImplicitModificationWarning")
@pytest.mark.filterwarnings("ignore:Trying to (set|modify).*:anndata.ImplicitModificationWarning")
def test_a_view_becomes_an_object(ref: AnnData, new: AnnData) -> None:
    view = new[10:20]
    uc.tl.ingest(view, ref, obs=["type"])
    assert not view.is_view
    assert view.obsm["X_umap"].shape == (10, 2)
    assert "X_umap" not in new.obsm


def test_all_or_nothing(ref: AnnData, new: AnnData) -> None:
    new.uns["umap"] = {"old": 1}
    before = contents(new)

    class Broken(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            if key.endswith("_colors") and value is not None:
                raise KeyboardInterrupt
            super().__setitem__(key, value)

    new._uns = Broken(new.uns)
    with pytest.raises(KeyboardInterrupt):
        uc.tl.ingest(new, ref, obs="type")
    new._uns = dict(new.uns)
    assert_equal_contents(before, contents(new))


def test_votes() -> None:
    labels = pd.Series(pd.Categorical(["a", "b", "b", None, "c", "a"], categories=["c", "b", "a"]))
    indices = np.array([[0, 1, 2, 3], [0, 1, 4, 3], [4, 0, 1, 3], [3, 3, -1, -1], [3, 3, 1, -1]])
    found = named(labels, vote(labels, indices.astype(np.int32)), list("vwxyz"))
    assert found.tolist()[:3] == ["b", "a", "c"]  # ties go to the nearest
    assert found.isna().tolist() == [False, False, False, True, False]
    assert list(found.cat.categories) == ["c", "b", "a"]
    flags = pd.Series([True, False, True])
    assert named(flags, vote(flags, np.array([[0, 1, 2]], np.int32)), ["x"]).tolist() == [True]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"adata": 3}, "adata=3 has type int"),
        ({"adata_ref": 3}, "adata_ref=3 has type int"),
        ({"obs": "typ"}, "obs='typ' is unknown.*Did you mean 'type'"),
        ({"obs": 3}, "obs=3 has type int"),
        ({"obs": "depth"}, "obs='depth' holds real numbers"),
        ({"embedding_method": "tsne"}, "embedding_method='tsne' is unknown"),
        ({"embedding_method": 3}, "embedding_method=3 has type int"),
        ({"labeling_method": "svm"}, "labeling_method='svm' is unknown"),
        ({"neighbors_key": "nn"}, r"Did not find .uns\['nn'\]. Run `pp.neighbors` first"),
        ({"neighbors_key": 3}, "neighbors_key=3 has type int"),
        ({"progress": 1}, "progress=1 has type int"),
        ({"inplace": 1}, "inplace=1 has type int"),
        ({"use_rep": "X_pc"}, r"Did not find adata_ref.obsm\['X_pc'\].*Did you mean 'X_pca'"),
        ({"use_rep": "X_pca"}, r"Did not find adata.obsm\['X_pca'\]"),
        ({"use_rep": 3}, "use_rep=3 has type int"),
        ({"n_neighbors": 0}, "n_neighbors=0 is not allowed"),
        ({"n_neighbors": 241}, "n_neighbors=241 is not allowed.*from 1 to 240"),
        ({"key_added": "tsne"}, r"Did not find adata_ref.obsm\['tsne'\]"),
        ({"maxiter": -1}, "maxiter=-1 is not allowed"),
        ({"alpha": 0}, "alpha=0 is not allowed"),
        ({"a": 1.0}, "a=1.0 was given without b"),
        ({"method": "cuda"}, "method='cuda' is unknown"),
        ({"random_state": -1}, "random_state=-1 is not allowed"),
        ({"n_threads": 0}, "n_threads=0 is not allowed"),
    ],
)
def test_bad(ref: AnnData, new: AnnData, changes: dict[str, Any], says: str) -> None:
    ref.obs["depth"] = 0.5
    before = contents(new)
    given: dict[str, Any] = {"adata": new, "adata_ref": ref} | changes
    with pytest.raises((ValueError, TypeError), match=says):
        uc.tl.ingest(given.pop("adata"), given.pop("adata_ref"), **given)
    assert_equal_contents(before, contents(new))


def test_a_reference_without_a_curve(ref: AnnData, new: AnnData) -> None:
    del ref.uns["umap"]["params"]
    with pytest.raises(ValueError, match=r"does not have the a and b .* give both"):
        uc.tl.ingest(new, ref)
    uc.tl.ingest(new, ref, a=1.5, b=0.9)
    assert new.uns["umap"]["params"] == {"a": 1.5, "b": 0.9}


def test_cells_that_are_not_finite(ref: AnnData, new: AnnData) -> None:
    new.obsm["X_pca"] = np.full((60, 8), np.nan)
    with pytest.raises(ValueError, match=r"adata.obsm\['X_pca'\] has 60 rows that are not finite"):
        uc.tl.ingest(new, ref, use_rep="X_pca")
