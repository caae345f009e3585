"""``umapcore.pp.neighbors`` on dask arrays: the bits of the same coordinates in memory."""

from __future__ import annotations

import errno
import gc
import shutil
import tracemalloc
import weakref
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

import umapcore as uc
from umapcore import pp
from umapcore._kit import arrays, mapped
from umapcore._kit.mapped import is_scratch
from umapcore.anndata_io import representation
from umapcore.anndata_io.representation import choose_representation
from umapcore.neighbors import (
    directions,
    magnitudes,
    pairs,
    partitions,
    search,
    tiles,
    trees,
    trees_in_files,
)
from umapcore.neighbors.search import find_neighbors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

da = pytest.importorskip("dask.array")

N, P = 1500, 20
CHUNKS: dict[str, Any] = {
    "one chunk": (N, P),
    "rows": (200, P),
    "uneven": ((1, 900, 599), (3, 17)),
    "columns": (N, 6),
}


def points(n: int = N, p: int = P, dtype: Any = np.float32) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(9, p)) * 3
    return (centres[rng.integers(0, 9, n)] + rng.normal(size=(n, p))).astype(dtype)


def adata_of(x: Any, key: str = "X_pca") -> AnnData:
    adata = AnnData(shape=(x.shape[0], 0))
    adata.obsm[key] = x
    return adata


def found(x: Any, **options: Any) -> dict[str, Any]:
    """What pp.neighbors stores, bit by bit."""
    adata = adata_of(x)
    pp.neighbors(adata, use_rep="X_pca", n_threads=2, **options)
    assert adata.obsm["X_pca"] is x or type(x) is np.ndarray
    made: dict[str, Any] = {"params": adata.uns["neighbors"]["params"]}
    for name in ("distances", "connectivities"):
        for part in ("indptr", "indices", "data"):
            array = getattr(adata.obsp[name], part)
            assert not is_scratch(array)
            made[name, part] = array.dtype, array.tobytes()
    return made


@pytest.fixture(autouse=True)
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(representation, "_FEW_BYTES", 0)


@pytest.fixture
def partitioned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search few points as many are searched, and read few at a time."""
    for module, name, value in (
        (search, "EXACT_WORK", 0),
        (search, "EXACT_AFTER", 0),
        (partitions, "_TREE_WORK", 1),
        (partitions, "_PASS_WORK", 1),
        (partitions, "LEAF", 32),
        (partitions, "SAMPLE", 200),
        (trees_in_files, "_NEAR_BYTES", 2**13),
        (trees, "POINTS_PER_TASK", 97),
        (trees_in_files, "POINTS_PER_TASK", 97),
        (trees_in_files, "_POINTS_PER_NODE", 5),
        (arrays, "_CHUNK_ENTRIES", 8000),
        (directions, "_ROWS", 97),
        (magnitudes, "_ROWS", 97),
        (pairs, "_ROWS", 97),
        (tiles, "_SOME_FOR_CENTRE", 97),
        (tiles, "_FILE_BYTES", 2**13),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.usefixtures("partitioned")
def test_same_bits(chunks: str) -> None:
    x = points()
    expected = found(x)
    assert expected["params"]["search"]["kind"] == "partitions"
    assert found(da.from_array(x, chunks=CHUNKS[chunks])) == expected


CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "points without a direction": (
        {"metric": "cosine"},
        lambda x: x * (np.arange(N) % 500 > 0)[:, None],
    ),
    "correlation": ({"metric": "correlation", "accuracy": 0.999}, lambda x: x),
    "long lists": ({"metric": "sqeuclidean", "n_neighbors": 40, "random_state": 5}, lambda x: x),
    "float64, some columns": ({"n_pcs": 7}, lambda x: x.astype(np.float64) * np.pi),
    "tiny": ({}, lambda x: x * np.float32(1e-18)),
    "integers": ({}, lambda x: np.round(x * 4).astype(np.int8)),
    "one coordinate": ({}, lambda x: x[:, 0]),
    "exact": ({"exact": True}, lambda x: x[:, :5]),
    "exact cosine of float16": (
        {"exact": True, "metric": "cosine"},
        lambda x: x.astype(np.float16),
    ),
    "SciPy's metric": ({"exact": True, "metric": "manhattan"}, lambda x: x[:150]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("partitioned")
def test_other_metrics_and_dtypes(case: str) -> None:
    options, change = CASES[case]
    x = change(points())
    assert found(da.from_array(x, chunks=400), **options) == found(x, **options)


def test_small_arrays_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    x = points(300, 9)
    lazy = da.from_array(x, chunks=100)
    monkeypatch.setattr(representation, "scratch_zeros", None)
    monkeypatch.setattr(representation, "_FEW_BYTES", x.nbytes)
    assert found(lazy) == found(x)
    monkeypatch.setattr(representation, "_FEW_BYTES", x.nbytes - 1)
    with pytest.raises(TypeError, match="NoneType"):
        found(lazy)


def test_few_points_are_compared_exactly() -> None:
    x = points(150)
    expected = found(x)
    assert expected["params"]["search"]["kind"] == "exact"
    assert found(da.from_array(x, chunks=(70, 9))) == expected


@pytest.mark.usefixtures("partitioned")
def test_the_first_tree_moves_the_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that are near in no file are divided in its order, and only for scratch files."""
    calls: list[int] = []
    plain = trees_in_files._in_file_order

    def spy(order: Any, bounds: Any, n_threads: Any) -> Any:
        pieces = plain(order, bounds, n_threads)
        flat = sorted(place for piece in pieces for place in piece)
        assert flat[0][0] == 0
        assert flat[-1][1] == N
        assert all(a[1] == b[0] for a, b in pairwise(flat))
        for piece in pieces:
            members = np.concatenate([order[a:b] for a, b in piece])
            assert np.ptp(members) < max(97, 5 * (len(bounds) - 1))
        calls.append(len(bounds) - 1)
        return pieces

    monkeypatch.setattr(trees_in_files, "_in_file_order", spy)
    x = points()
    found(x)
    assert not calls
    found(da.from_array(x, chunks=400))
    # 2**13 bytes are 64 rows of 32 coordinates: 32 nodes.
    assert calls[:6] == [1, 2, 4, 8, 16, 32]


def test_views_and_x() -> None:
    x = points(300, 9)
    adata = AnnData(da.from_array(x, chunks=(100, 9)), obsm={"X_pca": da.from_array(x)})
    part = adata[np.arange(300) % 3 > 0]
    for options in ({}, {"use_rep": "X"}, {"use_rep": "X_pca"}, {"n_pcs": 0}):
        whole = AnnData(x[np.arange(300) % 3 > 0], obsm={"X_pca": x[np.arange(300) % 3 > 0]})
        pp.neighbors(whole, **options)
        with_chunks = pp.neighbors(part, copy=True, **options)
        assert part.is_view
        assert with_chunks is not None
        a, b = whole.obsp["distances"], with_chunks.obsp["distances"]
        assert a.data.tobytes() == b.data.tobytes()
        assert a.indices.tobytes() == b.indices.tobytes()


def test_principal_components_are_computed_as_before() -> None:
    x = points(120, 60)
    adatas = AnnData(x), AnnData(da.from_array(x, chunks=(50, 60)))
    for adata in adatas:
        with pytest.warns(UserWarning, match="principal components are computed"):
            pp.neighbors(adata)
    assert adatas[0].obsm["X_pca"].tobytes() == adatas[1].obsm["X_pca"].tobytes()


@pytest.mark.parametrize("form", ["zarr", "h5ad"])
@pytest.mark.usefixtures("partitioned")
def test_stores(form: str, tmp_path: Path) -> None:
    experimental = pytest.importorskip("anndata.experimental")
    if not hasattr(experimental, "read_elem_lazy"):
        pytest.skip("this anndata reads nothing lazily")
    module = pytest.importorskip("zarr" if form == "zarr" else "h5py")
    x = points()
    opened = (module.open_group if form == "zarr" else module.File)(tmp_path / "x", mode="w")
    opened["x"] = x
    opened["x"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    lazy = experimental.read_elem_lazy(opened["x"])
    assert found(lazy) == found(x)
    adata = adata_of(lazy)
    pp.neighbors(adata)
    uc.tl.umap(adata, maxiter=3, init_pos="random")
    assert uc.verify(adata, from_coordinates=True)
    assert adata.obsm["X_pca"] is lazy


@pytest.mark.usefixtures("partitioned")
def test_every_chunk_is_read_once_and_few_at_a_time() -> None:
    x, seen = points(), []

    def read(block: Any, block_info: Any = None) -> Any:
        seen.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(x, chunks=(90, 7)).map_blocks(read, meta=x[:0, :0])
    sizes = [piece.size for _, _, piece in arrays.dask_pieces(lazy)]
    assert len(seen) == len(set(seen)) == 17 * 3
    assert max(sizes) <= 8000
    assert len(sizes) == 5  # 8000 entries are four rows of chunks
    assert sum(sizes) == x.size
    wide = da.from_array(x, chunks=(N, 2))
    assert {piece.shape for _, _, piece in arrays.dask_pieces(wide)} == {(N, 4)}


@pytest.mark.usefixtures("partitioned")
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_coordinates_are_not_copied_to_memory(metric: str) -> None:
    """NumPy tells tracemalloc of its arrays, and scratch files are none of these."""
    x = points(p=800)
    lazy = da.from_array(x, chunks=(100, 800))
    peaks = []
    for given in (x, lazy):
        adata = adata_of(given)
        find_neighbors(points()[:, :3], 4, exact=False)  # what is imported later
        tracemalloc.start()
        chosen = choose_representation(adata, "X_pca")
        find_neighbors(chosen.points, 6, metric=metric, exact=False, n_threads=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert is_scratch(chosen.points) == (given is lazy)
    assert peaks[0] > x.nbytes
    assert peaks[1] < x.nbytes / 2


@pytest.mark.usefixtures("partitioned")
def test_room_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked before anything is read is what the coordinates need."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    class Counted(mapped._Scratch):
        def __new__(cls, *given: Any) -> Any:
            nonlocal most
            made = super().__new__(cls, *given)
            alive.add(made)
            most = max(most, sum(map(len, alive)))
            return made

    checked: list[int] = []
    monkeypatch.setattr(mapped, "_Scratch", Counted)
    monkeypatch.setattr(representation, "check_room", checked.append)
    x = points()
    # On one thread: others may hold a file for a moment longer.
    pp.neighbors(adata_of(da.from_array(x, chunks=400)), 3, use_rep="X_pca", n_threads=1)
    assert checked == [4 * N * (P + 2 * 32)]
    # Rows on cache lines need room for one more.
    assert checked[0] <= most <= checked[0] + 2 * 64
    gc.collect()
    assert not alive


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(np.nan, np.float32), (np.inf, np.float64), (1e39, np.float64), (1e30, np.float32)],
)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_bad_values(value: float, dtype: Any, metric: str) -> None:
    x = points(300, 9, dtype)
    x[[3, 250], 8] = value
    said = []
    for given in (x, da.from_array(x, chunks=(100, 4))):
        adata = adata_of(given)
        try:
            pp.neighbors(adata, use_rep="X_pca", metric=metric)
        except ValueError as error:
            said.append(str(error))
            assert not adata.uns
            assert not adata.obsp
    if value == 1e30 and metric == "cosine":
        assert not said
    else:
        assert len(said) == 2
        assert said[0] == said[1]


def test_bad_arrays_are_refused_before_they_are_computed() -> None:
    def fail(block: Any) -> Any:
        raise AssertionError

    def lazy(*shape: int, dtype: Any = np.float32) -> Any:
        chunks = (10, *shape[1:])
        return da.empty(shape, dtype=dtype, chunks=chunks).map_blocks(
            fail, meta=np.empty((0,) * len(shape), dtype)
        )

    for x, error, match in (
        (lazy(30, 4, dtype=complex), TypeError, r"\.obsm\['X_pca'\] has dtype complex128"),
        (lazy(30, 0), ValueError, r"\.obsm\['X_pca'\] has shape \(30, 0\)"),
    ):
        with pytest.raises(error, match=match):
            pp.neighbors(adata_of(x), use_rep="X_pca")


def test_chunks_of_another_shape_than_announced() -> None:
    lazy = da.zeros((30, 4), chunks=(10, 4)).map_blocks(lambda block: block[:, :1])
    with pytest.raises(ValueError, match=r"has a chunk of shape \(30, 1\) in the place of"):
        pp.neighbors(adata_of(lazy), use_rep="X_pca")


@pytest.mark.parametrize("announced", [True, False])
def test_sparse_chunks(announced: bool) -> None:
    random = np.random.default_rng(0).random((2, 90, 12), np.float32)
    x = sparse.csr_array(np.where(random[0] < 0.4, random[1], np.float32(0)))
    lazy = da.from_array(x.toarray(), chunks=(40, 12))
    meta = sparse.csr_array((0, 0), dtype=np.float32) if announced else np.empty((0, 0), "f4")
    lazy = lazy.map_blocks(sparse.csr_array, meta=meta)
    assert found(lazy) == found(x)


def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = da.from_array(points(300, 9), chunks=100)
    # 9 coordinates, and two copies of 16: 49,200 bytes.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=49_199))
    monkeypatch.setattr(representation, "dask_pieces", None)
    with pytest.raises(OSError, match="scratch_dir") as caught:
        pp.neighbors(adata_of(lazy), use_rep="X_pca")
    assert caught.value.errno == errno.ENOSPC
