"""Graphs in scratch files equal those in memory, whatever is given and however it is stored."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

from tests.graph.test_csr import FORMS, with_index_dtype
from tests.support.graphs import clusters
from umapcore import OptimizerSpec
from umapcore._kit.arrays import csr_arrays
from umapcore._kit.scratch import Scratch, Sink, chunks, converted, scratch_of, windows
from umapcore.graph.csr import prepare_graph
from umapcore.graph.permute import permute
from umapcore.graph.stored import stored_entries
from umapcore.init.spectral import spectral_layout
from umapcore.layout.density import density_of
from umapcore.layout.plan import build_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: So small that a graph of a few hundred edges needs many windows.
WINDOW = 512


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    monkeypatch.setattr("umapcore._kit.scratch._CHUNK", 100)
    return Scratch(tmp_path, WINDOW)


@pytest.fixture(scope="module")
def weights() -> sparse.csr_array:
    graph = clusters(60)
    graph.data = np.round(graph.data * 8) + 1
    return with_index_dtype(graph, "int32")


def asymmetric(graph: sparse.csr_array) -> sparse.csr_array:
    changed = graph.copy()
    changed.data[::3] += 1
    return changed


def same(one: sparse.csr_array, other: sparse.csr_array) -> None:
    for name in ("data", "indices", "indptr"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def is_in(scratch: Scratch, graph: sparse.csr_array) -> bool:
    return scratch_of(graph.data) is scratch and scratch_of(graph.indices) is scratch


@pytest.mark.parametrize("form", [*FORMS, "asymmetric", "tiny weights"])
def test_every_form(
    form: str, scratch: Scratch, weights: sparse.csr_array, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    more = {"asymmetric": asymmetric, "tiny weights": lambda g: g.astype(np.float64) * 2.0**-90}
    given = (FORMS | more)[form](weights)
    said = []
    for where in (None, scratch):
        caplog.clear()
        ready = prepare_graph(given, scratch=where)
        said.append([record.getMessage() for record in caplog.records])
        if where is None:
            expected = ready
    same(ready, expected)
    assert is_in(scratch, ready)
    assert said[0] == said[1]
    assert not ready.data.flags.writeable


def stored_in_file(matrix: Any, folder: Path) -> Iterator[Any]:
    with h5py.File(folder / "graph.h5", "w") as file:
        anndata.io.write_elem(
            file, "graph", matrix, dataset_kwargs={"compression": "gzip", "chunks": (64,)}
        )
        yield anndata.io.sparse_dataset(file["graph"])


def stored_in_zarr(matrix: Any, folder: Path) -> Iterator[Any]:
    zarr = pytest.importorskip("zarr")
    root = zarr.open_group(str(folder / "graph.zarr"), mode="w")
    anndata.io.write_elem(root, "graph", matrix)
    yield anndata.io.sparse_dataset(root["graph"])


def in_blocks(matrix: Any, folder: Path) -> Iterator[Any]:
    da = pytest.importorskip("dask.array")
    yield da.from_array(matrix, chunks=(25, 25), asarray=False)


STORED = {"hdf5": stored_in_file, "zarr": stored_in_zarr, "dask": in_blocks}


@pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3 autosharding")
@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "duplicates", "float64", "triangle"])
@pytest.mark.parametrize("store", STORED)
def test_every_store(
    store: str,
    form: str,
    scratch: Scratch,
    weights: sparse.csr_array,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("umapcore.graph.stored._ROWS", 16)
    given = FORMS[form](weights)
    given = given if given.format == "csc" else sparse.csr_matrix(given)
    for stored in STORED[store](given, tmp_path):
        if store != "dask":
            whole = (60, given.nnz, given.dtype.itemsize + 4)
            assert stored_entries(stored) == whole
        same(prepare_graph(stored, scratch=scratch), prepare_graph(stored))
        assert is_in(scratch, prepare_graph(stored, scratch=scratch))


def test_nothing_has_a_name_or_stays(scratch: Scratch, weights: sparse.csr_array) -> None:
    ready = prepare_graph(weights, scratch=scratch)
    assert scratch.folder.is_dir()
    if os.name == "posix":
        assert list(scratch.folder.iterdir()) == []
    held = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    del ready
    if held:
        assert len(os.listdir("/proc/self/fd")) < held


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_weights_give_the_same_message(
    value: float, scratch: Scratch, weights: sparse.csr_array
) -> None:
    bad = weights.copy()
    bad.data[[5, 300]] = value
    messages = []
    for where in (None, scratch):
        with pytest.raises(ValueError, match="2 ") as caught:
            prepare_graph(bad, name="mine", scratch=where)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("index", [60, -1, 2**32 + 3])
def test_indices_beyond_the_graph(
    index: int, scratch: Scratch, weights: sparse.csr_array, tmp_path: Path
) -> None:
    bad = with_index_dtype(weights, "int64")
    for stored in stored_in_file(sparse.csr_matrix(bad), tmp_path):
        stored.group["indices"][7] = index
        with pytest.raises(ValueError, match="mine is damaged: its indices go beyond 0 to 59"):
            prepare_graph(stored, name="mine", scratch=scratch)


def test_a_full_disk(
    scratch: Scratch, weights: sparse.csr_array, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def close(self) -> None: ...

        def write(self, _: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(OSError, match="No space left") as caught:
        prepare_graph(weights, scratch=scratch)
    assert caught.value.filename == str(scratch.folder)


def test_windows_hold_whole_rows_and_all_of_them(scratch: Scratch) -> None:
    offsets = np.array([0, 3, 3, 700, 701, 720])
    found = list(windows(offsets, scratch))
    assert found == [(0, 2), (2, 3), (3, 5)]
    assert list(windows(offsets, None)) == [(0, 5)]
    assert list(chunks(250, scratch)) == [slice(0, 100), slice(100, 200), slice(200, 250)]
    assert list(chunks(250, None)) == [slice(0, 250)]


def test_an_empty_array(scratch: Scratch) -> None:
    assert Sink(scratch, np.int32).array().shape == (0,)
    assert Sink(None, np.int32).array().shape == (0,)
    assert converted(np.empty(0), np.int32, scratch).dtype == np.int32


def stages(graph: Any) -> dict[str, Callable[[], Any]]:
    order = np.random.default_rng(0).permutation(graph.shape[0]).astype(np.int32)
    spec = OptimizerSpec(n_epochs=30)
    return {
        "plan": lambda: [np.asarray(value) for value in vars(build_plan(graph, spec)).values()],
        "permute": lambda: permute(csr_arrays(graph), order),
        "start": lambda: [spectral_layout(graph, 2, seed=3)],
    }


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("stage", ["plan", "permute", "start"])
def test_what_is_made_of_a_graph_is_the_same(
    stage: str,
    parts: int,
    n_threads: int,
    scratch: Scratch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("umapcore.settings.n_threads", n_threads)
    graph = sparse.block_diag([clusters(size) for size in (40, 900, 200)[-parts:]], format="csr")
    graph = prepare_graph(graph)
    stored = prepare_graph(graph, scratch=scratch)
    assert is_in(scratch, stored)
    expected, found = stages(graph)[stage](), stages(stored)[stage]()
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    if stage == "permute":
        assert scratch_of(found.weights) is scratch
    if stage == "plan":
        plan = build_plan(stored, OptimizerSpec(n_epochs=30))
        assert scratch_of(plan.tails) is scratch
        assert scratch_of(plan.rates) is scratch


def test_densities(scratch: Scratch, rng: np.random.Generator) -> None:
    graph = prepare_graph(clusters(300))
    stored = prepare_graph(graph, scratch=scratch)
    lengths = graph.tocoo()
    # Directed and in any order, as searches for neighbours leave them.
    some = rng.permutation(lengths.nnz)[: lengths.nnz * 2 // 3]
    distances = sparse.coo_array(
        (rng.random(some.shape[0], np.float32), (lengths.row[some], lengths.col[some])),
        shape=graph.shape,
    ).tocsr()
    distances.indices[:5] = distances.indices[:5][::-1].copy()
    distances.has_sorted_indices = False
    spec = OptimizerSpec(density_weight=2.0)
    expected, found = (density_of(g, distances, spec) for g in (graph, stored))
    np.testing.assert_array_equal(found.radii, expected.radii)
    assert (found.n_counted, found.total_rate) == (expected.n_counted, expected.total_rate)
    distances.data[3] = np.inf
    for g in (graph, stored):
        with pytest.raises(ValueError, match="distances has 1 values"):
            density_of(g, distances, spec)
