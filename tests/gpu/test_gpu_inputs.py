"""Graphs and start positions that are on the device already."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import cuda_host, graphs
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore.graph.csr import prepare_graph
from umapcore.init.positions import start_positions
from umapcore_cupy.backend import CupyBackend

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))

SPEC = OptimizerSpec(n_epochs=15)


# Look like CuPy's to the front end, and hold what the stand-in for a device works on.
class GPUArray(np.ndarray):
    __module__ = "cupy"

    def get(self) -> np.ndarray:
        HOST_COPIES.append(self.shape)
        return np.array(self)


class GPUMatrix:
    """Stands for cupyx.scipy.sparse.csr_matrix."""

    __module__ = "cupyx.scipy.sparse"
    format = "csr"

    def __init__(self, matrix: Any) -> None:
        self.matrix, self.shape = matrix, matrix.shape
        self.data, self.indices, self.indptr = (
            a.view(np.ndarray) for a in (matrix.data, matrix.indices, matrix.indptr)
        )

    def get(self) -> Any:
        HOST_COPIES.append(self.shape)
        return self.matrix


HOST_COPIES: list[tuple[int, ...]] = []


def gpu_array(values: Any) -> GPUArray:
    return np.asarray(values).view(GPUArray)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[cuda_host.HostDevice]:
    opened: list[cuda_host.HostDevice] = []

    def open_device() -> cuda_host.HostDevice:
        opened.append(cuda_host.HostDevice())
        return opened[-1]

    monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: None)
    monkeypatch.setattr("umapcore.device.select._open_gpu", lambda *_: CupyBackend(open_device))
    HOST_COPIES.clear()
    return opened


def canonical(n: int = 500) -> sp.csr_array:
    graph = prepare_graph(graphs.surface(n))
    return sp.csr_array((graph.data, graph.indices, graph.indptr), shape=graph.shape)


@needs_compiler
def test_a_graph_and_a_start_stay_on_the_device(gpu: list[cuda_host.HostDevice]) -> None:
    graph, start = canonical(), graphs.random_start(500, 2) * 3 - 7
    before = [a.copy() for a in (graph.data, graph.indices, graph.indptr, start)]
    expected = simplicial_set_embedding(graph, SPEC, init=start)
    found = simplicial_set_embedding(GPUMatrix(graph), SPEC, init=gpu_array(start), method="rapids")
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
    assert HOST_COPIES == []
    assert len(gpu) == 1
    for now, then in zip((graph.data, graph.indices, graph.indptr, start), before, strict=True):
        np.testing.assert_array_equal(now, then)


@needs_compiler
@pytest.mark.parametrize("method", ["umap", "rapids"])
@pytest.mark.parametrize("init", ["spectral", "random"])
def test_named_starts(gpu: list[cuda_host.HostDevice], init: str, method: str) -> None:
    graph = canonical(300)
    expected = simplicial_set_embedding(graph, SPEC, init=init)
    found = simplicial_set_embedding(GPUMatrix(graph), SPEC, init=init, method=method)
    np.testing.assert_array_equal(found, expected)
    assert (len(HOST_COPIES) == 1) == (method == "umap")


def _asymmetric(graph: Any) -> Any:
    graph.data[3] *= 0.5
    return graph


def _unsorted(graph: Any) -> Any:
    row = slice(graph.indptr[5], graph.indptr[6])
    graph.indices[row], graph.data[row] = graph.indices[row][::-1], graph.data[row][::-1].copy()
    return graph


def _with_zero(graph: Any) -> Any:
    i, j = 0, graph.indices[0]
    graph.data[0] = 0
    graph.data[graph.indptr[j] + np.flatnonzero(graph[[j]].indices == i)[0]] = 0
    return graph


UNTIDY = {
    "asymmetric": _asymmetric,
    "unsorted": _unsorted,
    "with explicit zeros": _with_zero,
    "float64": lambda graph: graph.astype(np.float64),
    "wide": lambda graph: sp.csr_array(
        (graph.data, graph.indices.astype(np.int64), graph.indptr.astype(np.int64)),
        shape=graph.shape,
    ),
    "of huge weights": lambda graph: graph * np.float32(1e37),
    "of tiny weights": lambda graph: graph * np.float32(1e-30),
    "with a loop": lambda graph: sp.csr_array(graph + sp.eye_array(300, dtype=np.float32)),
}


@needs_compiler
@pytest.mark.parametrize("name", UNTIDY)
def test_untidy_graphs_go_by_way_of_the_host(
    gpu: list[cuda_host.HostDevice], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    graph = canonical(300)
    graph = sp.csr_array(
        (graph.data.copy(), graph.indices.copy(), graph.indptr.copy()), shape=(300, 300)
    )
    graph = UNTIDY[name](graph)
    start = graphs.random_start(300, 2)
    expected = simplicial_set_embedding(graph.copy(), SPEC, init=start)
    with caplog.at_level(logging.INFO, "umapcore"):
        found = simplicial_set_embedding(GPUMatrix(graph), SPEC, init=start, method="rapids")
    np.testing.assert_array_equal(found, expected)
    assert "goes by way of the host" in caplog.text
    assert HOST_COPIES == [(300, 300)]


@needs_compiler
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_weights_on_the_device(gpu: list[cuda_host.HostDevice], value: float) -> None:
    graph = canonical(60)
    data = graph.data.copy()
    data[7] = value
    bad = sp.csr_array((data, graph.indices, graph.indptr), shape=graph.shape)
    with pytest.raises(ValueError, match="finite and at least 0"):
        simplicial_set_embedding(GPUMatrix(bad), SPEC, init="random", method="rapids")
    assert gpu[0].closed


@needs_compiler
def test_damaged_graphs_on_the_device(gpu: list[cuda_host.HostDevice]) -> None:
    graph = canonical(60)
    indices = graph.indices.copy()
    indices[3] = 1000
    with pytest.raises(ValueError, match="graph is damaged: its indices go beyond 0 to 59"):
        simplicial_set_embedding(
            GPUMatrix(_Damaged(graph.data, indices, graph.indptr, graph.shape)),
            SPEC, init="random", method="rapids",
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"graph is damaged: its offsets \(indptr\) have shape"):
        simplicial_set_embedding(
            GPUMatrix(_Damaged(graph.data, graph.indices, graph.indptr[:-9], graph.shape)),
            SPEC, init="random", method="rapids",
        )  # fmt: skip


class _Damaged(sp.csr_array):
    """A CSR whose columns SciPy has not looked at."""

    def __init__(self, data: Any, indices: Any, indptr: Any, shape: Any) -> None:
        super().__init__(shape, dtype=data.dtype)
        self.data, self.indices, self.indptr = data, indices, indptr


STARTS = {
    "spread": graphs.random_start(300, 3) * 100 - 30,
    "negative": -graphs.random_start(300, 3) * np.float32(1e-3),
    "a constant axis": graphs.random_start(300, 3) * np.float32([1, 0, 1]),
    "equal rows": np.repeat(graphs.random_start(100, 3), 3, axis=0),
    "float64": graphs.random_start(300, 3).astype(np.float64),
    "Fortran order": np.asfortranarray(graphs.random_start(300, 3)),
}


@needs_compiler
@pytest.mark.parametrize("name", STARTS)
def test_starts_are_scaled_as_on_the_host(gpu: list[cuda_host.HostDevice], name: str) -> None:
    graph, start = canonical(300), STARTS[name]
    spec = SPEC.replace(n_components=3, n_epochs=0)
    expected = start_positions(start, graph, n_components=3, seed=0)
    found = simplicial_set_embedding(graph, spec, init=gpu_array(start), method="rapids")
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
    assert (HOST_COPIES == []) == (name in {"spread", "negative"})


@needs_compiler
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_bad_starts_on_the_device(gpu: list[cuda_host.HostDevice], value: float) -> None:
    start = graphs.random_start(300, 2)
    start[17, 1] = value
    with pytest.raises(ValueError, match="init has 1 rows that are not finite"):
        simplicial_set_embedding(canonical(300), SPEC, init=gpu_array(start), method="rapids")
    with pytest.raises(ValueError, match=r"init has shape \(300, 2\)"):
        simplicial_set_embedding(
            canonical(300), SPEC.replace(n_components=3), init=gpu_array(start), method="rapids"
        )


@pytest.mark.gpu
def test_cupy_and_cupyx_inputs() -> None:
    import cupy
    import cupyx

    graph, start = canonical(), graphs.random_start(500, 2) * 3 - 7
    expected = simplicial_set_embedding(graph, SPEC, init=start)
    on_gpu = cupyx.scipy.sparse.csr_matrix(sp.csr_matrix(graph))
    for method in ("rapids", "auto", "umap"):
        found = simplicial_set_embedding(on_gpu, SPEC, init=cupy.asarray(start), method=method)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
