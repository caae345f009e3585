"""Whole layouts by the CUDA kernels have the bits of the numba backend."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import cuda_host, density_cases, graphs
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import Density, density_of
from umapcore.layout.plan import build_plan
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host import programs
from umapcore_cupy.layout import layout as layouts
from umapcore_cupy.layout.plan import bring
from umapcore_cupy.layout.streamed import EdgesOnHost
from umapcore_numba.layout.layout import NumbaLayout

if TYPE_CHECKING:
    import scipy.sparse as sp

GRAPHS = {
    "clusters": lambda: graphs.clusters(400, 4),
    "surface": lambda: graphs.surface(2500),
    "hubs": lambda: graphs.hub(1300, 3),
    "star": lambda: graphs.star(900),
    "fewer than the pool": lambda: graphs.surface(50),
}
needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))


@cache
def case(name: str, d: int = 2, n_epochs: int = 60) -> tuple[Any, OptimizerSpec, Any, Any]:
    """Graph, specification, start and what the CPU makes of them."""
    graph = prepare_graph(GRAPHS[name]())
    spec = OptimizerSpec(n_components=d, n_epochs=n_epochs, seed=3)
    start = graphs.random_start(graph.shape[0], d)
    running = NumbaLayout(build_plan(graph, spec), start, spec, 1)
    running.advance(1, n_epochs)
    return graph, spec, start, running.positions()


def assert_equal_bits(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


def run(backend: Any, graph: sp.csr_array, spec: OptimizerSpec, start: np.ndarray) -> np.ndarray:
    layout = backend.begin(backend.plan(graph, spec), start, spec)
    layout.advance(1, spec.n_epochs)
    positions: np.ndarray = layout.positions()
    return positions


@pytest.fixture(params=[True, False], ids=["epochs together", "kernel by kernel"])
def together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether all epochs are one launch, as for small graphs."""
    if not request.param:
        monkeypatch.setattr(layouts, "MOST_TOGETHER", -1)
    return bool(request.param)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(
    ("d", "most_together"),
    [(1, 1 << 20), (2, 1 << 20), (2, -1), (3, -1), (5, -1), (10, 1 << 20)],
)
def test_whole_layouts(
    gpu_backend: Any, name: str, d: int, most_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "MOST_TOGETHER", most_together)
    graph, spec, start, expected = case(name, d)
    assert not np.array_equal(expected, start)
    assert_equal_bits(run(gpu_backend, graph, spec, start), expected)


def test_many_dimensions(gpu_backend: Any) -> None:
    graph, spec, start, expected = case("clusters", 50, 12)
    assert_equal_bits(run(gpu_backend, graph, spec, start), expected)


@pytest.mark.usefixtures("together")
def test_in_pieces(gpu_backend: Any) -> None:
    """Looking at positions half-way changes nothing, and neither does where a span ends."""
    graph, spec, start, expected = case("hubs")
    layout = gpu_backend.begin(gpu_backend.plan(graph, spec), start, spec)
    for first, stop in ((1, 2), (2, 2), (2, 5), (5, 41), (41, 60)):
        layout.advance(first, stop)
        assert not np.isnan(layout.positions()).any()
    assert_equal_bits(layout.positions(), expected)


def test_pool_drawn_apart(gpu_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "MOST_TOGETHER", -1)
    monkeypatch.setattr(layouts, "BLOCKS_THAT_DRAW", 0)
    for d in (2, 5):
        graph, spec, start, expected = case("surface", d)
        assert_equal_bits(run(gpu_backend, graph, spec, start), expected)


@pytest.mark.parametrize("chunk_edges", [256, 1000, 10**6])
def test_streamed_edges(gpu_backend: Any, chunk_edges: int) -> None:
    for name in ("hubs", "surface"):
        graph, spec, start, expected = case(name)
        device, plan = gpu_backend.device, build_plan(graph, spec)
        edges = EdgesOnHost(device, plan, chunk_edges)
        brought = bring(device, plan, with_edges=False)
        layout = layouts.DeviceLayout(device, brought, edges, start, spec)
        layout.advance(1, 60)
        assert_equal_bits(layout.positions(), expected)


@pytest.mark.gpu
def test_kernels_launched_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an epoch cannot be recorded as a CUDA graph."""
    from umapcore_cupy.host.cupy_device import CupyDevice

    monkeypatch.setattr(CupyDevice, "record", lambda self, work: None)
    monkeypatch.setattr(layouts, "MOST_TOGETHER", -1)
    backend = CupyBackend()
    graph, spec, start, expected = case("surface")
    assert_equal_bits(run(backend, graph, spec, start), expected)
    backend.close()


@pytest.mark.gpu
def test_epochs_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise launches would take longer than what they start."""
    monkeypatch.setattr(layouts, "MOST_TOGETHER", -1)
    backend = CupyBackend()
    graph, spec, start, _ = case("surface")
    layout: Any = backend.begin(backend.plan(graph, spec), start, spec)
    layout.advance(1, 5)
    assert layout.recorded
    backend.close()


# --- what only the stand-in for a device can vary -------------------------------------------------


@needs_compiler
@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("options", [{"reversed_order": True}, {"records": False}], ids=str)
def test_order_of_threads_and_recording_do_not_matter(options: dict[str, bool]) -> None:
    for name in ("hubs", "clusters"):
        graph, spec, start, expected = case(name, 3)
        backend = CupyBackend(lambda: cuda_host.HostDevice(**options))
        assert_equal_bits(run(backend, graph, spec, start), expected)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 32, 1024])
def test_launch_shape_does_not_matter(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the walk, whose blocks are groups of walkers."""
    monkeypatch.setattr(layouts, "MOST_TOGETHER", -1)
    graph, spec, start, expected = case("hubs")
    monkeypatch.setattr(programs, "THREADS", threads)
    backend = CupyBackend(cuda_host.HostDevice)
    assert_equal_bits(run(backend, graph, spec, start), expected)


@needs_compiler
def test_an_epoch_is_few_launches(together: bool) -> None:
    graph, spec, start, _ = case("surface")
    backend: Any = CupyBackend(cuda_host.HostDevice)
    layout = backend.begin(backend.plan(graph, spec), start, spec)
    layout.advance(1, 2)
    backend.device.launches.clear()
    layout.advance(2, 4)
    if together:
        assert backend.device.launches == ["walk_epochs"]
        layout.advance(4, 60)
        assert backend.device.launches == 3 * ["walk_epochs"]
        return
    buckets = int((np.diff(build_plan(graph, spec).bucket_offsets) > 0).sum())
    assert backend.device.launches == ["set_epoch"] + 2 * (
        buckets * ["walk", "apply_updates"] + ["next_epoch"]
    )


@needs_compiler
def test_more_groups_than_blocks() -> None:
    """Three groups a bucket, of which a block takes one after the other."""
    graph, spec = prepare_graph(graphs.surface(9600)), OptimizerSpec(n_epochs=60)
    start = graphs.random_start(9600, 2)
    running = NumbaLayout(build_plan(graph, spec), start, spec, 1)
    running.advance(1, 3)
    device = cuda_host.HostDevice()
    backend = CupyBackend(lambda: device)
    layout = backend.begin(backend.plan(graph, spec), start, spec)
    device.most_blocks = 2
    layout.advance(1, 3)
    assert_equal_bits(layout.positions(), running.positions())


@needs_compiler
@pytest.mark.parametrize("cooperative", [True, False])
def test_where_blocks_cannot_wait_for_one_another(cooperative: bool) -> None:
    graph, spec, start, expected = case("hubs")
    device = cuda_host.HostDevice(cooperative=cooperative)
    assert_equal_bits(run(CupyBackend(lambda: device), graph, spec, start), expected)
    assert ("walk_epochs" in device.launches) == cooperative


@needs_compiler
def test_streamed_chunks_take_turns() -> None:
    """The stand-in refuses to fill a slot that is in use; here three groups make a bucket."""
    graph, spec = prepare_graph(graphs.surface(9600)), OptimizerSpec(n_epochs=60)
    start = graphs.random_start(9600, 2)
    device, plan = cuda_host.HostDevice(), build_plan(graph, spec)
    edges = EdgesOnHost(device, plan, 600)
    layout = layouts.DeviceLayout(device, bring(device, plan, with_edges=False), edges, start, spec)
    device.launches.clear()
    layout.advance(1, 3)
    assert device.launches.count("walk") > 2 * device.launches.count("apply_updates")
    assert device.pinned == [plan.tails.nbytes, plan.rates.nbytes]
    running = NumbaLayout(plan, start, spec, 1)
    running.advance(1, 3)
    assert_equal_bits(layout.positions(), running.positions())


# --- with densities -------------------------------------------------------------------------------

DENSE = OptimizerSpec(n_epochs=24, seed=3, density_weight=2.0)


@cache
def dense_case(name: str, d: int = 2) -> tuple[Any, OptimizerSpec, Any, Density, Any]:
    """Graph, specification, start, densities and what the CPU makes of them."""
    graph = prepare_graph(GRAPHS[name]())
    spec = DENSE.replace(n_components=d)
    density = density_of(graph, density_cases.of_graph(graph), spec)
    start = graphs.random_start(graph.shape[0], d)
    running = NumbaLayout(build_plan(graph, spec), start, spec, 1, density)
    running.advance(1, 24)
    return graph, spec, start, density, running.positions()


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("d", [pytest.param(1, marks=pytest.mark.slow), 2, 3, 10])
def test_whole_layouts_with_densities(gpu_backend: Any, name: str, d: int) -> None:
    graph, spec, start, density, expected = dense_case(name, d)
    layout = gpu_backend.begin(gpu_backend.plan(graph, spec), start, spec, density=density)
    for first, stop in ((1, 9), (9, 18), (18, 19), (19, 24)):  # 16 is the first with densities
        layout.advance(first, stop)
    assert_equal_bits(layout.positions(), expected)


@pytest.mark.parametrize("chunk_edges", [256, 1000, 10**6])
def test_streamed_edges_with_densities(gpu_backend: Any, chunk_edges: int) -> None:
    for name in ("hubs", "surface"):
        graph, spec, start, density, expected = dense_case(name)
        device, plan = gpu_backend.device, build_plan(graph, spec)
        edges = EdgesOnHost(device, plan, chunk_edges)
        brought = bring(device, plan, with_edges=False)
        layout = layouts.DeviceLayout(device, brought, edges, start, spec, density)
        layout.advance(1, 24)
        assert_equal_bits(layout.positions(), expected)


@needs_compiler
@pytest.mark.parametrize("options", [{"reversed_order": True}, {"records": False}], ids=str)
@pytest.mark.parametrize("threads", [1, 256])
def test_densities_do_not_depend_on_the_launch(
    options: dict[str, bool], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "THREADS", threads)
    monkeypatch.setattr("umapcore_cupy.layout.density._SUM_THREADS", 7 * threads)
    graph, spec, start, density, expected = dense_case("hubs", 3)
    backend = CupyBackend(lambda: cuda_host.HostDevice(**options))
    layout = backend.begin(backend.plan(graph, spec), start, spec, density=density)
    layout.advance(1, 24)
    assert_equal_bits(layout.positions(), expected)


@needs_compiler
def test_both_kinds_of_epochs_are_recorded() -> None:
    graph, spec, start, density, _ = dense_case("surface")
    backend: Any = CupyBackend(cuda_host.HostDevice)
    layout = backend.begin(backend.plan(graph, spec), start, spec, density=density)
    assert not layout.recorded
    layout.advance(1, 20)
    assert layout.recorded
    assert all(layout._recordings[kind] is not None for kind in (False, True))


@needs_compiler
def test_only_the_last_epochs_measure_densities() -> None:
    graph, spec, start, density, _ = dense_case("surface")
    backend: Any = CupyBackend(cuda_host.HostDevice)
    layout = backend.begin(backend.plan(graph, spec), start, spec, density=density)
    layout.advance(1, 16)
    assert not {"measure_walkers", "walk_and_spread"} & {*backend.device.launches}
    backend.device.launches.clear()
    layout.advance(16, 20)
    buckets = int((np.diff(build_plan(graph, spec).bucket_offsets) > 0).sum())
    measured = ["measure_walkers", "log_radii", "weigh"]
    walked = buckets * ["walk_and_spread", "apply_updates"]
    assert backend.device.launches == ["set_epoch"] + 4 * (measured + walked + ["next_epoch"])
