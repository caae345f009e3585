"""The benchmark of the GPU backend, tried without a GPU: nothing here says how fast one is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks import report
from benchmarks.generated import generated
from benchmarks.gpu import card, checks, clock, command, measurements
from benchmarks.gpu.goals import LARGEST, LAYOUTS, goals
from benchmarks.gpu.largest import PIECES, fitting, largest, run_epochs
from benchmarks.gpu.lower_bound import Rates
from benchmarks.gpu.on_device import BYTES_A_VERTEX, generated_by
from benchmarks.gpu.runs import Rig, digest, measure
from benchmarks.gpu.sections import Sections
from benchmarks.gpu.table import tables
from tests.support import cuda_host
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host import memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))
RATES = Rates(copy=1e12, copy_in_cache=4e12, operations=1e13, launch=1e-6, cache_bytes=10_000_000)
CARD = {
    "name": "No card at all",
    "compute_capability": "9.0",
    "driver_runs_cuda_up_to": "13.0",
    "cuda_runtime": "13.0",
    "cupy": "14.0.0",
    "nvrtc": "13.0",
}
FIRST_COMMAND = (sys.executable, "-c", 'print(\'{"compile": 0.5, "layout": 1.0}\')')


class WallClock:
    """What times by events on a device, as far as it can be had without one."""

    def time(self, work: Callable[[], Any]) -> tuple[Any, clock.Timing]:
        began = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - began
        return result, clock.Timing(device=seconds, wall=seconds)


RIG = Rig(lambda: CupyBackend(cuda_host.HostDevice), lambda device: WallClock(), np)


# --- measuring


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """Results of a whole run, of which the figures are worth nothing."""
    if cuda_host.MISSING is not None:
        pytest.skip(cuda_host.MISSING)
    options = command.parse(
        ["--sizes", "600", "900", "--epochs", "12", "20", "--runs", "2", "--largest", "1200"]
    )
    options.streamed, options.first_command, options.data = 900, FIRST_COMMAND, None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "CHUNK_EDGES", 1000)
        patch.setattr(measurements, "WHOLE", 700)
        measured = measurements.Measurements(RIG, RATES, options, None).measure()
    versions: dict[str, Any] = {"numba": "0", "numpy": "0", "umapcore": "0"}
    machine = {"processor": "a processor", "cores": 2, "python": "3"}
    whole = {"device": CARD, "machine": machine, "versions": versions, **measured}
    parsed: dict[str, Any] = json.loads(json.dumps(whole))
    return parsed


def test_everything_is_measured(result: dict[str, Any]) -> None:
    assert result["failed"] == {}
    assert [*result["skipped"]] == ["fashion_mnist70k"]
    sizes = [(entry["n_vertices"], entry["n_epochs"]) for entry in result["graphs"]]
    assert sizes == [(600, 12), (600, 20), (600, 12), (900, 12), (900, 20), (900, 12)]
    other = ["the other way" in entry["graph"] for entry in result["graphs"]]
    assert other == [False, False, True] * 2
    assert result["graphs"][2]["digest"] == result["graphs"][0]["digest"]
    for entry in result["graphs"]:
        assert entry["runs_agree"]
        assert entry["epochs_together"] == ("the other way" not in entry["graph"])
        assert entry["epochs_recorded"] != entry["epochs_together"]
        assert entry["place"] == "all on the device"
        for stage in ("upload", "plan", "begin", "epochs", "download"):
            for kind in ("device", "wall"):
                assert len(entry["seconds"][stage][kind]["runs"]) == 2
        # Else a walk and an apply a bucket, and the number of the epoch.
        assert entry["launches_an_epoch"] == (1 if entry["epochs_together"] else 33)
        assert entry["memory"]["within_estimate"]
        seconds = entry["seconds"]["epochs"]["device"]["median"]
        assert entry["over_floor"] == pytest.approx(seconds / entry["floor"]["seconds"])


def test_starts_are_measured(result: dict[str, Any]) -> None:
    assert [one["n_vertices"] for one in result["starts"]] == [600, 900]
    for one in result["starts"]:
        assert one["runs_agree"]
        assert one["bits_equal"]
        assert len(one["seconds"]["wall"]["runs"]) == 2
        assert 8 < one["peak_bytes_an_edge"] < 200


def test_fires_are_counted(result: dict[str, Any]) -> None:
    graph = generated(900).graph
    relative = graph.data.astype(np.float64) / graph.data.max()
    work = result["graphs"][4]["floor"]["work_an_epoch"]
    assert work["n_edges"] == (relative >= 1 / 20).sum()
    assert work["fires"] == pytest.approx(relative[relative >= 1 / 20].sum(), rel=1e-6)
    assert work["n_walkers"] == work["n_vertices"] == 900
    assert work["n_buckets"] == 16
    assert work["n_blocks"] == 16


def test_bits_are_compared(result: dict[str, Any]) -> None:
    cases = [(one["n_vertices"], one["n_components"], one["epochs"]) for one in result["parity"]]
    assert cases == [(600, 2, 12), (600, 3, 12), (900, 2, 10)]
    assert all(one["bits_equal"] for one in result["parity"])
    assert result["parity"][0]["digest"] == result["graphs"][0]["digest"]
    assert result["streamed"]["bits_equal"]
    assert result["streamed"]["place"] == "the edges on the host"


def test_the_largest_graph_is_laid_out(result: dict[str, Any]) -> None:
    found = result["largest"]
    bench, spec = generated(1200), OptimizerSpec(seed=0, n_epochs=12)
    assert found["digest"] == digest(
        simplicial_set_embedding(bench.graph, spec, init=bench.start, progress=False)
    )
    assert found["n_edges"] == bench.graph.nnz
    assert [*found["wall"]] == ["make", "check the graph", "check the start", "plan", "begin"]
    assert found["epochs"]["timed"] == 9
    assert found["epochs"]["seconds_of_others"] is not None
    assert found["finite"]
    assert found["bytes"]["both"] < found["bytes"]["promised"] + memory._SMALL_CHANGE
    length = found["median_length"]
    assert 0 < 4 * length["edges"] < length["pairs"]


@pytest.mark.parametrize(("n", "seed", "rows"), [(64, 0, 64), (700, 0, 1 << 20), (1000, 3, 333)])
def test_graphs_made_by_array_operations_are_the_same(n: int, seed: int, rows: int) -> None:
    expected, found = generated(n, seed=seed), generated_by(np, n, seed=seed, rows=rows)
    graph = expected.graph
    pairs = [(getattr(graph, name), getattr(found, name)) for name in ("indptr", "indices", "data")]
    for one, other in [*pairs, (expected.start, found.start)]:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert found.shape == graph.shape
    assert found.n_bytes == sum(one.nbytes for one, _ in pairs) + found.start.nbytes
    with pytest.raises(ValueError, match="n=63: a generated graph has at least 64 vertices"):
        generated_by(np, 63)


def test_as_large_a_graph_as_fits() -> None:
    assert fitting(10**8, None) == fitting(10**8, PIECES + 10**8 * BYTES_A_VERTEX) == 10**8
    assert fitting(10**8, PIECES + 10**8 * BYTES_A_VERTEX - 1) == 90_000_000
    assert fitting(10**8, PIECES + 123 * BYTES_A_VERTEX) == 100
    with pytest.raises(ValueError, match="bytes are free on the device: too few"):
        fitting(10**8, PIECES)


def test_epochs_for_which_there_is_no_time_are_not_run() -> None:
    asked: list[float] = []
    ran: list[tuple[int, int]] = []
    laid: Any = SimpleNamespace(advance=lambda *epochs: ran.append(epochs))

    def no_time(seconds: float) -> bool:
        asked.append(seconds)
        return False

    found = run_epochs(laid, WallClock(), 200, no_time)
    assert ran == [(1, 3), (3, 23)]
    assert (found["timed"], found["seconds_of_others"]) == (20, None)
    assert asked == [177 * found["seconds_each"]]
    assert found["extrapolated"]["500"] == 500 * found["seconds_each"]


@needs_compiler
def test_a_device_that_does_not_take_the_arrays() -> None:
    class Other(cuda_host.HostDevice):
        def holds(self, array: Any) -> bool:
            return False

    opened: list[cuda_host.HostDevice] = []

    def open_device() -> cuda_host.HostDevice:
        opened.append(Other())
        return opened[-1]

    rig = Rig(lambda: CupyBackend(open_device), lambda device: WallClock(), np)
    with pytest.raises(RuntimeError, match="did not take the graph"):
        largest(rig, OptimizerSpec(n_epochs=5), 100, lambda seconds: True)
    assert [device.closed for device in opened] == [True, True]


@needs_compiler
def test_other_bits_are_noticed() -> None:
    class Wrong(cuda_host.HostDevice):
        def download(self, array: Any, *given: Any, **named: Any) -> np.ndarray:
            found = super().download(array, *given, **named)
            if found.dtype == np.float32 and found.shape[0] == 1200:
                found.view(np.int32)[7] ^= 1
            return found

    rig = Rig(lambda: CupyBackend(Wrong), lambda device: WallClock(), np)
    compared = checks.parity(rig, generated(600), OptimizerSpec(n_epochs=5), 5)
    assert not compared["bits_equal"]
    assert compared["vertices_that_differ"] == 1
    assert 0 < compared["largest_difference"] < 1e-5


@needs_compiler
def test_a_run_is_repeated_on_devices_that_are_closed() -> None:
    opened: list[cuda_host.HostDevice] = []

    def open_device() -> cuda_host.HostDevice:
        opened.append(cuda_host.HostDevice())
        return opened[-1]

    rig = Rig(lambda: CupyBackend(open_device), lambda device: WallClock(), np)
    measured = measure(rig, generated(300), OptimizerSpec(n_epochs=5), runs=3, rates=RATES)
    assert len(opened) == 3
    assert all(device.closed for device in opened)
    assert measured["runs_agree"]


@needs_compiler
def test_a_graph_too_small_to_be_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    device = cuda_host.HostDevice()
    rig = Rig(lambda: CupyBackend(lambda: device), lambda device: WallClock(), np)
    enough = SimpleNamespace(edges_on_host=1 << 40)
    monkeypatch.setattr(checks, "estimate", lambda *given, **named: enough)
    with pytest.raises(ValueError, match="too small to be streamed"):
        checks.streamed(rig, generated(300), OptimizerSpec(n_epochs=5), "")
    assert device.closed


def test_a_start_in_more_dimensions() -> None:
    start = np.arange(6, dtype=np.float32).reshape(3, 2)
    spread = checks.in_dimensions(start, 3)
    np.testing.assert_array_equal(spread, [[0, 1, 0], [2, 3, 2], [4, 5, 4]])
    assert spread.flags.c_contiguous
    assert digest(start) != digest(spread)


# --- the command, its results and the tables


def test_parts_that_fail_or_come_too_late(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str | None] = []
    sections = Sections(60.0, lambda: seen.append(sections.under_way))
    assert sections.run("one", lambda x, y=0: x + y, 1, y=2) == 3
    assert sections.run("two", lambda: 1 / 0) is None
    assert sections.failed == {"two": "ZeroDivisionError: division by zero"}
    assert seen == ["one", "two"]
    assert sections.under_way is None
    assert "ZeroDivisionError" in capsys.readouterr().err
    late = Sections(limit=-1.0)
    assert late.run("three", lambda: 1) is None
    assert "had passed" in late.skipped["three"]


def test_goals_are_met_or_not_or_not_measured(result: dict[str, Any]) -> None:
    found = goals(result)
    assert found == result["goals"]
    # No layout of a size that a goal is set for, nor its start: what is left is compiling and bits.
    layouts = len(LAYOUTS)
    assert [goal["met"] for goal in found] == [None] * (layouts + 1) + [True, None, True]
    other = json.loads(json.dumps(result))
    other["graphs"][2]["digest"] = "another"
    assert goals(other)[-1]["measured"] == 1
    large = json.loads(json.dumps(result["graphs"][0]))
    large |= {"graph": "generated 1,000,000", "n_vertices": 1_000_000, "n_epochs": 200}
    large["seconds"]["epochs"]["device"]["median"] = 0.2
    large["runs_agree"] = False
    large["memory"] |= {"peak_bytes": 100, "promised_bytes": 100}
    found = goals({**result, "graphs": [large]})
    expected: list[bool | None] = [None] * (layouts + 1) + [True, True, None, False]
    expected[LAYOUTS.index((1_000_000, 200, 0.07))] = False
    assert [goal["met"] for goal in found] == expected
    assert [goal["met"] for goal in goals({})] == [None] * (layouts + 4)
    largest = result["largest"] | {"n_vertices": LARGEST[0]}
    assert goals({"largest": largest})[-2]["met"]
    large_bytes = largest["bytes"] | {"both": LARGEST[1] + 1}
    assert goals({"largest": largest | {"bytes": large_bytes}})[-2]["met"] is False
    assert goals({"largest": largest | {"finite": False}})[-2]["met"] is None


def test_tables(result: dict[str, Any]) -> None:
    text = tables(result)
    for part in (
        "No card at all", "generated 900", "edges streamed", "empty cache", "not measured",
        "Not measured: fashion_mnist70k: no folder was given", "| launches ", " yes ",
        "1,200 vertices, ", "| 500 epochs, extrapolated ", "of random pairs",
    ):  # fmt: skip
        assert part in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    known = {name: result[name] for name in ("device", "machine", "versions", "rates")}
    bare = tables({**known, "graphs": [], "goals": goals({})})
    assert "No card at all" in bare
    assert "Medians" not in bare


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--sizes 1e4 ten", "--sizes: ten is not allowed: it must be a number of vertices from 64"),
        ("--sizes 63", "--sizes: 63 is not allowed"),
        ("--sizes inf", "--sizes: inf is not allowed"),
        ("--largest -5", "--largest: -5 is not allowed"),
        ("--epochs 0", "--epochs: '0' is not an integer from 1"),
        ("--runs x", "--runs: 'x' is not an integer from 1"),
    ],
)
def test_options_that_are_refused(
    options: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.parse(options.split())
    assert said in capsys.readouterr().err


def test_no_results_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "gpu_problem", lambda: "no card was found (buy one).")
    out = tmp_path / "gpu.json"
    assert command.main(["--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert printed.err == "Nothing is measured without a GPU: no card was found (buy one).\n"
    assert printed.out == ""
    assert not out.exists()
    assert command.main(["--out", str(out), "--table"]) == 1
    assert "does not exist" in capsys.readouterr().err


def stand_in_for_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "gpu_problem", lambda: None)
    monkeypatch.setattr(command, "CupyDevice", cuda_host.HostDevice)
    monkeypatch.setattr(command, "CupyBackend", RIG.open_backend)
    monkeypatch.setattr(command, "CudaClock", RIG.clock_of)
    monkeypatch.setattr(command, "import_cupy", lambda: np)
    monkeypatch.setattr(card, "describe", lambda: CARD)
    monkeypatch.setattr(card, "measure", lambda device: RATES)
    monkeypatch.setattr(measurements, "compile_seconds", lambda architecture: {
        "plan": {"median": float(architecture)}
    })  # fmt: skip


@needs_compiler
def test_the_command_with_a_stand_in_for_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in_for_the_card(monkeypatch)
    out = tmp_path / "gpu.json"
    arguments = ["--out", str(out), "--sizes", "2e2", "--epochs", "6", "--runs", "1"]
    arguments += ["--largest", "0"]
    assert command.main([*arguments, "--no-first-call", "--data", str(tmp_path)]) == 0
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["device"] == CARD
    assert written["compile"]["plan"]["median"] == 90
    assert "fashion_mnist70k" in written["skipped"]
    assert {"machine", "versions", "rates", "goals", "graphs", "parity"} <= written.keys()
    capsys.readouterr()
    assert command.main(["--out", str(out), "--table"]) == 0
    assert capsys.readouterr().out == tables(written)


@needs_compiler
def test_what_was_measured_before_the_time_was_over_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the beginning of each part, where a time limit may end the process, there is a file."""
    out = tmp_path / "gpu.json"
    kept: list[dict[str, Any]] = []
    write = report.write_json

    def write_and_look(path: Path, content: dict[str, Any], **options: Any) -> None:
        write(path, content, **options)
        kept.append(json.loads(out.read_text(encoding="utf-8")))
        assert [path.name for path in tmp_path.iterdir()] == ["gpu.json"]

    monkeypatch.setattr(report, "write_json", write_and_look)
    stand_in_for_the_card(monkeypatch)
    arguments = ["--sizes", "200", "300", "--epochs", "6", "--runs", "1", "--no-first-call"]
    arguments += ["--largest", "0"]
    assert command.main([*arguments, "--out", str(out)]) == 0
    names = [found["under_way"] for found in kept]
    assert names[:3] == ["warm-up", "NVRTC", "making 200 vertices"]
    assert names[-1] is None
    for found in kept:
        assert "No card at all" in tables(found)
    at = names.index("making 300 vertices")
    assert "| generated 200 " in tables(kept[at])
    assert "ended while it was at: making 300 vertices." in tables(kept[at])


def test_committed_results_can_be_read() -> None:
    if not command.RESULTS.exists():
        pytest.skip("nothing has been measured on a GPU yet")
    measured = json.loads(command.RESULTS.read_text(encoding="utf-8"))
    assert measured["device"]["name"] in tables(measured)


def test_only_a_few_packages_are_needed() -> None:
    absent = "anndata", "h5py", "matplotlib", "pandas", "sklearn", "tqdm", "umap"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        f"sys.path[:] = {sys.path}\n"
        "import benchmarks.gpu.command, benchmarks.gpu.first_call, umapcore_numba.backend\n"
        "from benchmarks.gpu.measurements import fashion\n"
        "print(fashion('.'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "h5py" in done.stdout
