"""Long tasks can be interrupted, and ranges of rows are processed in threads."""

from __future__ import annotations

import _thread
import threading

import pytest

from umapcore._kit.parallel import run_interruptibly


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


def _wait_for(stopped: threading.Event) -> None:
    # Without a stop, a failed test must not hang.
    assert stopped.wait(60)
