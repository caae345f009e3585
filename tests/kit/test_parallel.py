"""Long tasks can be interrupted, and ranges of rows are processed in threads."""

from __future__ import annotations

import _thread
import os
import threading

import pytest

from tests.support.forks import in_child
from umapcore._kit.parallel import Ranges, for_rows, run_interruptibly


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


def _wait_for(stopped: threading.Event) -> None:
    # Without a stop, a failed test must not hang.
    assert stopped.wait(60)
