from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from umapcore import settings
from umapcore._kit import threads
from umapcore._kit.parallel import for_rows
from umapcore._kit.threads import (
    available_threads,
    cpu_quota,
    thread_count,
    usable_processors,
)
from umapcore_numba.backend import useful_workers
from umapcore_numba.layout.thread_tuner import ThreadTuner

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("value", [0, -3, 1.5])
def test_bad_numbers_of_threads(value: float) -> None:
    with pytest.raises(ValueError, match=rf"n_threads={value} .*at least 1"):
        thread_count(value)  # type: ignore[arg-type]
    with pytest.raises((ValueError, TypeError), match=rf"settings\.n_threads={value} .*at least 1"):
        settings.n_threads = value  # type: ignore[assignment]


@pytest.mark.parametrize("value", ["2", True, np.True_, [1]])
def test_bad_types_of_threads(value: object) -> None:
    with pytest.raises(TypeError, match="n_threads"):
        thread_count(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"settings\.n_threads"):
        settings.n_threads = value  # type: ignore[assignment]


@pytest.mark.parametrize("value", [10**400, 10**5000, 2**31], ids=["400", "5000", "10 digits"])
def test_too_many_threads(value: int) -> None:
    with pytest.raises(ValueError, match=r"n_threads=.* is not allowed"):
        thread_count(value)
    with pytest.raises(ValueError, match=r"settings\.n_threads=.* is not allowed"):
        settings.n_threads = value


@pytest.mark.parametrize("value", [1, 1.0, np.int64(1), np.uint8(1), np.float32(1), np.array(1)])
def test_integers_of_all_types_are_numbers_of_threads(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert thread_count(value) == 1
    monkeypatch.setattr("umapcore.settings.n_threads", value)
    assert type(settings.n_threads) is int
    assert thread_count(None) == 1


def test_settings_and_the_process_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert thread_count(1) == 1
    monkeypatch.setattr("umapcore.settings.n_threads", 1)
    assert settings.n_threads == 1
    assert thread_count(None) == 1
    settings.n_threads = None
    assert thread_count(None) == available_threads()[0] <= usable_processors()
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert thread_count(None) == 1
    finally:
        numba.set_num_threads(before)


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_numba_is_asked_only_if_the_process_uses_it() -> None:
    text = f"""
import sys
sys.path[:0] = {[p for p in sys.path if p]!r}
from umapcore._kit.threads import available_threads, thread_count
print(available_threads(), thread_count(9), "numba" in sys.modules)
"""
    assert run(text, NUMBA_NUM_THREADS="7") == "(7, 'NUMBA_NUM_THREADS') 7 False"


@pytest.mark.parametrize("value", ["", "0", "-1", "many"])
def test_a_useless_variable_is_no_number(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", value)
    assert 1 <= available_threads()[0] <= usable_processors()


def test_numbas_own_configuration_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 77)
    assert thread_count(100) == 77


def test_neither_small_nor_large_graphs_start_numbas_threads() -> None:
    text = f"""
import sys, threading
sys.path[:0] = {[p for p in sys.path if p]!r}
import umapcore, umapcore_numba.backend
from tests.support import graphs
from numba.np.ufunc import parallel
umapcore.settings.n_threads = 2
def lay_out():
    umapcore.simplicial_set_embedding(graphs.surface(700), init="random")
    print(parallel._is_initialized, threading.active_count())
lay_out()
umapcore_numba.backend.useful_workers = lambda plan, threads: threads
lay_out()
"""
    assert run(text, NUMBA_NUM_THREADS="2").split() == ["False", "1", "False", "2"]


#: The files of a system that decide the quota: what is in them, and the processors that result.
QUOTAS: dict[str, tuple[dict[str, str], float | None]] = {
    "no cgroups": ({}, None),
    "no limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "one and a half": (
        {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "the group above": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000",
            "sys/fs/cgroup/a/cpu.max": "200000 100000",
            "sys/fs/cgroup/cpu.max": "800000 100000",
        },
        2.0,
    ),
    "a container's own root": (
        {"proc/self/cgroup": "0::/../x/y\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        0.5,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "7:cpuset:/\n3:cpu,cpuacct:/docker/c0\n1:name=systemd:/x:y\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/c0/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/c0/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
        3.0,
    ),
    "version 1, paths of the host": (
        {
            "proc/self/cgroup": "4:cpuacct,cpu:/docker/c0\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        2.5,
    ),
    "both versions": (
        {
            "proc/self/cgroup": "1:cpu:/\n0::/u\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/unified/u/cpu.max": "max 100000",
        },
        4.0,
    ),
    "nonsense": (
        {"proc/self/cgroup": "\nx\n0::\n:::\n", "sys/fs/cgroup/cpu.max": "a few\n"},
        None,
    ),
    "a period of 0": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "5 0"}, None),
}


@pytest.mark.parametrize(("files", "quota"), QUOTAS.values(), ids=QUOTAS)
def test_quotas_of_cgroups(files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert cpu_quota(str(tmp_path)) == quota


@pytest.mark.parametrize(
    ("processors", "quota", "expected"),
    [(16, None, 16), (16, 2.0, 2), (16, 1.5, 2), (16, 0.2, 1), (2, 8.0, 2), (1, 1.0, 1)],
)
def test_threads_fit_the_quota(
    processors: int, quota: float | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable_processors", lambda: processors)
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    count, reason = available_threads()
    assert count == expected == thread_count(1000)
    assert ("quota" in reason) == (expected < processors)


@pytest.mark.parametrize("name", ["process_cpu_count", "sched_getaffinity", "cpu_count"])
def test_processors_of_any_system(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 asks in one way, Linux before it in another, other systems in a third."""
    for absent in ("process_cpu_count", "sched_getaffinity"):
        monkeypatch.delattr(os, absent, raising=False)
    answer = {0, 3, 4} if name == "sched_getaffinity" else 3
    monkeypatch.setattr(os, name, lambda *_: answer, raising=False)
    assert usable_processors() == 3


@pytest.mark.parametrize(
    ("n", "threads", "processors", "expected"),
    [
        (20_000, 16, 16, 5),  # 16 buckets of 5 groups
        (70_000, 64, 64, 18),
        (70_000, 64, 2, 2),
        (70_000, 3, 64, 3),
        (70_000, 1, 64, 1),
        (3_000, 16, 16, 1),
    ],
)
def test_no_more_workers_than_groups_or_processors(
    n: int, threads: int, processors: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets = np.linspace(0, n, 17).astype(np.int64)
    plan: Any = SimpleNamespace(
        n_edges=20 * n, bucket_offsets=offsets, first_walkers=np.arange(n + 1)
    )
    monkeypatch.setattr("umapcore._kit.threads.usable_processors", lambda: processors)
    monkeypatch.setattr("umapcore._kit.threads.cpu_quota", lambda: None)
    assert useful_workers(plan, threads) == expected


def spans(tuner: ThreadTuner, seconds: dict[int, float], busy: float, count: int) -> list[int]:
    """Simulate spans whose epochs take `seconds` by number of threads."""
    taken = []
    for _ in range(count):
        threads = tuner.threads()
        taken.append(threads)
        tuner.record(threads, seconds[threads], seconds[threads] * threads * busy)
    return taken


def test_pace_keeps_all_threads_on_an_idle_machine() -> None:
    taken = spans(ThreadTuner(2), {1: 0.018, 2: 0.010}, busy=1.0, count=200)
    assert taken.count(2) >= 198


def test_pace_takes_fewer_threads_when_they_are_faster() -> None:
    taken = spans(ThreadTuner(4), {1: 0.010, 2: 0.015, 4: 0.030}, busy=0.4, count=100)
    assert taken[:3] == [4, 2, 1]
    assert taken.count(1) >= 80


def test_pace_returns_when_the_machine_is_idle_again() -> None:
    tuner = ThreadTuner(2)
    assert spans(tuner, {1: 0.010, 2: 0.030}, busy=0.4, count=30)[-1] == 1
    assert spans(tuner, {1: 0.018, 2: 0.010}, busy=1.0, count=40)[-1] == 2


def test_pace_does_not_try_fewer_threads_on_long_epochs_without_a_reason() -> None:
    assert set(spans(ThreadTuner(16), {16: 1.0, 8: 2.0, 1: 16.0}, busy=0.95, count=50)) == {16}


def test_pace_finds_the_number_of_processors_that_are_free() -> None:
    """64 threads on two processors: neither 32 nor one are what fits."""
    tuner = ThreadTuner(64)
    seconds = {64: 0.030, 32: 0.020, 2: 0.010, 1: 0.018}
    taken = []
    for _ in range(40):
        taken.append(tuner.threads())
        tuner.record(taken[-1], seconds[taken[-1]], seconds[taken[-1]] * min(2, taken[-1]))
    assert taken[:4] == [64, 32, 2, 1]
    assert taken.count(2) >= 28


def test_pace_of_one_thread() -> None:
    assert set(spans(ThreadTuner(1), {1: 0.01}, busy=0.3, count=50)) == {1}


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore._kit.parallel.thread_count", lambda n: n)


@pytest.mark.usefixtures("three_threads")
def test_ranges_of_rows_are_all_done_and_in_order() -> None:
    for n_threads in (1, 2, 3):
        found = for_rows(1003, n_threads, lambda a, b: (a, b), 10)
        assert found == [(a, min(1003, a + 10)) for a in range(0, 1003, 10)]
    assert for_rows(0, 3, lambda a, b: (a, b)) == []


@pytest.mark.usefixtures("three_threads")
def test_a_failure_in_a_range_is_raised_and_ends_the_others() -> None:
    begun = []

    def task(a: int, b: int) -> None:
        begun.append(a)
        if a == 20:
            raise ArithmeticError("row 20")
        time.sleep(0.001)

    with pytest.raises(ArithmeticError, match="row 20"):
        for_rows(10_000, 3, task, 10)
    assert len(begun) < 1000
