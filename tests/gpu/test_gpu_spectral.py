"""The spectral start on a device has the bits of the one on the CPU."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

from benchmarks.generated import generated
from tests.support import cuda_host, graphs
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore.device.spectral_ops import BLOCK_ROWS, RUN
from umapcore.errors import GPUMemoryError
from umapcore.graph.csr import prepare_graph
from umapcore.init import multilevel
from umapcore.init.spectral import spectral_layout
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host.programs import THREADS
from umapcore_cupy.layout.graph import bring_graph
from umapcore_cupy.spectral.ops import CupySpectralOps
from umapcore_numba.spectral.ops import NumbaSpectralOps

if TYPE_CHECKING:
    from umapcore_cupy.spectral.level import DeviceLevel
    from umapcore_numba.spectral.level import NumbaLevel

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))


def pendants() -> sparse.csr_array:
    """A clique, to one member of which everything else hangs by a thread."""
    graph = sparse.block_diag(
        [sparse.coo_array(np.ones((8, 8)) * 100), np.zeros((900, 900))]
    ).tolil()
    graph[0, 8:] = graph[8:, 0] = 0.01
    return sparse.csr_array(graph)


def secluded_clusters() -> sparse.csr_array:
    sheet, clique = graphs.surface(900), np.ones((6, 6)) - np.eye(6)
    graph = sparse.block_diag([sheet] + [clique] * 3).tolil()
    for k in range(3):
        graph[300 * k, 900 + 6 * k] = graph[900 + 6 * k, 300 * k] = 1e-4
    return sparse.csr_array(graph)


def rising_path() -> sparse.csr_array:
    weights = 1.0 + np.arange(999) / 1000
    return sparse.diags_array([weights, weights], offsets=[1, -1], format="csr")


SHAPES = {
    "surface": lambda: graphs.surface(2500),
    "hubs": lambda: graphs.hub(2 * RUN + 300),
    "star": lambda: graphs.star(1500),
    "path": lambda: graphs.path(1200),
    "rising path": rising_path,
    "grid": lambda: graphs.random_weights(graphs.grid(60, 50)),
    "tree": lambda: graphs.random_tree(1500),
    "pendants": pendants,
    "secluded clusters": secluded_clusters,
    "complete": lambda: sparse.csr_array(np.ones((RUN + 50, RUN + 50))),
    "tiny weights": lambda: graphs.surface(400) * np.float32(1e-30),
}


def on_host(device: Any, array: Any) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else device.download(array)


def assert_same_level(device: Any, found: DeviceLevel, expected: NumbaLevel) -> None:
    names = ["indptr", "indices", "weights", "degrees", "inverse"]
    for name in names + ["shares"] * (found.shares is not None):
        home = expected.graph if hasattr(expected.graph, name) else expected
        value, wanted = on_host(device, getattr(found, name)), getattr(home, name)
        np.testing.assert_array_equal(value, wanted, err_msg=name)
    assert found.bound == expected.bound
    assert found.n_vertices == expected.n_vertices
    assert found.n_edges == expected.graph.indices.shape[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_same_hierarchy(gpu_backend: Any, shape: str) -> None:
    graph = prepare_graph(SHAPES[shape]())
    device, numba = gpu_backend.device, NumbaSpectralOps(1)
    with gpu_backend.spectral_ops() as gpu:
        level, expected = gpu.finest(graph), numba.finest(graph)
        n_levels = 0
        while True:
            assert_same_level(device, level, expected)
            n_levels += 1
            if expected.n_vertices < 20 or n_levels > 20:
                break
            level, aggregates = gpu.coarsen(level)
            expected, wanted = numba.coarsen(expected)
            for name in ("coarse", "offsets", "members"):
                value = device.download(getattr(aggregates, name))
                np.testing.assert_array_equal(value, getattr(wanted, name), err_msg=name)
        assert 3 <= n_levels <= 20


@pytest.mark.parametrize("by_place", [True, False])
def test_same_order(gpu_backend: Any, rng: np.random.Generator, by_place: bool) -> None:
    graph = prepare_graph(graphs.hub(700))
    device, numba = gpu_backend.device, NumbaSpectralOps(1)
    with gpu_backend.spectral_ops() as gpu:
        level, expected = gpu.finest(graph), numba.finest(graph)
        _, aggregates = gpu.coarsen(level)
        _, wanted = numba.coarsen(expected)
        given = rng.permutation(wanted.offsets.shape[0] - 1).astype(np.int32)
        for theirs, ours in ((None, None), (device.upload(given), given)):
            found = gpu.unfold(aggregates, theirs, by_place=by_place)
            sought = numba.unfold(wanted, ours, by_place=by_place)
            for value, right in zip(found, sought, strict=True):
                np.testing.assert_array_equal(device.download(value), right)
            reordered = gpu.reorder(level, found[0])
            assert_same_level(device, reordered, numba.reorder(expected, sought[0]))


@pytest.mark.parametrize(
    ("n", "width"),
    [
        (30, 8), (BLOCK_ROWS, 8), (5 * BLOCK_ROWS + 7, 8), (30, 24), (5 * BLOCK_ROWS + 7, 24),
        (30, THREADS + 8), (BLOCK_ROWS + 9, THREADS + 8),
    ],
)  # fmt: skip
def test_same_blocks(gpu_backend: Any, rng: np.random.Generator, n: int, width: int) -> None:
    graph = graphs.random_weights(graphs.path(n)).tolil()
    for hub in (0, 7):
        graph[hub, : n - 9] = graph[: n - 9, hub] = 0.3
    graph = prepare_graph(sparse.csr_array(graph))
    x, y = rng.normal(size=(2, n, width)).astype(np.float32)
    rotation, offset = rng.normal(size=(width, width)), rng.normal(size=width)
    source = rng.integers(n, size=n + 3).astype(np.int32)
    order = rng.permutation(n).astype(np.int32)
    results = []
    for ops in (gpu_backend.spectral_ops(), NumbaSpectralOps(1)):
        level = ops.finest(graph)
        first, second = ops.block(x), ops.block(y.copy())
        second, first = ops.apply(level, first, second, [(0.7, -0.2, 1.3)])
        gram = ops.gram(level, first, second)
        third = ops.zeros_like(first)
        ops.rotate(second, rotation, offset, third)
        numba = isinstance(ops, NumbaSpectralOps)
        prolonged = ops.prolong(third, source if numba else gpu_backend.device.upload(source))
        places = order if numba else gpu_backend.device.upload(order)
        blocks = [second, third, prolonged]
        if not numba:
            blocks = [gpu_backend.device.download(b.values).reshape(b.n, b.width) for b in blocks]
        unscaled = [ops.unscale(level, third, where, 3) for where in (None, places)]
        results.append([*blocks, gram, *unscaled])
    for value, wanted in zip(*results, strict=True):
        assert value.shape == wanted.shape
        assert value.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("d", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("shape", SHAPES)
def test_same_layouts(
    gpu_backend: Any, shape: str, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Levels of more than 300 vertices are renumbered, as large ones are."""
    monkeypatch.setattr(multilevel, "_OUT_OF_CACHE", 300)
    graph = prepare_graph(SHAPES[shape]())
    with gpu_backend.spectral_ops() as ops:
        found = spectral_layout(graph, d, seed=0, ops=ops)
    assert found.tobytes() == spectral_layout(graph, d, seed=0).tobytes()


@needs_compiler
@pytest.mark.parametrize("shape", SHAPES)
def test_order_of_threads_does_not_matter(shape: str) -> None:
    graph = prepare_graph(SHAPES[shape]())
    backend: Any = CupyBackend(lambda: cuda_host.HostDevice(reversed_order=True))
    with backend.spectral_ops() as ops:
        found = spectral_layout(graph, 2, seed=0, ops=ops)
    assert found.tobytes() == spectral_layout(graph, 2, seed=0).tobytes()


@needs_compiler
def test_the_host_has_little_to_do() -> None:
    """What it asks of the device takes longer than much of what it asks for."""
    device = cuda_host.HostDevice()
    backend: Any = CupyBackend(lambda: device)
    graph = backend._bring(generated(100_000).graph)
    with backend.spectral_ops() as ops:
        device.asked.clear()
        device.launches.clear()
        spectral_layout(graph, 2, seed=0, ops=ops)
    # A third of what it was before kernels were launched cooperatively.
    assert len(device.launches) <= 1262 / 3
    assert device.asked["downloads"] <= 120 / 3
    assert device.asked["allocations"] <= 588 / 3
    assert device.asked["uploads"] <= 68


def test_same_components(gpu_backend: Any, rng: np.random.Generator) -> None:
    blocks = [
        graphs.surface(500), graphs.path(40), graphs.star(5), graphs.path(2), graphs.path(1),
        graphs.surface(60),
    ]  # fmt: skip
    graph = prepare_graph(sparse.block_diag(blocks, format="csr"))
    order = rng.permutation(graph.shape[0])
    graph = prepare_graph(graph[order][:, order])
    representation = rng.normal(size=(graph.shape[0], 7))
    with gpu_backend.spectral_ops() as ops:
        found = spectral_layout(graph, 2, seed=0, representation=representation, ops=ops)
    expected = spectral_layout(graph, 2, seed=0, representation=representation)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (graphs.surface(400), 1),
        (graphs.path(2000), 1),
        (graphs.star(300), 1),
        (graphs.clusters(220), 3),
        (sparse.csr_array((7, 7)), 7),
    ],
)
def test_components_of_what_is_on_the_device(
    gpu_backend: Any, graph: sparse.csr_array, expected: int
) -> None:
    ready = prepare_graph(graph)
    rows = (ready.indptr.astype(np.int32), ready.indices, ready.data)
    there = gpu_backend._bring(ready)
    with gpu_backend.spectral_ops() as ops:
        count, labels = ops.components(there)
        assert count == expected
        if count > 1:
            np.testing.assert_array_equal(labels, ops.components(ready)[1])
        back = ops.to_host(there)
    for value, wanted in zip((back.indptr, back.indices, back.data), rows, strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("where", ["host", "device"])
@pytest.mark.parametrize("name", ["surface", "clusters"])
def test_from_graph_to_embedding(
    gpu_backend: Any, monkeypatch: pytest.MonkeyPatch, name: str, where: str
) -> None:
    graph = prepare_graph({"surface": graphs.surface(700), "clusters": graphs.clusters(220)}[name])
    spec = OptimizerSpec(n_epochs=12)
    expected = simplicial_set_embedding(graph, spec, progress=False)
    monkeypatch.setattr("umapcore.layout.embed.resolve_backend", lambda method, **_: gpu_backend)
    brought = []

    def bring(device: Any, host: Any) -> Any:
        brought.append(host.shape)
        return bring_graph(device, host)

    monkeypatch.setattr("umapcore_cupy.backend.bring_graph", bring)
    if where == "device":
        there = bring_graph(gpu_backend.device, graph)
        monkeypatch.setattr("umapcore.layout.embed.on_gpu", lambda array: array is graph)
        monkeypatch.setattr(gpu_backend, "adopt_graph", lambda array: there)
    found = simplicial_set_embedding(graph, spec, method="rapids", progress=False)
    assert found.tobytes() == expected.tobytes()
    if name == "surface":
        # Once, for the start and for the plan.
        assert brought == ([graph.shape] if where == "host" else [])


@needs_compiler
def test_the_cpu_steps_in(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    graph, spec = prepare_graph(graphs.surface(700)), OptimizerSpec(n_epochs=12)
    expected = simplicial_set_embedding(graph, spec, progress=False)
    backend: Any = CupyBackend(cuda_host.HostDevice)
    monkeypatch.setattr("umapcore.layout.embed.resolve_backend", lambda method, **_: backend)

    def fail(*_: object) -> None:
        raise GPUMemoryError("there is no more")

    monkeypatch.setattr(CupySpectralOps, "coarsen", fail)
    with caplog.at_level(logging.INFO, logger="umapcore"):
        found = simplicial_set_embedding(graph, spec, method="rapids", progress=False)
    assert found.tobytes() == expected.tobytes()
    assert "on the CPU, which gives the same bits: there is no more" in caplog.text
