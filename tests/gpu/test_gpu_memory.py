"""Device memory: told beforehand, kept to, given back, and what happens when it is too little."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import cuda_host, graphs
from umapcore import OptimizerSpec, settings, simplicial_set_embedding
from umapcore.errors import GPUMemoryError, GPUUnavailableError
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host import memory

if TYPE_CHECKING:
    from collections.abc import Callable

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))

SPEC = OptimizerSpec(n_epochs=12)


@pytest.fixture(scope="module")
def sheet() -> Any:
    return prepare_graph(graphs.surface(6000))


@pytest.fixture(scope="module")
def expected(sheet: Any) -> np.ndarray:
    return simplicial_set_embedding(sheet, SPEC, init="random")


@pytest.fixture
def small_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let estimates of small graphs not be about what the allocator rounds up."""
    monkeypatch.setattr(memory, "_SMALL_CHANGE", 32 << 10)


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[cuda_host.HostDevice]]:
    """Let method='rapids' run on a stand-in with so much memory; gives the devices opened."""

    def choose(limit: int | None) -> list[cuda_host.HostDevice]:
        opened: list[cuda_host.HostDevice] = []

        def open_device() -> cuda_host.HostDevice:
            opened.append(cuda_host.HostDevice(memory=limit))
            return opened[-1]

        monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: None)
        monkeypatch.setattr("umapcore.device.select._open_gpu", lambda *_: CupyBackend(open_device))
        return opened

    return choose


def needs_of(graph: Any, spec: OptimizerSpec = SPEC) -> memory.Needs:
    return memory.estimate(
        graph.shape[0],
        graph.nnz,
        spec.n_components,
        graph_there=False,
        density=spec.density_weight > 0,
    )


@needs_compiler
@pytest.mark.usefixtures("small_change")
@pytest.mark.parametrize("d", [1, 2, 3, 10])
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_estimates_are_close_from_above(
    sheet: Any, d: int, place: int, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CHUNK_EDGES", 4096)
    spec = SPEC.replace(n_components=d, density_weight=weight, density_fraction=1.0)
    density = density_of(sheet, sheet, spec) if weight else None
    estimates = needs_of(sheet, spec).by_place()
    estimated = list(estimates.values())[place]
    # Of equal estimates the first.
    name = next(name for name, needed in estimates.items() if needed == estimated)
    backend: Any = CupyBackend(lambda: cuda_host.HostDevice(memory=estimated))
    planned = backend.plan(sheet, spec)
    assert planned.place == name
    layout = backend.begin(planned, graphs.random_start(6000, d), spec, density=density)
    layout.advance(1, 4)
    layout.positions()
    assert 0.7 * estimated < backend.device.peak_bytes() <= estimated


def test_two_dimensions_take_what_was_promised() -> None:
    for n, n_edges in ((10**6, 19 * 10**6), (10**7, 19 * 10**7), (70_000, 1_500_000)):
        needed = memory.estimate(n, n_edges, 2, graph_there=False).all_on_device
        assert needed <= 16 * n_edges + 64 * n + (8 << 20)


@pytest.mark.gpu
def test_peak_on_a_device(sheet: Any) -> None:
    graph = prepare_graph(graphs.surface(60_000))
    backend: Any = CupyBackend()
    layout = backend.begin(backend.plan(graph, SPEC), graphs.random_start(60_000, 2), SPEC)
    layout.advance(1, 4)
    layout.positions()
    assert 0 < backend.device.peak_bytes() <= needs_of(graph).all_on_device
    backend.close()


@pytest.mark.gpu
def test_everything_is_given_back_on_a_device(sheet: Any) -> None:
    import cupy

    def interrupt(epoch: int, positions: np.ndarray) -> None:
        raise KeyboardInterrupt

    simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    free = cupy.cuda.runtime.memGetInfo()[0]
    kept = []  # as a notebook keeps the last traceback
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt) as caught:
            simplicial_set_embedding(
                sheet, SPEC, init="random", method="rapids", callback=interrupt
            )
        kept.append(caught)
    assert cupy.cuda.runtime.memGetInfo()[0] >= free - (2 << 20)


@needs_compiler
def test_everything_is_given_back(sheet: Any, on_device: Any) -> None:
    def interrupt(epoch: int, positions: np.ndarray) -> None:
        raise KeyboardInterrupt

    opened = on_device(None)
    with pytest.raises(KeyboardInterrupt) as kept:
        simplicial_set_embedding(sheet, SPEC, init="random", method="rapids", callback=interrupt)
    simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    assert kept.value.__traceback__ is not None
    assert len(opened) == 2
    for device in opened:
        assert device.closed
        assert device.arrays.n_bytes() == 0


@needs_compiler
@pytest.mark.usefixtures("small_change")
@pytest.mark.parametrize("place", range(3))
def test_less_memory_means_another_place_and_the_same_bits(
    sheet: Any, expected: np.ndarray, on_device: Any, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CHUNK_EDGES", 4096)
    (device,) = [None]
    opened = on_device(list(needs_of(sheet).by_place().values())[place])
    found = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    (device,) = opened
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))
    assert ("count_rows" in device.launches) == (place == 0)
    assert (len(device.pinned) > 0) == (place == 2)


@needs_compiler
@pytest.mark.usefixtures("small_change")
def test_somebody_takes_the_memory_meanwhile(
    sheet: Any, expected: np.ndarray, on_device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was free when it was asked for is not there any more: the next place is tried."""
    monkeypatch.setattr(cuda_host.HostDevice, "free_bytes", lambda self: 10**12)
    monkeypatch.setattr(memory, "CHUNK_EDGES", 4096)
    opened = on_device(needs_of(sheet).edges_on_host)
    found = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    np.testing.assert_array_equal(found, expected)
    assert len(opened[0].pinned) == 2


@needs_compiler
def test_too_little_for_anything(
    sheet: Any,
    expected: np.ndarray,
    on_device: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    on_device(1000)
    backend = CupyBackend(lambda: cuda_host.HostDevice(memory=1000))
    with pytest.raises(GPUMemoryError, match=r"6000 vertices needs at least .* MiB .* 1000 bytes"):
        backend.plan(sheet, SPEC)

    with pytest.warns(UserWarning, match="runs on the CPU: .* GPU memory") as caught:
        found = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(found, expected)

    with warnings.catch_warnings(), caplog.at_level(logging.INFO, "umapcore"):
        warnings.simplefilter("error")
        found = simplicial_set_embedding(sheet, SPEC, init="random", method="auto")
    assert "GPU memory" in caplog.text
    np.testing.assert_array_equal(found, expected)

    monkeypatch.setattr(settings, "gpu_fallback", False)
    with pytest.raises(GPUUnavailableError, match="GPU memory"):
        simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")


@pytest.mark.gpu
def test_too_little_on_a_device(sheet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy's own limit makes a real allocation fail."""
    from umapcore_cupy.host.cupy_device import CupyDevice

    def small_device() -> CupyDevice:
        device = CupyDevice()
        assert device._pool is not None
        device._pool.set_limit(size=200_000)
        return device

    backend = CupyBackend(small_device)
    with pytest.raises(GPUMemoryError):
        backend.plan(sheet, SPEC)
    backend.close()


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (1000, "1000 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB"),
     (5 << 42, "20480.0 GiB")],
)  # fmt: skip
def test_bytes_in_words(n_bytes: int, text: str) -> None:
    assert memory.in_words(n_bytes) == text
