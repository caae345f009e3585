"""Process ranges of rows in threads; kernels release the GIL."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING, Any

from umapcore._kit.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds between two looks at whether a task has ended, where a signal does not end the wait.
_LOOK = 0.1
#: Seconds that an interrupted call waits for its task; then the task ends unattended.
_FAREWELL = 0.2
#: Rows per range; a multiple of `N_PHASES`, the phases in which a plan's buckets are chosen.
ROWS_PER_TASK = 65_536
#: Most threads that are kept; they are started when they are first needed.
_MOST_THREADS = 1024


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
        thread.start()
        while not ended.wait(_LOOK):
            pass
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
    threads = min(thread_count(n_threads), len(ranges))
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
    others = [_waiting_threads().submit(work) for _ in range(threads - 1)]
    try:
        work()
        for other in others:
            if not other.cancel():
                other.result()
    except BaseException:
        left = iter(())
        wait(other for other in others if not other.cancel())
        raise
    return found


@cache
def _waiting_threads() -> ThreadPoolExecutor:
    """Return threads that wait for work: starting them takes as long as some pieces of it."""
    return ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="umapcore")


if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads
    os.register_at_fork(after_in_child=_waiting_threads.cache_clear)


#: Up to this many rows are processed by one thread: waking another takes as long as the work.
_SERIAL_ROWS = 16_384
#: Operations in one call of a task: Ctrl-C waits for the end of a call.
_OPERATIONS = 50_000_000
#: Ranges per thread: rows differ in length, and a core may be busy with other work.
_RANGES_PER_THREAD = 4


class Ranges:
    """A pool of threads that processes ranges of rows.

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
        self._pool = ThreadPoolExecutor(self.n_threads) if self.n_threads > 1 else None
        self._closing = False

    def close(self) -> None:
        """Stop the threads."""
        self._closing = True
        if self._pool is not None:
            self._pool.shutdown()

    def over(self, n: int, task: Callable[[int, int], Any], most: int = 2**62) -> list[Any]:
        """Run a task over ranges of rows; `most` limits their length, rounded up to blocks."""
        step = n
        if self._pool is not None and n > _SERIAL_ROWS:
            step = -(-n // (self.n_threads * _RANGES_PER_THREAD))
        step = -(-min(step, most) // self._block) * self._block
        ranges = [(a, min(n, a + step)) for a in range(0, n, max(1, step))]
        if self._pool is None or len(ranges) == 1:
            return [task(*limits) for limits in ranges]
        return list(self._pool.map(lambda limits: task(*limits), ranges))

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
