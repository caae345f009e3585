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
