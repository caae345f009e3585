"""Long tasks can be interrupted, and ranges of rows are processed in threads."""

from __future__ import annotations

import _thread
import os
import subprocess
import sys
import threading
import time

import pytest

from tests.support.forks import in_child
from umapcore._kit import parallel
from umapcore._kit.parallel import Ranges, for_rows, run_interruptibly, together


def test_the_main_thread_is_interrupted_while_a_task_runs() -> None:
    stopped = threading.Event()
    timer = threading.Timer(0.05, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(lambda: _wait_for(stopped), stopped.set)
    timer.join()
    assert stopped.is_set()


def test_errors_of_a_task_come_through() -> None:
    def fail() -> None:
        msg = "of the task"
        raise OSError(msg)

    with pytest.raises(OSError, match="of the task"):
        run_interruptibly(fail, lambda: None)


def test_other_threads_run_a_task_themselves() -> None:
    threads: list[threading.Thread] = []

    def call() -> None:
        run_interruptibly(lambda: threads.append(threading.current_thread()), lambda: None)

    other = threading.Thread(target=call)
    other.start()
    other.join()
    call()
    assert threads[0] is other
    assert threads[1] is not threading.main_thread()


@pytest.mark.parametrize("operations", [1, 10**6, 10**9])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_long_tasks_are_called_for_parts_of_blocks(n_threads: int, operations: int) -> None:
    ranges, calls = Ranges(n_threads, 128), []
    ranges.over_long(1000, lambda a, b: calls.append((a, b)), operations)
    ranges.close()
    calls.sort()
    assert [a for a, _ in calls[1:]] == [b for _, b in calls[:-1]]
    assert (calls[0][0], calls[-1][1]) == (0, 1000)
    if operations > 1:
        assert all(a // 128 == (b - 1) // 128 and b - a <= 50 for a, b in calls)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_starts_its_own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore._kit.parallel.thread_count", lambda n: n)
    both = threading.Barrier(2)

    def work() -> list[int]:
        return for_rows(2, 2, lambda a, b: both.wait(10), 1)

    assert sorted(work()) == [0, 1]
    ended = in_child(lambda: sorted(work()), patience=30)
    assert ended.code == 0, ended.said


def test_long_tasks_end_when_one_has_failed() -> None:
    ranges, calls = Ranges(2, 1), []
    ranges.n_threads = 2

    def task(first: int, _: int) -> None:
        calls.append(first)
        time.sleep(0.001)
        if first == 3:
            raise ArithmeticError("row 3")

    with pytest.raises(ArithmeticError, match="row 3"):
        ranges.over_long(40_000, task, 10**9)
    assert len(calls) < 1000


@pytest.mark.parametrize("n", [1, 2, 5])
def test_calls_run_at_the_same_time(n: int) -> None:
    met = threading.Barrier(n)
    found: list[tuple[int, threading.Thread]] = []

    def task(number: int) -> None:
        met.wait(30)
        found.append((number, threading.current_thread()))

    for _ in range(3):
        found.clear()
        together(n, task, lambda: None)
        assert sorted(number for number, _ in found) == list(range(n))
        assert dict(found)[0] is threading.current_thread()
        assert len({thread for _, thread in found}) == n


def test_threads_are_kept() -> None:
    def count() -> int:
        met = threading.Barrier(4)
        together(4, lambda _: met.wait(30), lambda: None)
        return threading.active_count()

    before = count()
    assert [count() for _ in range(20)] == [before] * 20


def test_the_first_call_waits_for_nobody_who_has_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = threading.Event()
    serve = parallel._serve

    def late(calls: object) -> None:
        held.wait(30)
        serve(calls)  # type: ignore[arg-type]

    monkeypatch.setattr(parallel, "_idle", [])
    monkeypatch.setattr(parallel, "_serve", late)
    called: list[int] = []
    together(3, called.append, lambda: None)
    held.set()
    together(1, called.append, lambda: None)
    assert called == [0, 0]


def test_a_call_that_has_begun_is_waited_for() -> None:
    begun, ended = threading.Event(), []

    def task(number: int) -> None:
        if number == 0:
            assert begun.wait(30)
        else:
            begun.set()
            time.sleep(0.05)
            ended.append(number)

    together(2, task, lambda: None)
    assert ended == [1]


@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_a_failure_stops_the_other_calls(bad: int, error: type[BaseException]) -> None:
    met, stopped = threading.Barrier(3), threading.Event()
    ended: list[int] = []

    def task(number: int) -> None:
        met.wait(30)
        if number == bad:
            raise error(f"of {number}")
        _wait_for(stopped)
        ended.append(number)

    with pytest.raises(error, match=f"of {bad}"):
        together(3, task, stopped.set)
    assert sorted(ended) == [number for number in range(3) if number != bad]


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_without_more_threads_the_calling_one_does_it_all(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: threading.Thread) -> None:
        raise error("can't start new thread")

    monkeypatch.setattr(parallel, "_idle", [])
    monkeypatch.setattr(parallel, "thread_count", lambda n: n)
    monkeypatch.setattr(threading.Thread, "start", none)
    called: list[int] = []
    together(3, called.append, lambda: None)
    run_interruptibly(lambda: called.append(1), lambda: None)
    assert called == [0, 1]
    assert for_rows(5, 3, lambda a, b: (a, b), 2) == [(0, 2), (2, 4), (4, 5)]


@pytest.mark.parametrize("at", ["after the main thread", "at exit"])
def test_work_at_the_end_of_a_process(at: str) -> None:
    """A thread may go on when the main thread has ended, and functions are called at exit."""
    begin = "threading.Thread(target=work).start()"
    if at == "at exit":
        begin = "import atexit; atexit.register(work)"
    program = f"""
import sys, threading, time
sys.path[:0] = {[p for p in sys.path if p]!r}
from umapcore._kit import parallel
parallel.thread_count = lambda n: n
def work():
    time.sleep(0.1)
    print(sum(parallel.for_rows(8, 2, lambda a, b: b - a, 1)))
    parallel.together(2, lambda number: number or print("done"), lambda: None)
{begin}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["8", "done"], done.stderr
    assert not done.stderr


def _wait_for(stopped: threading.Event) -> None:
    # Without a stop, a failed test must not hang.
    assert stopped.wait(60)
