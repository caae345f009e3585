"""What ten minutes with a GPU are used for, tried without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.gpu import command, limited, ten_minutes
from benchmarks.gpu.checkout import ROOT, environment
from benchmarks.gpu.parts import bits, cpu, cross_backend, machine, neighbours, profilers, workload
from benchmarks.gpu.parts.cases import N_HUBS, cases
from benchmarks.gpu.parts.differences import difference
from benchmarks.gpu.parts.results import Results
from benchmarks.gpu.ten_minutes import CANNOT, PARTS, Part
from tests.support import cuda_host
from umapcore.layout.constants import LONGEST_WALK
from umapcore.layout.plan import build_plan
from umapcore_cupy.backend import CupyBackend

if TYPE_CHECKING:
    from pathlib import Path

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))

GOOD = Part("good", 60, ("-c", "print('all is well')"))
BAD = Part("bad", 60, ("-c", "print('so far'); raise SystemExit(3)"))
CRASHES = Part("crashes", 60, ("-c", "import os; os.abort()"))
CANNOT_BE = Part("cannot be", 60, ("-c", f"print('no such tool'); raise SystemExit({CANNOT})"))
# Interrupted, it goes on; so does the process that it has started.
HANGS = Part("hangs", 5, ("-c", """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""), "hangs.txt")  # fmt: skip
SLOW = Part("slow", 20, ("-c", """
import sys, time
print("{out}")
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("interrupted")
"""), "slow.txt")  # fmt: skip
WRITES = Part("writes", 60, ("-c", """
from pathlib import Path
import umapcore, umapcore_cupy
Path("{out}/.found.json.partial").write_text("half")
Path("{out}/found.json").write_text("whole")
"""), results="found.json")  # fmt: skip


def parts_of(out: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return dict(found["parts"])


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- the parts' processes


def test_each_part_is_done_whatever_the_others_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "out"
    parts = (BAD, CRASHES, CANNOT_BE, WRITES, GOOD)
    assert ten_minutes.ten_minutes(out, parts=parts) == 1
    found = parts_of(out)
    assert [entry["status"] for entry in found.values()] == [
        "failed", "failed", "skipped", "done", "done",
    ]  # fmt: skip
    assert found["bad"]["reason"] == "exit status 3: so far"
    assert found["crashes"]["reason"].startswith(f"exit status {-signal.SIGABRT}: ")
    assert found["cannot be"]["reason"] == "no such tool"
    assert found["writes"]["files"] == ["console.txt", "found.json"]
    assert sorted(path.name for path in out.iterdir()) == [
        "console.txt", "found.json", "summary.json",
    ]  # fmt: skip
    console = (out / "console.txt").read_text(encoding="utf-8")
    assert "=== bad: failed\nso far\n" in console
    assert "=== good: done\nall is well\n" in console
    printed = capsys.readouterr().out
    for name in found:
        assert f"| {name} " in printed


def test_results_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for _ in range(2):
        assert ten_minutes.ten_minutes(tmp_path, parts=(GOOD, CANNOT_BE)) == 0
    console = (tmp_path / "console.txt").read_text(encoding="utf-8")
    assert console.count("all is well") == 1
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="processes are looked up in /proc")
def test_a_part_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    began = time.perf_counter()
    assert ten_minutes.ten_minutes(tmp_path, parts=(HANGS, GOOD)) == 1
    assert time.perf_counter() - began < 100
    found = parts_of(tmp_path)
    assert [entry["status"] for entry in found.values()] == ["over its time", "done"]
    pid = int(found["hangs"]["reason"].split()[-1])
    deadline = time.perf_counter() + 60
    while is_running(pid) and time.perf_counter() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def test_a_part_whose_time_is_over_has_written_what_it_was_at(tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path\n"
        "from benchmarks.gpu.parts.results import from_command_line\n"
        "results = from_command_line('', ['--out', '{out}/found.json'])\n"
        "results.found['first'] = results.steps.run('one', lambda: 1)\n"
        "results.steps.run('two', time.sleep, 600)\n"
    )
    part = Part("long", 12, ("-c", code), results="found.json")
    assert ten_minutes.ten_minutes(tmp_path, parts=[part]) == 1
    assert parts_of(tmp_path)["long"]["reason"] == "it was at: two"
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert (found["first"], found["under_way"]) == (1, "two")
    assert "most recent call first" in (tmp_path / "console.txt").read_text(encoding="utf-8")


def test_time_that_is_left_is_handed_on_and_parts_may_say_what_they_were_at(
    tmp_path: Path,
) -> None:
    assert ten_minutes.ten_minutes(tmp_path, scale=0.1, parts=(GOOD, SLOW)) == 1
    found = parts_of(tmp_path)
    assert found["slow"]["status"] == "over its time"
    assert 2 < found["slow"]["limit"] <= 8
    assert found["slow"]["reason"] == "the last line it printed: interrupted"
    assert str(tmp_path) in (tmp_path / "slow.txt").read_text(encoding="utf-8")


def test_of_much_that_is_printed_both_ends_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ten_minutes, "MOST_PRINTED", 1000)
    much = Part("much", 60, ("-c", "print('first'); print('x' * 10**6); print('last')"))
    assert ten_minutes.ten_minutes(tmp_path, parts=(much, GOOD)) == 0
    console = (tmp_path / "console.txt").read_text(encoding="utf-8")
    assert len(console) < 1300
    for part in ("first\nx", "bytes are left out here", "x\nlast\n", "all is well"):
        assert part in console


def test_the_summary_says_how_far_it_came_when_all_is_ended(tmp_path: Path) -> None:
    code = (
        "import signal\n"
        "from pathlib import Path\n"
        "from benchmarks.gpu.ten_minutes import Part, ten_minutes\n"
        "said = 'print(1, flush=True); import time; time.sleep(600)'\n"
        f"ten_minutes(Path({str(tmp_path)!r}), parts=[Part('one', 600, ('-c', said)),"
        " Part('two', 600, ('-c', ''))])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment(tmp_path / "cache"), cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().split()[-1] == "one"
        process.terminate()
        process.stdout.read()
    assert process.returncode != 0
    assert [entry["status"] for entry in parts_of(tmp_path).values()] == ["under way", "not begun"]


def test_the_real_parts_fit_and_can_be_started() -> None:
    assert sum(part.seconds for part in PARTS) < 600
    files = {"summary.json", *(part.printed for part in PARTS)}
    files |= {part.results for part in PARTS if part.results is not None}
    assert len(files) <= 8
    printing = max(sum(p.printed == part.printed for p in PARTS) for part in PARTS)
    assert printing * ten_minutes.MOST_PRINTED < 15_000_000
    for part in PARTS:
        words = [word.format(out="OUT", begin=17.5) for word in part.command]
        assert words[0] == "-m"
        assert not any("{" in word for word in words)
        if words[1] == "benchmarks.gpu":
            options = command.parse(words[2:])
            assert (options.limit, options.runs, str(options.out)) == (17.5, 3, "OUT/gpu.json")


@pytest.mark.parametrize("part", ["bits", "cpu", "cross_backend"])
def test_parts_are_commands(part: str, tmp_path: Path) -> None:
    """With no time at all: nothing is begun, and the file says so."""
    out = tmp_path / "found.json"
    done = limited.run_limited(
        [sys.executable, "-m", f"benchmarks.gpu.parts.{part}", "--out", str(out), "--limit", "-1"],
        300, tmp_path / "console", environment=environment(tmp_path), folder=ROOT,
    )  # fmt: skip
    assert done.status in (0, 1), (tmp_path / "console").read_text(encoding="utf-8")
    found = json.loads(out.read_text(encoding="utf-8"))
    assert "had passed" in " ".join(found["skipped"].values())
    assert found["failed"] == {}
    assert found["under_way"] is None


def test_nothing_is_written_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "gpu_problem", lambda: "no card was found (buy one).")
    out = tmp_path / "out"
    assert command.main(["--ten-minutes", str(out)]) == 1
    printed = capsys.readouterr()
    assert printed.err == "Nothing is measured without a GPU: no card was found (buy one).\n"
    assert not out.exists()
    monkeypatch.setattr(command, "gpu_problem", lambda: None)
    asked: list[Any] = []
    monkeypatch.setattr(command, "ten_minutes", lambda *given: asked.extend(given) or 7)
    assert command.main(["--ten-minutes", str(out), "--scale", "0.5"]) == 7
    assert asked == [out, 0.5]


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf"])
def test_a_scale_that_is_none(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.parse(["--ten-minutes", "out", "--scale", scale])
    assert f"--scale: {scale} is not allowed" in capsys.readouterr().err


def test_the_environment_finds_the_packages_and_keeps_the_users_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "my kernels")
    monkeypatch.delenv("UMAPCORE_CACHE_DIR", raising=False)
    found = environment(tmp_path)
    places = found["PYTHONPATH"].split(os.pathsep)
    assert places == [str(ROOT), str(ROOT / "backends"), "mine"]
    assert found["NUMBA_CACHE_DIR"] == "my kernels"
    assert found["UMAPCORE_CACHE_DIR"].startswith(str(tmp_path))


# --- what the parts do


def test_differences_are_found() -> None:
    wanted = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert difference(wanted.copy(), wanted) == {"equal": True}
    found = wanted.copy()
    found[4, 1], found[5, 0] = np.nan, 11.0
    told = difference(found, wanted)
    assert told["first_rows"] == [4, 5]
    assert (told["rows"], told["rows_that_differ"]) == (6, 2)
    assert told["largest_difference"] == "nan"
    zero = np.zeros(1, np.float32)
    assert not difference(-zero, zero)["equal"], "bits, not values"
    assert difference(zero.astype(np.float64), zero) == {
        "equal": False, "found": "float64 (1,)", "wanted": "float32 (1,)",
    }  # fmt: skip
    assert difference(zero[:0], zero[:0]) == {"equal": True}


def test_cases_are_of_every_kind() -> None:
    by_name = {case.name: case for case in cases(400, 30)}
    assert by_name["3-D"].start.shape == (400, 3)
    hubs = by_name["hubs"]
    plan = build_plan(hubs.graph, hubs.spec)
    degrees = np.diff(hubs.graph.indptr)
    assert (degrees[:N_HUBS] > LONGEST_WALK).all()
    assert plan.heads.size > 400 + N_HUBS - 1
    assert abs(hubs.graph - hubs.graph.T).nnz == 0
    dense = by_name["densities"]
    assert dense.density is not None
    first = dense.spec.density_epoch(30)
    assert bits.stops(dense) == sorted({0, 1, 2, 5, 20, first - 1, first, first + 1, 29})
    assert bits.stops(by_name["2-D"]) == [0, 1, 2, 5, 20, 29]


@pytest.fixture
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "COMPARED", 600)
    monkeypatch.setattr(neighbours, "TIMED", {"exact": 500, "approximate": 900})


@needs_compiler
@pytest.mark.usefixtures("few_points")
def test_bits_stage_by_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(tmp_path / "bits.json", 1000.0)
    assert bits.compare(results, lambda: CupyBackend(cuda_host.HostDevice), cases(400, 12)) == 0
    found = json.loads((tmp_path / "bits.json").read_text(encoding="utf-8"))
    for name in ("2-D", "3-D", "hubs", "densities"):
        stages = [stage["stage"] for stage in found[name]["stages"]]
        for part in ("graph: data", "plan: tails", "spectral start", "after epoch 0"):
            assert part in stages
        assert stages[-1] == "after epoch 11"
        assert found[name]["first_difference"] is None
    assert found["placement"] == {"equal": True}
    assert found["neighbours"]["equal"]
    assert found["neighbours"]["approximate"]["recall"] == {"equal": True}
    assert found["times_of_searches"]["approximate"]["n_points"] == 900
    assert found["under_way"] is None
    assert "2-D: equal\n" in capsys.readouterr().out


@needs_compiler
@pytest.mark.usefixtures("few_points")
def test_a_difference_is_located(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Wrong(cuda_host.HostDevice):
        """Plans and layouts come out of it with one bit turned over."""

        def download(self, array: Any, *given: Any, **named: Any) -> np.ndarray:
            found = super().download(array, *given, **named)
            if found.dtype == np.uint32 or (found.dtype == np.float32 and found.size == 800):
                found.view(np.uint32)[14] ^= 1
            return found

    results = Results(tmp_path / "bits.json", 1000.0)
    plain = cases(400, 12)[0]
    assert bits.compare(results, lambda: CupyBackend(Wrong), [plain]) == 1
    found = json.loads((tmp_path / "bits.json").read_text(encoding="utf-8"))["2-D"]
    assert found["first_difference"] == "plan: rates"
    last = found["stages"][-1]
    assert (last["stage"], last["first_rows"]) == ("after epoch 11", [7])
    assert float(last["largest_difference"]) < 1e-5
    assert "DIFFERENT: 2-D from plan: rates on" in capsys.readouterr().out


@needs_compiler
@pytest.mark.usefixtures("few_points")
def test_a_stage_that_fails_leaves_the_others(tmp_path: Path) -> None:
    class Broken(cuda_host.HostDevice):
        def compile(self, program: str, *given: Any) -> None:
            if program == "plan":
                msg = "no plan today"
                raise RuntimeError(msg)
            super().compile(program, *given)

    results = Results(tmp_path / "bits.json", 1000.0)
    plain = cases(400, 12)[0]
    assert bits.compare(results, lambda: CupyBackend(Broken), [plain]) == 1
    found = json.loads((tmp_path / "bits.json").read_text(encoding="utf-8"))
    assert found["failed"]["2-D: plan"] == "RuntimeError: no plan today"
    assert found["2-D"]["stages"][-1] == {"stage": "after epoch 11", "equal": True}


def test_threads_of_the_cpu(tmp_path: Path) -> None:
    results = Results(tmp_path / "cpu.json", 1000.0)
    small = cpu.Workload(n_vertices=300, n_epochs=20, run=6)
    assert cpu.measure(results, [small, replace(small, n_vertices=400)], [1, 2], 900) == 0
    found = json.loads((tmp_path / "cpu.json").read_text(encoding="utf-8"))
    assert found["same_bits"]
    assert found["failed"] == found["skipped"] == {}
    for entry in found["workloads"]:
        assert [row["threads"] for row in entry["by_threads"]] == [1, 2]
        for row in entry["by_threads"]:
            assert row["epochs_run"] == 5
            assert len(row["seconds"]["runs"]) == cpu.RUNS
            assert row["seconds_an_epoch"] == pytest.approx(row["seconds"]["median"] / 5, rel=1e-3)
    assert found["searches"]["n_points"] == 900
    assert [row["threads"] for row in found["searches"]["by_threads"]] == [1, 2]
    assert cpu.thread_counts()[0] == 1


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: None)
    monkeypatch.setattr(
        "umapcore.device.select._open_gpu", lambda *_: CupyBackend(cuda_host.HostDevice)
    )


@needs_compiler
@pytest.mark.usefixtures("a_gpu")
def test_a_users_call_on_both(tmp_path: Path) -> None:
    results = Results(tmp_path / "cross.json", 1000.0)
    assert cross_backend.compare(results, sizes=[300], warm=200) == 0
    found = json.loads((tmp_path / "cross.json").read_text(encoding="utf-8"))
    (row,) = found["sizes"]
    assert row["bits"] == {"equal": True}
    assert row["times_as_fast"] == pytest.approx(
        row["umap"]["seconds"] / row["rapids"]["seconds"], rel=1e-3
    )
    assert {"start", "plan", "optimise", "write"} <= row["umap"]["stages"].keys()
    assert len(row["rapids"]["calls"]) == cross_backend.CALLS["rapids"]
    assert "goal" not in found


@needs_compiler
@pytest.mark.usefixtures("a_gpu")
@pytest.mark.parametrize("there", [True, False], ids=["AnnData", "without anndata"])
def test_a_users_call_has_a_goal(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        pytest.importorskip("anndata")
    monkeypatch.setattr(cross_backend, "find_spec", lambda name: there or None)
    monkeypatch.setattr(cross_backend, "CALL", (300, 100.0))
    results = Results(tmp_path / "cross.json", 1000.0)
    assert cross_backend.compare(results, sizes=[300], warm=200) == 0
    found = json.loads((tmp_path / "cross.json").read_text(encoding="utf-8"))
    assert found["goal"]["met"]
    assert found["goal"]["measured"] == found["sizes"][0]["rapids"]["seconds"]
    assert found["sizes"][0]["container"] == ("AnnData" if there else "SimpleNamespace")


def test_falling_back_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore.settings.gpu_fallback", False)
    monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: "it is gone.")
    results = Results(tmp_path / "cross.json", 1000.0)
    assert cross_backend.compare(results, sizes=[300], warm=200) == 1
    failed = json.loads((tmp_path / "cross.json").read_text(encoding="utf-8"))["failed"]
    assert "it is gone." in failed["300 vertices, rapids"]


def test_the_machine_is_described(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("umapcore_cupy.host.problem.problem", lambda: "no driver (install one).")
    assert machine.main() == 1
    printed = capsys.readouterr().out
    for part in ("--- nvidia-smi", "pip list", '"processor"', "--- problem: no driver"):
        assert part in printed
    assert "No such file" in machine.output(["no-such-command"])


@needs_compiler
def test_what_is_profiled(capsys: pytest.CaptureFixture[str]) -> None:
    def open_backend() -> CupyBackend:
        return CupyBackend(cuda_host.HostDevice)

    given = ("600", "--epochs", "2", "--start")
    assert workload.main([*given, "--neighbours", "600"], open_backend) == 0
    assert capsys.readouterr().out.startswith("2 epochs of generated 600: ")


def test_profilers_where_they_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    runs = (("no-such-ncu", ("a",)), ("a-sanitizer", ("b",)))
    assert profilers.main(["--limit", "60"], runs, [tmp_path]) == CANNOT
    said = "not found on PATH or in /usr/local/cuda*/bin: a-sanitizer, no-such-ncu"
    assert capfd.readouterr().out.splitlines()[-1] == said
    tool = tmp_path / "a-sanitizer"
    for status in (0, 9):
        tool.write_text(f"#!/bin/sh\necho looked at $1\nexit {status}\n")
        tool.chmod(0o755)
        assert profilers.main(["--limit", "60"], runs, [tmp_path]) == (1 if status else 0)
        printed = capfd.readouterr().out
        assert "looked at b" in printed
        assert "no-such-ncu" in printed
    assert profilers.main(["--limit", "0"], runs, [tmp_path]) == 0
    assert "no time is left" in capfd.readouterr().out
