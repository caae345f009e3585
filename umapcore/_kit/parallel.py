"""Work on ranges of rows, in threads: kernels release the GIL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from umapcore._kit.threads import thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Rows of a range; a multiple of the number of phases in which a plan's buckets are chosen.
ROWS_PER_TASK = 65_536


def for_rows(
    n: int,
    n_threads: int | None,
    task: Callable[[int, int], Any],
    rows_per_task: int = ROWS_PER_TASK,
) -> list[Any]:
    """Run a task over ranges of rows, in threads where there are several ranges.

    Parameters
    ----------
    n
        Number of rows.
    n_threads
        Threads at most; None takes the settings' number.
    task
        Called as ``task(first, last)`` for the rows `first` … `last` - 1.
    rows_per_task
        Rows of a range, which do not depend on the number of threads.

    Returns
    -------
    What the calls return, in the order of the ranges.
    """
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
            except BaseException:  # nor Ctrl-C: nobody begins another range
                left = iter(())
                raise

    # The calling thread works too: a thread takes as long to start as some ranges.
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        work()
        for other in others:
            other.result()
    return found


#: Up to this many rows one thread does the work: waking another takes as long.
_SERIAL_ROWS = 16_384
#: Ranges of rows a thread: rows differ in length, and a processor may be busy elsewhere.
_RANGES_PER_THREAD = 4


class Ranges:
    """Threads, and how rows are dealt to them.

    Parameters
    ----------
    n_threads
        Threads to run on; None takes the settings' number.
    block
        Ranges have limits at multiples of so many rows.
    """

    def __init__(self, n_threads: int | None, block: int) -> None:
        self._block = block
        self.n_threads = thread_count(n_threads)
        self._pool = ThreadPoolExecutor(self.n_threads) if self.n_threads > 1 else None

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown()

    def over(self, n: int, task: Callable[[int, int], Any], most: int = 2**62) -> list[Any]:
        """Run a task over ranges of at most so many rows."""
        step = n
        if self._pool is not None and n > _SERIAL_ROWS:
            step = -(-n // (self.n_threads * _RANGES_PER_THREAD))
        step = -(-min(step, most) // self._block) * self._block
        ranges = [(a, min(n, a + step)) for a in range(0, n, max(1, step))]
        if self._pool is None or len(ranges) == 1:
            return [task(*limits) for limits in ranges]
        return list(self._pool.map(lambda limits: task(*limits), ranges))
