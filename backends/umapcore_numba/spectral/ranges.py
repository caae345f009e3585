"""Work over ranges of rows in threads that wait for more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from umapcore._kit.threads import thread_count
from umapcore.device.spectral_ops import BLOCK_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n_threads = thread_count(n_threads)
        self._pool = ThreadPoolExecutor(self.n_threads) if self.n_threads > 1 else None

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown()

    def over(self, n: int, task: Callable[[int, int], Any], most: int = 2**62) -> list[Any]:
        """Run a task over ranges of at most so many rows, with limits at multiples of a block."""
        step = n
        if self._pool is not None and n > _SERIAL_ROWS:
            step = -(-n // (self.n_threads * _RANGES_PER_THREAD))
        step = -(-min(step, most) // BLOCK_ROWS) * BLOCK_ROWS
        ranges = [(a, min(n, a + step)) for a in range(0, n, max(1, step))]
        if self._pool is None or len(ranges) == 1:
            return [task(*limits) for limits in ranges]
        return list(self._pool.map(lambda limits: task(*limits), ranges))
