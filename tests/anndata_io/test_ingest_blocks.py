"""New cells in Dask arrays: ``umapcore.tl.ingest`` is lazy, and gives the bits of cells in memory.

They may lie in files or be computed by anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import dask.array as da
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import umapcore as uc
from tests.anndata_io.test_ingest import bits, made, new, ref
from tests.support.anndatas import assert_equal_contents, contents

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["made", "new", "ref"]

#: Rows in a block.
CHUNKS = (1, 23, (10, 0, 50))


def lazy_cells(new: AnnData, chunks: Any) -> AnnData:
    """Return the cells with all coordinates in Dask arrays of a few columns a block."""
    obsm = {key: da.from_array(value, chunks=(chunks, 3)) for key, value in new.obsm.items()}
    return AnnData(da.from_array(new.X, chunks=(chunks, 17)), obs=new.obs[[]].copy(), obsm=obsm)


def never(block: np.ndarray) -> np.ndarray:
    pytest.fail("computed too early")


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "minkowski"])
def test_bits(ref: AnnData, new: AnnData, chunks: Any, metric: str) -> None:
    ref.uns["neighbors"]["params"]["metric"] = metric
    new.obsm["X_pca"] = (new.X - ref.X.mean(axis=0)) @ ref.varm["PCs"]
    lazy = lazy_cells(new, chunks)
    for use_rep in ("X_pca", "X"):
        before = contents(ref)
        uc.tl.ingest(new, ref, use_rep=use_rep)
        uc.tl.ingest(lazy, ref, use_rep=use_rep)
        assert_equal_contents(before, contents(ref))
        placed = lazy.obsm["X_umap"]
        assert isinstance(placed, da.Array)
        assert placed.chunks == (lazy.X.chunks[0], (2,))
        np.testing.assert_array_equal(placed.compute().view(np.int32), bits(new))
        ours, theirs = (dict(one.uns["umap"]["placement"]) for one in (lazy, new))
        assert set(theirs.pop("embedding")) == {"digest"}
        assert ours == theirs


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_projection(ref: AnnData, new: AnnData, form: Any) -> None:
    new.X[new.X < 0] = 0
    given = form(new.X)
    whole = AnnData(given, obs=new.obs)
    uc.tl.ingest(whole, ref)
    x = da.from_array(new.X, chunks=(23, 60)).map_blocks(form, meta=form(new.X[:0]))
    lazy = AnnData(x)
    assert uc.tl.ingest(lazy, ref, inplace=False).obsm.keys() == {"X_umap", "X_pca"}
    assert not lazy.obsm
    uc.tl.ingest(lazy, ref)
    assert isinstance(lazy.obsm["X_pca"], da.Array)
    # Not X: some versions of Dask cannot join sparse blocks.
    found = AnnData(obs=new.obs[[]], obsm={"X_pca": lazy.obsm["X_pca"].compute()})
    found.obsm["X_umap"] = lazy.obsm["X_umap"].compute()
    np.testing.assert_allclose(found.obsm["X_pca"], whole.obsm["X_pca"], rtol=1e-4, atol=1e-5)
    if form is not np.asarray:  # the products of dense matrices are those of a BLAS
        np.testing.assert_array_equal(found.obsm["X_pca"], whole.obsm["X_pca"])
        np.testing.assert_array_equal(bits(found), bits(whole))
    again = uc.tl.ingest(found, ref, use_rep="X_pca", inplace=False)
    np.testing.assert_array_equal(bits(again), bits(found))


def test_labels_are_computed_with_the_embedding(ref: AnnData, new: AnnData) -> None:
    ref.obs["half"] = np.arange(240) < 120
    new.obsm["X_pca"] = (new.X - ref.X.mean(axis=0)) @ ref.varm["PCs"]
    passes: list[int] = []

    def count(block: np.ndarray) -> np.ndarray:
        passes.append(len(block))
        return block

    lazy = AnnData(obs=new.obs[[]].copy())
    coordinates = da.from_array(new.obsm["X_pca"], chunks=(25, 8))
    lazy.obsm["X_pca"] = coordinates.map_blocks(count, meta=coordinates._meta)
    for columns in (["type", "half"], "type"):
        del passes[:]
        uc.tl.ingest(lazy, ref, use_rep="X_pca", obs=columns)
        assert sorted(passes) == [10, 25, 25]
    uc.tl.ingest(new, ref, use_rep="X_pca", obs=["type", "half"])
    assert isinstance(lazy.obsm["X_umap"], np.ndarray)
    lazy.obsm["X_pca"] = new.obsm["X_pca"]
    assert_equal_contents(
        contents(lazy), contents(AnnData(None, new.obs, uns=new.uns, obsm=new.obsm))
    )


def test_given_neighbours(ref: AnnData, new: AnnData) -> None:
    rng = np.random.default_rng(0)
    indices = rng.permuted(np.tile(np.arange(240), (60, 1)), axis=1)[:, :5]
    knn = indices, rng.random((60, 5))
    lazy = [da.from_array(array, chunks=(23, 2)) for array in knn]
    placed, eager = (uc.tl.ingest(new, ref, knn=given, inplace=False) for given in (lazy, knn))
    assert isinstance(placed.obsm["X_umap"], da.Array)
    np.testing.assert_array_equal(bits(placed.to_memory()), bits(eager))
    uc.tl.ingest(placed, ref, knn=(lazy[0], knn[1]), obs="type", embedding_method="pca")
    uc.tl.ingest(eager, ref, knn=knn, obs="type")
    assert list(placed.obs["type"]) == list(eager.obs["type"])
    with pytest.raises(ValueError, match="knn has 59 rows"):
        uc.tl.ingest(new, ref, knn=[array[1:] for array in lazy])


def test_nothing_is_computed_by_the_call(ref: AnnData, new: AnnData) -> None:
    lazy = lazy_cells(new, 20)
    x = lazy.X.rechunk((20, 60)).map_blocks(never, meta=np.empty((0, 0), np.float32))
    lazy.X, lazy.obsm["X_pca"] = x, x[:, :8]
    for options in ({}, {"use_rep": "X_pca"}, {"use_rep": "X"}, {"embedding_method": "pca"}):
        uc.tl.ingest(lazy, ref, **options)
    before = contents(new)
    for changes, says in (
        ({"use_rep": "X_pca", "key_added": "tsne"}, "Did not find adata_ref.obsm"),
        ({"use_rep": "X_pca", "n_neighbors": 0}, "n_neighbors=0"),
        ({"use_rep": "short"}, r"adata.obsm\['short'\] has 5 columns"),
        ({"use_rep": "text"}, r"adata.obsm\['text'\] has dtype <U"),
    ):
        lazy.obsm["short"], lazy.obsm["text"] = x[:, :5], x[:, :8].astype(str)
        ref.obsm["short"] = ref.obsm["text"] = ref.obsm["X_pca"]
        with pytest.raises((ValueError, TypeError), match=says):
            uc.tl.ingest(lazy, ref, **changes)
    assert_equal_contents(before, contents(new))


def test_cells_that_are_not_finite(ref: AnnData, new: AnnData) -> None:
    new.obsm["X_pca"] = np.zeros((60, 8))
    new.obsm["X_pca"][[40, 41]] = np.nan
    new.X[[30, 31, 32]] = np.inf
    lazy = lazy_cells(new, 20)
    before = contents(lazy.to_memory())
    with pytest.raises(ValueError, match=r"adata.obsm\['X_pca'\] has 2 rows that are not finite"):
        uc.tl.ingest(lazy, ref, use_rep="X_pca", obs="type")
    assert_equal_contents(before, contents(lazy.to_memory()))
    uc.tl.ingest(lazy, ref, use_rep="X_pca")
    assert np.isfinite(lazy.obsm["X_umap"][:40].compute()).all()
    with pytest.raises(ValueError, match=r"X_pca'\] has 2 rows that are not finite"):
        lazy.obsm["X_umap"].compute()
    for given in (new, lazy_cells(new, 20)):
        with pytest.raises(ValueError, match="the reference's components has 3 rows that are not"):
            uc.tl.ingest(given, ref, obs="type")


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("kind", ["zarr", "h5ad"])
def test_files(ref: AnnData, new: AnnData, kind: str, tmp_path: Path) -> None:
    experimental: Any = anndata.experimental
    read = getattr(experimental, "read_elem_lazy", None) or experimental.read_elem_as_dask  # 0.11
    opened: Any = pytest.importorskip("zarr" if kind == "zarr" else "h5py")
    new.X, new.obsm["X_pca"] = sparse.csr_matrix(new.X), new.X[:, :8].copy()
    path, out = tmp_path / f"new.{kind}", tmp_path / f"placed.{kind}"
    getattr(new, f"write_{kind}")(path)
    uc.tl.ingest(new, ref)
    group = opened.open(path, mode="r") if kind == "zarr" else opened.File(path)
    lazy = AnnData(read(group["X"], chunks=(25, 60)), obs=new.obs[[]].copy())
    lazy.obsm["given"] = read(group["obsm/X_pca"], chunks=(25, 8))
    assert isinstance(lazy.X, da.Array)
    uc.tl.ingest(lazy, ref)
    getattr(lazy, f"write_{kind}")(out)
    back = getattr(anndata, f"read_{kind}")(out)
    np.testing.assert_array_equal(bits(back), bits(new))
    np.testing.assert_array_equal(back.obsm["X_pca"], new.obsm["X_pca"])
    assert set(back.uns["umap"]["placement"]) == set(new.uns["umap"]["placement"]) - {"embedding"}
