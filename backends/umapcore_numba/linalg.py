"""The spectral start's operations on the CPU, over ranges of rows in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.graph import read_only
from umapcore.linalg import BLOCK_ROWS, Level
from umapcore.threads import thread_count
from umapcore_numba import blocks, contraction

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Up to this many rows one thread does the work: waking another takes as long.
_SERIAL_ROWS = 16_384
#: Ranges of rows a thread: rows differ in length, and a processor may be busy elsewhere.
_RANGES_PER_THREAD = 4
#: Aggregates that one task contracts at most, which bounds its memory.
_CONTRACTED = 262_144


class NumbaLinalg:
    """See :class:`umapcore.linalg.Linalg`.

    Parameters
    ----------
    n_threads
        Threads to run on; None takes the settings' number. No result depends on it.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self._threads = thread_count(n_threads)
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

    def __enter__(self) -> NumbaLinalg:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def degrees(self, indptr: Any, weights: Any) -> NDArray[np.float64]:
        """Sum every row; see :meth:`umapcore.linalg.Linalg.degrees`."""
        out = np.empty(indptr.shape[0] - 1)
        source = (read_only(indptr), read_only(weights))
        self._over(out.shape[0], lambda a, b: blocks.degrees(a, b, *source, out))
        return out

    def apply(self, level: Level, x: Any, y: Any, alpha: float, beta: float, gamma: float) -> None:
        """Y = alpha (P - 1) x + beta x + gamma y; see :meth:`umapcore.linalg.Linalg.apply`."""
        source = (level.indptr, level.indices, level.weights, level.inverse, x, y)
        factors = (np.float32(alpha), np.float32(beta), np.float32(gamma))
        self._over(level.n_vertices, lambda a, b: blocks.apply(a, b, *source, *factors))

    def gram(self, level: Level, x: Any, y: Any) -> NDArray[np.float64]:
        """Dot products; see :meth:`umapcore.linalg.Linalg.gram`."""
        n, m = x.shape
        parts = np.zeros((-(-n // BLOCK_ROWS), 3, m, m))
        self._over(n, lambda a, b: blocks.gram(a, b, level.degrees, x, y, parts))
        # A fixed tree: NumPy's own sums depend on the machine.
        while parts.shape[0] > 1:
            half = parts.shape[0] // 2
            parts[:half] += parts[-half:]
            parts = parts[: parts.shape[0] - half]
        return parts[0]

    def rotate(
        self, x: Any, rotation: NDArray[np.float64], offset: NDArray[np.float64], out: Any
    ) -> None:
        """Out = x @ rotation - offset; see :meth:`umapcore.linalg.Linalg.rotate`."""
        self._over(x.shape[0], lambda a, b: blocks.rotate(a, b, x, rotation, offset, out))

    def propose(
        self, level: Level, vertices: Any, scale: Any, taken: Any, least: Any, choice: Any
    ) -> None:
        """Find heaviest neighbours; see :meth:`umapcore.linalg.Linalg.propose`."""
        source = (vertices, level.indptr, level.indices, level.weights, scale, taken, least, choice)
        self._over(vertices.shape[0], lambda a, b: contraction.propose(a, b, *source))

    def group(self, coarse: Any, offsets: Any) -> NDArray[np.int32]:
        """Sort vertices by aggregate; see :meth:`umapcore.linalg.Linalg.group`."""
        members = np.empty(coarse.shape[0], np.int32)
        contraction.group(coarse, offsets[:-1].copy(), members)
        return members

    def contract(
        self, level: Level, offsets: Any, members: Any, coarse: Any
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
        """Add up edges; see :meth:`umapcore.linalg.Linalg.contract`."""
        n = offsets.shape[0] - 1
        lengths = np.diff(level.indptr)[members]
        most = np.zeros(members.shape[0] + 1, np.int64)
        np.cumsum(lengths, out=most[1:])
        counts = np.empty(n, np.int64)
        source = (offsets, members, coarse, level.indptr, level.indices, level.weights)

        def task(first: int, last: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
            room = int(most[offsets[last]] - most[offsets[first]])
            indices, sums = np.empty(room, np.int32), np.empty(room)
            seen = np.full(n, -1, np.int32 if room < 2**31 else np.int64)
            used = contraction.contract(first, last, *source, indices, sums, counts, seen)
            return indices[:used].astype(level.indices.dtype), sums[:used].astype(np.float32)

        parts = self._over(n, task, _CONTRACTED)
        indptr = np.zeros(n + 1, level.indptr.dtype)
        np.cumsum(counts, out=indptr[1:])
        indices = parts[0][0] if len(parts) == 1 else np.concatenate([p[0] for p in parts])
        weights = parts[0][1] if len(parts) == 1 else np.concatenate([p[1] for p in parts])
        return indptr, indices, weights

    def permute(
        self, indptr: Any, indices: Any, weights: Any, order: Any
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
        """Renumber vertices; see :meth:`umapcore.linalg.Linalg.permute`."""
        n = order.shape[0]
        place = np.empty(n, np.int32)
        place[order] = np.arange(n, dtype=np.int32)
        new_indptr = np.zeros(n + 1, indptr.dtype)
        np.cumsum(np.diff(indptr)[order], out=new_indptr[1:])
        new_indices, new_weights = np.empty_like(indices), np.empty_like(weights)
        source = (order, place, indptr, indices, weights, new_indptr, new_indices, new_weights)
        self._over(n, lambda a, b: contraction.permute(a, b, *source))
        return new_indptr, new_indices, new_weights

    def _over(self, n: int, task: Callable[[int, int], Any], most: int = 2**62) -> list[Any]:
        """Run a task over ranges of rows, whose limits are multiples of `BLOCK_ROWS`."""
        step = n
        if self._pool is not None and n > _SERIAL_ROWS:
            step = -(-n // (self._threads * _RANGES_PER_THREAD))
        step = -(-min(step, most) // BLOCK_ROWS) * BLOCK_ROWS
        ranges = [(a, min(n, a + step)) for a in range(0, n, max(1, step))]
        if self._pool is None or len(ranges) == 1:
            return [task(*limits) for limits in ranges]
        return list(self._pool.map(lambda limits: task(*limits), ranges))
