"""Clocks, rates and first calls of the GPU's benchmark, without a GPU."""

from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.generated import generated
from benchmarks.gpu import card, clock, first_call
from tests.support import cuda_host
from tests.support.nvrtc import needs_nvrtc
from tests.support.ptx import forbidden
from umapcore_cupy.backend import CupyBackend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))
FIRST = (
    "import json, os, pathlib, sys\n"
    "cache = pathlib.Path(os.environ['UMAPCORE_CACHE_DIR'])\n"
    "filled = cache.exists()\n"
    "cache.mkdir(exist_ok=True)\n"
    "assert pathlib.Path(sys.argv[1]).is_file()\n"
    "print('chatter')\n"
    "print(json.dumps({'compile': 0.25 if filled else 0.75, 'layout': 1.0}))\n"
)
FIRST_COMMAND = (sys.executable, "-c", FIRST)


def test_clock_by_events(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    class Event:
        def record(self, stream: Any) -> None:
            order.append(f"event on {stream.name}")

        def synchronize(self) -> None:
            order.append("wait")

    cuda = SimpleNamespace(Event=Event, get_elapsed_time=lambda before, after: 12.5)
    monkeypatch.setattr(clock, "import_cupy", lambda: SimpleNamespace(cuda=cuda))
    stream = SimpleNamespace(name="its stream", synchronize=lambda: order.append("idle"))
    for device in (SimpleNamespace(_stream=stream), SimpleNamespace(stream=stream)):
        order.clear()
        _, timing = clock.CudaClock(device).time(lambda: order.append("work"))
        assert order == ["idle", "event on its stream", "work", "event on its stream", "wait"]
        assert timing.device == 0.0125
        assert 0 < timing.wall < 1


class FixedClock:
    """Every work takes a second and is done."""

    def time(self, work: Callable[[], Any]) -> tuple[Any, clock.Timing]:
        return work(), clock.Timing(device=1.0, wall=1.0)


@needs_compiler
@pytest.mark.parametrize("records", [True, False])
def test_cost_of_a_launch(records: bool) -> None:
    device = cuda_host.HostDevice(records=records)
    assert card.launch_seconds(device, FixedClock()) == 1 / card.LAUNCHES
    assert set(device.launches) == {"next_epoch"}
    assert len(device.launches) == (2 + card.REPEATS) * card.LAUNCHES


def test_rate_of_copies() -> None:
    copied: list[tuple[str, int, str]] = []

    def copy_from_device_async(source: str, n_bytes: int, stream: str) -> None:
        copied.append((source, n_bytes, stream))

    pointer = SimpleNamespace(copy_from_device_async=copy_from_device_async)
    array = SimpleNamespace(values=SimpleNamespace(data=pointer))
    device: Any = SimpleNamespace(zeros=lambda count, dtype: array, stream="its stream")
    assert card.copy_rate(device, FixedClock(), 1000, 3) == 6000.0
    assert copied == [(pointer, 1000, "its stream")] * 3 * (1 + card.REPEATS)


@needs_nvrtc
def test_chains_of_operations_stay_apart() -> None:
    ptx = card.chains_program(90, ptx=True).decode()
    assert forbidden(ptx) == []
    loop = 4 * card.CHAINS
    assert len(re.findall(r"\bmul\.rn\.f32", ptx)) >= loop
    assert len(re.findall(r"\badd\.rn\.f32", ptx)) >= loop
    assert card.chains_program(90)[:4] == b"\x7fELF"


def test_words_of_the_driver(tmp_path: Path) -> None:
    path = tmp_path / "version"
    assert card.driver_text(path) is None
    path.write_text("NVRM version:  NVIDIA  575.57\nGCC version: 12\n", encoding="utf-8")
    assert card.driver_text(path) == "NVRM version: NVIDIA 575.57"


def test_first_call_with_empty_and_with_filled_cache() -> None:
    found = first_call.in_fresh_processes(generated(100), FIRST_COMMAND)
    assert found["empty_cache"]["compile"] == 0.75
    assert found["filled_cache"]["compile"] == 0.25
    assert len(found["filled_cache_runs"]) == first_call.REPEATS
    assert found["empty_cache"]["whole_process"] > 0
    with pytest.raises(RuntimeError, match="no such thing"):
        first_call.in_fresh_processes(
            generated(100), (sys.executable, "-c", "raise SystemExit('no such thing')")
        )


@needs_compiler
def test_stages_of_a_first_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = generated(100)
    graph = bench.graph
    path = tmp_path / "graph.npz"
    np.savez(path, data=graph.data, indices=graph.indices, indptr=graph.indptr, start=bench.start)
    first_layout = first_call.first_layout
    on_host = lambda path: first_layout(path, lambda: CupyBackend(cuda_host.HostDevice))  # noqa: E731
    monkeypatch.setattr(first_call, "first_layout", on_host)
    assert first_call.main([str(path)]) == 0
    stages = json.loads(capsys.readouterr().out)
    assert [*stages] == ["imports", "reading", "device", "compile", "layout"]


@needs_nvrtc
def test_compiling_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_call, "REPEATS", 1)
    monkeypatch.setattr(first_call, "COMPILED", (("plan", 2), ("layout", 3)))
    found = first_call.compile_seconds(90)
    assert [*found] == ["plan", "layout, 3-D"]
    assert all(one["median"] > 0 and one["bytes"] > 1000 for one in found.values())
