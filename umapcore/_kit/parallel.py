"""Run work in threads; kernels release the GIL.

Threads are started when they are first needed, and then kept: starting one takes as long as some
pieces of work. No call depends on getting any: at the end of a process, or at a limit of the
system, none can be started, and the calling thread then does all the work.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, wait
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from umapcore._kit.threads import thread_count
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds between two looks at whether a task has ended, where a signal does not end the wait.
_LOOK = 0.1
#: Seconds that an interrupted call waits for its task; then the task ends unattended.
_FAREWELL = 0.2
#: Rows per range; a multiple of `N_PHASES`, the phases in which a plan's buckets are chosen.
ROWS_PER_TASK = 65_536

#: What a kept thread is given: a task, and the future that receives its result.
_Calls = SimpleQueue[tuple[Future[Any], "Callable[[], Any]"]]
#: Of the kept threads that wait. Appending to a list and taking from it are atomic.
_idle: list[_Calls] = []


def run_interruptibly(task: Callable[[], None], stop: Callable[[], None]) -> None:
    """Run a long task so that the main thread can be interrupted at any moment.

    Python handles signals in the main thread, between two of its instructions, so not during a
    kernel. Here the main thread only waits for another thread that runs the task. If the wait ends
    with an exception (Ctrl-C, or a signal handler that raises), the task is asked to stop.

    Parameters
    ----------
    task
        Runs mostly without the GIL. Called directly if this is not the main thread.
    stop
        Makes the task end soon, and what it has written is then of no use. A task that still
        compiles ends a little later, unattended.
    """
    if threading.current_thread() is not threading.main_thread():
        task()
        return
    failures: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            task()
        except BaseException as error:  # raised again below, in the thread that called
            failures.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="umapcore")
    try:
        if not (started := _can_start(thread)):
            run()
        while not ended.wait(_LOOK):
            pass
        if started:
            thread.join()
    except BaseException:
        stop()
        ended.wait(_FAREWELL)
        raise
    if failures:
        raise failures[0]


def for_rows(
    n: int,
    n_threads: int | None,
    task: Callable[[int, int], Any],
    rows_per_task: int | None = None,
) -> list[Any]:
    """Run a task over ranges of rows, in threads if there are several ranges.

    Parameters
    ----------
    n
        Number of rows.
    n_threads
        Maximum number of threads; None takes ``umapcore.settings.n_threads``.
    task
        Called as ``task(first, last)`` for the rows `first` … `last` - 1.
    rows_per_task
        Rows per range; None means `ROWS_PER_TASK`. The ranges do not depend on the number of
        threads.

    Returns
    -------
    Results of the calls, in the order of the ranges.
    """
    rows_per_task = rows_per_task or ROWS_PER_TASK
    ranges = [(a, min(n, a + rows_per_task)) for a in range(0, n, rows_per_task)]
    return _in_threads(ranges, thread_count(n_threads), task)


def _in_threads(
    ranges: list[tuple[int, int]],
    threads: int,
    task: Callable[[int, int], Any],
    stop: Callable[[], None] = lambda: None,
) -> list[Any]:
    """Run a task over ranges, which threads take one after another; see `for_rows`.

    `stop` is called when a task has failed, and may let the others end early.
    """
    threads = min(threads, len(ranges))
    if threads <= 1:
        return [task(a, b) for a, b in ranges]
    found: list[Any] = [None] * len(ranges)
    left: Iterator[int] = iter(range(len(ranges)))
    taking = threading.Lock()

    def work() -> None:
        nonlocal left
        while True:
            with taking:
                number = next(left, None)
            if number is None:
                return
            try:
                found[number] = task(*ranges[number])
            except BaseException:  # including Ctrl-C: no thread starts another range
                left = iter(())
                raise

    # The calling thread works too. When no work is left, threads that have not begun need not.
    others = _started([work] * (threads - 1))
    try:
        work()
        _finished(others)
    except BaseException:
        left = iter(())
        stop()
        wait(other for other in others if not other.cancel())
        raise
    return found


def together(n: int, task: Callable[[int], Any], stop: Callable[[], None]) -> None:
    """Run a task in several threads at the same time, and return when all calls have ended.

    Parameters
    ----------
    n
        Number of calls, at least 1.
    task
        Called as ``task(number)`` for the numbers 0 … `n` - 1; the calling thread makes the first
        call. When that has ended, all of the work must be done: calls that have not begun by then
        are left out. So a thread that comes late holds nobody up.
    stop
        Makes the calls end soon; it is called if one of them fails.
    """

    def call(number: int) -> None:
        try:
            task(number)
        except BaseException:
            stop()
            raise

    others = _started([partial(call, number) for number in range(1, n)])
    try:
        call(0)
        _finished(others)
    except BaseException:
        stop()
        # A call that still compiles ends a little later, unattended.
        wait([other for other in others if not other.cancel()], _FAREWELL)
        raise


def _started(tasks: list[Callable[[], Any]]) -> list[Future[Any]]:
    """Give tasks to kept threads; return fewer futures if not so many can be started."""
    futures: list[Future[Any]] = []
    for task in tasks:
        try:
            calls = _idle.pop()
        except IndexError:
            calls = SimpleQueue()
            thread = threading.Thread(target=_serve, args=(calls,), name="umapcore", daemon=True)
            if not _can_start(thread):
                break
        futures.append(Future())
        calls.put((futures[-1], task))
    return futures


def _can_start(thread: threading.Thread) -> bool:
    """Start a thread, and return whether that was possible."""
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        logger.debug("no thread can be started: %s", error)
        return False
    return True


def _serve(calls: _Calls) -> None:
    """Do what a kept thread does: wait for a task, carry it out, and so on."""
    while True:
        future, task = calls.get()
        if future.set_running_or_notify_cancel():
            try:
                found = task()
            except BaseException as error:  # raised in the thread that asked for the result
                _idle.append(calls)
                future.set_exception(error)
            else:
                # Idle first: whoever gets the result may need a thread at once.
                _idle.append(calls)
                future.set_result(found)
                del found
        else:
            _idle.append(calls)
        del future, task  # and what they refer to


def _finished(others: list[Future[Any]]) -> None:
    """Wait for the tasks that have begun, raise the error of one that failed, drop the others."""
    for other in others:
        if not other.cancel():
            other.result()


if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads
    os.register_at_fork(after_in_child=_idle.clear)


#: Up to this many rows are processed by one thread: waking another takes as long as the work.
_SERIAL_ROWS = 16_384
#: Operations in one call of a task: Ctrl-C waits for the end of a call.
_OPERATIONS = 50_000_000
#: Ranges per thread: rows differ in length, and a core may be busy with other work.
_RANGES_PER_THREAD = 4


class Ranges:
    """Processes ranges of rows in threads, until it is closed.

    Parameters
    ----------
    n_threads
        Number of threads; None takes ``umapcore.settings.n_threads``.
    block
        Ranges begin at multiples of this many rows.
    """

    def __init__(self, n_threads: int | None, block: int) -> None:
        self._block = block
        self.n_threads = thread_count(n_threads)
        self._closing = False

    def close(self) -> None:
        """Let long tasks that still run end early."""
        self._closing = True

    def over(self, n: int, task: Callable[[int, int], Any], most: int = 2**62) -> list[Any]:
        """Run a task over ranges of rows; `most` limits their length, rounded up to blocks."""
        step = n
        if self.n_threads > 1 and n > _SERIAL_ROWS:
            step = -(-n // (self.n_threads * _RANGES_PER_THREAD))
        step = -(-min(step, most) // self._block) * self._block
        ranges = [(a, min(n, a + step)) for a in range(0, n, max(1, step))]
        return _in_threads(ranges, self.n_threads, task, self.close)

    def over_long(self, n: int, task: Callable[[int, int], None], operations: int) -> None:
        """Do the same for a task whose rows take so many operations each, in shorter calls.

        The calls of a block follow one another, and none has rows of two blocks.
        """
        fitting = max(1, _OPERATIONS // max(1, operations))
        # Either whole blocks, or parts of a block.
        step = fitting // self._block * self._block or fitting

        def in_steps(first: int, last: int) -> None:
            for block in range(first, last, max(step, self._block)):
                end = min(last, block + max(step, self._block))
                for begin in range(block, end, step):
                    if self._closing:
                        return
                    task(begin, min(end, begin + step))

        self.over(n, in_steps)
