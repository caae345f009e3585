from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from umapcore import settings
from umapcore._kit.parallel import for_rows
from umapcore._kit.threads import load_tbb, thread_count
from umapcore_numba.layout.thread_tuner import ThreadTuner


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

    assert thread_count(1) == 1
    monkeypatch.setattr("umapcore.settings.n_threads", 1)
    assert settings.n_threads == 1
    assert thread_count(None) == 1
    settings.n_threads = None
    assert thread_count(None) == numba.get_num_threads()
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


_PARALLEL = """
import numba, sys
sys.path[:0] = {path!r}
from umapcore._kit.threads import load_tbb
load_tbb()
numba.get_num_threads()
print(numba.threading_layer())
"""


def code() -> str:
    return _PARALLEL.format(path=[p for p in sys.path if p])


@pytest.mark.skipif(load_tbb() is None, reason="TBB is not installed")
def test_tbb_is_found_in_a_virtual_environment() -> None:
    assert run(code()) == "tbb"


def test_a_layer_that_the_user_chose_is_kept() -> None:
    assert run(code(), NUMBA_THREADING_LAYER="workqueue") == "workqueue"


def test_small_graphs_never_start_threads() -> None:
    """A process that lays out 700 cells must not pay for a pool of threads."""
    text = f"""
import sys
sys.path[:0] = {[p for p in sys.path if p]!r}
import umapcore
from tests.support import graphs
from numba.np.ufunc import parallel
umapcore.simplicial_set_embedding(graphs.surface(700), init="random")
print(parallel._is_initialized)
"""
    assert run(text) == "False"


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
