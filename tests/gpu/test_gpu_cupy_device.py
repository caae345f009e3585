"""What is said to CuPy, with a stand-in for it: the calls and their order, not a GPU."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.support import cuda_host, density_cases, elf, fake_cupy, graphs, nvrtc
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore.device.select import gpu_problem
from umapcore.errors import GPUError, GPUMemoryError
from umapcore.graph.csr import prepare_graph
from umapcore.layout.plan import build_plan
from umapcore.neighbors.search import nearest_neighbors
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host import cupy_device
from umapcore_cupy.host.nccl import import_nccl
from umapcore_cupy.layout import layout
from umapcore_cupy.layout.layout import DeviceLayout
from umapcore_cupy.layout.plan import bring
from umapcore_cupy.layout.streamed import EdgesOnHost

pytestmark = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))

SPEC = OptimizerSpec(n_epochs=12)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> fake_cupy.State:
    module, state = fake_cupy.fake_cupy()
    cupy_device._load.cache_clear()
    monkeypatch.setattr(cupy_device, "import_cupy", lambda: module)
    monkeypatch.setattr(cupy_device, "cached_program", lambda *_: elf.smallest())
    monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: None)
    return state


@pytest.fixture(scope="module")
def sheet() -> Any:
    return prepare_graph(graphs.surface(1500))


@pytest.fixture(scope="module")
def expected(sheet: Any) -> np.ndarray:
    return simplicial_set_embedding(sheet, SPEC, init="random")


@pytest.mark.parametrize("capture_fails", [False, True])
def test_whole_layout(
    gpu: fake_cupy.State,
    sheet: Any,
    expected: np.ndarray,
    capture_fails: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layout, "MOST_TOGETHER", -1)
    gpu.capture_fails = capture_fails
    for _ in range(2):
        found = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
        np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
    assert gpu.loaded == ["plan", "layout"]  # once for both runs
    assert gpu.stream is None
    assert len(gpu.allocators) == 1


@pytest.mark.parametrize("exact", [True, False])
def test_searches_for_neighbours(gpu: fake_cupy.State, exact: bool) -> None:
    points = np.random.default_rng(0).normal(size=(700, 5)).astype(np.float32)
    found = nearest_neighbors(points, 9, exact=exact, method="rapids")
    expected = nearest_neighbors(points, 9, exact=exact)
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert found.distances.tobytes() == expected.distances.tobytes()
    assert gpu.loaded == ["neighbours"]
    assert gpu.stream is None
    assert len(gpu.allocators) == 1


@pytest.mark.parametrize("refuses", [False, True])
def test_cooperative_launches(gpu: fake_cupy.State, sheet: Any, refuses: bool) -> None:
    gpu.refuses_cooperation = refuses
    found = simplicial_set_embedding(sheet, SPEC, method="rapids")
    np.testing.assert_array_equal(found, simplicial_set_embedding(sheet, SPEC))
    cooperative = {blocks for blocks, together in gpu.started if together}
    assert cooperative == set() if refuses else {fake_cupy.N_BLOCKS} <= cooperative


def test_a_device_that_knows_no_cooperative_launch(
    gpu: fake_cupy.State, sheet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_cupy.Device, "attributes", {"MultiProcessorCount": 2})
    found = simplicial_set_embedding(sheet, SPEC, method="rapids")
    np.testing.assert_array_equal(found, simplicial_set_embedding(sheet, SPEC))
    assert not any(together for _, together in gpu.started)


def test_the_device_is_made_current_seldom(gpu: fake_cupy.State, sheet: Any) -> None:
    """Each time takes longer than starting a kernel."""
    fake_cupy.Device.entered = 0
    simplicial_set_embedding(sheet, SPEC, method="rapids")
    assert len(gpu.started) > 100
    assert fake_cupy.Device.entered <= 40


def test_what_is_not_whole_is_not_loaded(
    gpu: fake_cupy.State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy_device, "cached_program", lambda *_: elf.smallest()[:-1])
    with pytest.raises(GPUError, match="INVALID_IMAGE: the program headers end at 120"):
        cupy_device.CupyDevice().compile("plan")


@nvrtc.needs_nvrtc
def test_what_nvrtc_makes_is_loaded(gpu: fake_cupy.State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_device, "cached_program", compilation.cached_program)
    cupy_device.CupyDevice().compile("plan")
    assert gpu.loaded == ["plan"]


def test_streamed(gpu: fake_cupy.State, sheet: Any, expected: np.ndarray) -> None:
    device, plan = cupy_device.CupyDevice(), build_plan(sheet, SPEC)
    edges = EdgesOnHost(device, plan, 1000)
    assert len(gpu.registered) == 2
    start = simplicial_set_embedding(sheet, SPEC.replace(n_epochs=0), init="random")
    running = DeviceLayout(device, bring(device, plan, with_edges=False), edges, start, SPEC)
    running.advance(1, 12)
    np.testing.assert_array_equal(running.positions(), expected)
    device.close()
    assert gpu.registered == []


def test_a_users_allocator_is_used(gpu: fake_cupy.State, sheet: Any, expected: np.ndarray) -> None:
    asked: list[int] = []
    gpu.allocators[:] = [asked.append]
    found = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    np.testing.assert_array_equal(found, expected)
    assert sum(asked) > sheet.nnz * 16
    assert cupy_device.CupyDevice().free_bytes() is None


def test_too_little_memory(gpu: fake_cupy.State, sheet: Any, expected: np.ndarray) -> None:
    gpu.memory = 10_000
    with pytest.raises(GPUMemoryError, match=r"9\.8 KiB are free"):
        CupyBackend().plan(sheet, SPEC)
    with pytest.raises(GPUMemoryError, match=r"97.7 KiB more .* 9.8 KiB are free"):
        cupy_device.CupyDevice().empty(25_000, np.float32)
    with pytest.warns(UserWarning, match="runs on the CPU: .* 9.8 KiB are free"):
        found = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    np.testing.assert_array_equal(found, expected)


@pytest.fixture
def two_gpus(gpu: fake_cupy.State, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give NCCL."""
    gpu.n_devices = 2
    module = cupy_device.import_cupy()
    monkeypatch.setattr("umapcore_cupy.host.compile.import_cupy", lambda: module)
    monkeypatch.setattr("umapcore_cupy.host.nccl.import_nccl", lambda: module.nccl)
    return module.nccl


@pytest.mark.parametrize("d", [2, 3])
def test_two_gpus(two_gpus: Any, gpu: fake_cupy.State, d: int) -> None:
    gpu.dimensions = d
    graph, distances = density_cases.blobs(800)
    spec = OptimizerSpec(n_components=d, n_epochs=12, density_weight=2.0)
    options: Any = {"distances": distances, "init": "random"}
    found = simplicial_set_embedding(graph, spec, method="rapids", devices=[1, 0], **options)
    expected = simplicial_set_embedding(graph, spec, **options)
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
    assert [link.destroyed for link in two_gpus.links] == [True, True]
    assert gpu.stream is None
    assert len(gpu.allocators) == 1


def test_one_gpu_by_its_number(two_gpus: Any, sheet: Any, expected: np.ndarray) -> None:
    found = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids", devices=[1])
    np.testing.assert_array_equal(found, expected)
    assert not hasattr(two_gpus, "links")


def test_gpus_that_are_not_there(two_gpus: Any, sheet: Any) -> None:
    with pytest.raises(ValueError, match=r"^devices=\[0, 2\] is not allowed: .* numbers below 2"):
        simplicial_set_embedding(sheet, SPEC, method="rapids", devices=[0, 2])


def test_without_nccl_the_cpu_runs(
    two_gpus: Any, sheet: Any, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_gpus, "available", False)
    options: Any = {"init": "random", "method": "rapids", "devices": [0, 1]}
    with pytest.warns(UserWarning, match="several GPUs need NCCL"):
        found = simplicial_set_embedding(sheet, SPEC, **options)
    np.testing.assert_array_equal(found, expected)


def test_an_exchange_that_fails(two_gpus: Any, sheet: Any) -> None:
    two_gpus.fails = True
    with pytest.raises(GPUError, match="exchange between GPUs failed: NCCL_ERROR"):
        simplicial_set_embedding(sheet, SPEC, method="rapids", devices=[0, 1])


def test_a_failing_kernel_is_an_error_of_ours(gpu: fake_cupy.State, sheet: Any) -> None:
    backend = CupyBackend()
    running = backend.begin(backend.plan(sheet, SPEC), graphs.random_start(1500, 2), SPEC)
    gpu.kernel_fails = True
    with pytest.raises(GPUError, match="GPU 0 failed: cudaErrorIllegalAddress"):
        running.advance(1, 3)
    backend.close()  # raises nothing more
    assert gpu.stream is None


def test_empty_arrays(gpu: fake_cupy.State) -> None:
    device = cupy_device.CupyDevice()
    assert device.download(device.empty(0, np.int32)).shape == (0,)
    assert device.download(device.upload(np.zeros(0, np.float32))).shape == (0,)
    np.testing.assert_array_equal(device.download(device.zeros(3, np.int64)), 0)


@nvrtc.needs_nvrtc
# CuPy 13.6 writes of a missing driver where no exception can be raised.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_cupy_has_what_its_stand_in_has() -> None:
    import cupy

    for path in (
        "RawModule", "RawModule.get_function", "RawKernel.kernel", "empty",
        "get_default_memory_pool", "cuda.Device.id", "cuda.Device.compute_capability",
        "cuda.Device.__enter__", "cuda.Stream.__enter__", "cuda.Stream.synchronize",
        "cuda.Stream.record", "cuda.Stream.wait_event", "cuda.Stream.begin_capture",
        "cuda.Stream.end_capture", "cuda.Graph.launch", "cuda.MemoryPool.malloc",
        "cuda.MemoryPool.total_bytes", "cuda.MemoryPool.free_bytes",
        "cuda.MemoryPool.free_all_blocks", "cuda.MemoryPool.set_limit", "cuda.get_allocator",
        "cuda.get_current_stream", "cuda.using_allocator", "cuda.driver.CUDADriverError",
        "cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor", "cuda.Device.attributes",
        "ndarray.view", "cuda.runtime.CUDARuntimeError", "cuda.runtime.memGetInfo",
        "cuda.runtime.hostRegister",
        "cuda.runtime.hostUnregister", "cuda.MemoryPointer.memset_async",
        "cuda.MemoryPointer.copy_from_host_async", "ndarray.get", "ndarray.set", "ndarray.sort",
        "ndarray.device", "ndarray.size", "ndarray.itemsize", "cuda.MemoryPointer.ptr",
        "cuda.runtime.getDeviceCount",
    ):  # fmt: skip
        found: Any = cupy
        for name, _ in pairwise([*path.split("."), ""]):
            assert hasattr(found, name), path
            found = getattr(found, name)
    nccl = import_nccl()
    if nccl.available:
        for name in ("initAll", "allReduce", "broadcast", "destroy"):
            assert hasattr(nccl.NcclCommunicator, name)
        for name in ("groupStart", "groupEnd", "NcclError"):
            assert hasattr(nccl, name)
        for name in ("NCCL_INT32", "NCCL_UINT64", "NCCL_FLOAT32", "NCCL_SUM"):
            assert getattr(nccl, name) == getattr(fake_cupy.Nccl, name)
    assert cupy.cuda.runtime.streamCaptureModeThreadLocal == 1
    # What RawKernel.kernel gives, without a module. What it does not know is a TypeError.
    function = cupy.cuda.Function.__new__(cupy.cuda.Function)
    if gpu_problem() is not None:
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
            function((1,), (1,), (), enable_cooperative_groups=True)
    pool = cupy.get_default_memory_pool()
    assert cupy.cuda.get_allocator() == pool.malloc  # how a user's allocator is told apart
