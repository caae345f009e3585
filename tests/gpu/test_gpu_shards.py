"""Layouts on several devices have the bits of the numba backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.conftest import ON_GPU, ON_HOST
from tests.gpu.test_gpu_layout import GRAPHS, assert_equal_bits, case, dense_case
from tests.support import cuda_host, graphs
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore_cupy.backend import SeveralGPUs
from umapcore_cupy.layout import layout as layouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umapcore_cupy.host.device import Array, Device


class SameMemory:
    """Links between devices whose arrays can be added to one another, such as one device's."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices, self.closed = devices, False

    def add_up(self, arrays: Sequence[Array]) -> None:
        self._wait()
        total = sum(array.values for array in arrays[1:]) + arrays[0].values
        for array in arrays:
            array.values[...] = total
        self._wait()

    def share(self, arrays: Sequence[Array], owner: int, first: int, last: int) -> None:
        self._wait()
        for number, array in enumerate(arrays):
            if number != owner:
                array.values[first:last] = arrays[owner].values[first:last]
        self._wait()

    def close(self) -> None:
        self.closed = True

    def _wait(self) -> None:
        for device in self.devices:
            device.synchronize()


def opened(kind: str, size: int) -> SeveralGPUs:
    """Give a backend of several stand-ins, or of one GPU that is opened several times."""
    if kind == "CUDA":
        from umapcore_cupy.host.cupy_device import CupyDevice

        return SeveralGPUs(lambda: [CupyDevice() for _ in range(size)], SameMemory)
    return SeveralGPUs(lambda: [cuda_host.HostDevice() for _ in range(size)], SameMemory)


@pytest.fixture(params=[ON_HOST, ON_GPU])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("size", "d"), [(2, 2), (3, 3), (8, 2), (2, 10)])
def test_whole_layouts(kind: str, name: str, size: int, d: int) -> None:
    graph, spec, start, expected = case(name, d)
    backend = opened(kind, size)
    layout = backend.begin(backend.plan(graph, spec), start, spec)
    for first, stop in ((1, 2), (2, 2), (2, 31), (31, 60)):
        layout.advance(first, stop)
    assert_equal_bits(layout.positions(), expected)
    backend.close()


def test_pool_drawn_apart(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "BLOCKS_THAT_DRAW", 0)
    graph, spec, start, expected = case("surface")
    backend = opened(kind, 2)
    layout = backend.begin(backend.plan(graph, spec), start, spec)
    layout.advance(1, 60)
    assert_equal_bits(layout.positions(), expected)
    backend.close()


@pytest.mark.parametrize("name", ["hubs", "surface"])
@pytest.mark.parametrize("d", [2, 3])
def test_densities(kind: str, name: str, d: int) -> None:
    graph, spec, start, density, expected = dense_case(name, d)
    backend = opened(kind, 3)
    layout = backend.begin(backend.plan(graph, spec), start, spec, density=density)
    for first, stop in ((1, 9), (9, 18), (18, 24)):  # 16 is the first with densities
        layout.advance(first, stop)
    assert_equal_bits(layout.positions(), expected)
    backend.close()


def test_numbers_reach_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """One device computes the start for all."""
    if cuda_host.MISSING is not None:
        pytest.skip(str(cuda_host.MISSING))
    asked, backends = [], []

    def open_several(devices: Any) -> SeveralGPUs:
        asked.append(devices)
        backends.append(opened("host", len(devices)))
        return backends[-1]

    monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: None)
    monkeypatch.setattr("umapcore.device.select._open_gpu", open_several)
    graph, spec = graphs.surface(500), OptimizerSpec(n_epochs=20)
    found = simplicial_set_embedding(graph, spec, method="rapids", devices=np.array([1, 0]))
    assert asked == [(1, 0)]
    assert_equal_bits(found, simplicial_set_embedding(graph, spec))
    assert backends[0]._links is None  # closed


@pytest.mark.parametrize("devices", ["0", 3, 1.5])
def test_devices_of_a_wrong_type(devices: Any) -> None:
    with pytest.raises(TypeError, match=r"^devices=.*a list of different numbers of GPUs"):
        simplicial_set_embedding(graphs.surface(60), method="rapids", devices=devices)


@pytest.mark.parametrize("devices", [[], [0, 0], [0, -1]])
def test_devices_that_are_not_allowed(devices: Any) -> None:
    with pytest.raises(ValueError, match=r"^devices="):
        simplicial_set_embedding(graphs.surface(60), method="rapids", devices=devices)


def test_the_cpu_takes_no_devices() -> None:
    with pytest.raises(ValueError, match=r"^devices=.*None for method='umap'"):
        simplicial_set_embedding(graphs.surface(60), OptimizerSpec(), devices=[0])
