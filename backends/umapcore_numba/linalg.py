"""The spectral start's operations on the CPU, over ranges of rows in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.graph import read_only
from umapcore.linalg import BLOCK_ROWS, HostLevel
from umapcore.permute import permute
from umapcore.threads import thread_count
from umapcore.union_find import connected_components
from umapcore_numba import blocks, contraction
from umapcore_numba.coarsen import coarsen, make_level

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from umapcore_numba.coarsen import Aggregates, NumbaLevel

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

    def components(self, graph: csr_array[Any, Any]) -> tuple[int, NDArray[np.int32]]:
        """Label components; see :meth:`umapcore.linalg.Linalg.components`."""
        return connected_components(graph, n_threads=self._threads)

    def to_host(self, graph: csr_array[Any, Any]) -> csr_array[Any, Any]:
        """Give a graph as it is."""
        return graph

    def finest(self, graph: csr_array[Any, Any]) -> NumbaLevel:
        """Make a level of a graph; see :meth:`umapcore.linalg.Linalg.finest`."""
        arrays = (read_only(graph.indptr), read_only(graph.indices), read_only(graph.data))
        degrees = self.degrees(arrays[0], arrays[2])
        return make_level(*arrays, degrees, np.ones_like(degrees))

    def coarsen(self, level: NumbaLevel) -> tuple[NumbaLevel, Aggregates]:
        """Make a smaller level; see :mod:`umapcore_numba.coarsen`."""
        return coarsen(self, level)

    def bring(self, level: NumbaLevel) -> HostLevel:
        """Give a level as it is."""
        return HostLevel(level.indptr, level.indices, level.weights, level.degrees)

    def degrees(self, indptr: Any, weights: Any) -> NDArray[np.float64]:
        """Sum every row in float64, in the order of its edges."""
        out = np.empty(indptr.shape[0] - 1)
        source = (read_only(indptr), read_only(weights))
        self._over(out.shape[0], lambda a, b: blocks.degrees(a, b, *source, out))
        return out

    def apply(
        self, level: NumbaLevel, x: Any, y: Any, alpha: float, beta: float, gamma: float
    ) -> None:
        """Y = alpha (P - 1) x + beta x + gamma y; see :meth:`umapcore.linalg.Linalg.apply`."""
        source = (level.indptr, level.indices, level.weights, level.inverse, x, y)
        factors = (np.float32(alpha), np.float32(beta), np.float32(gamma))
        self._over(level.n_vertices, lambda a, b: blocks.apply(a, b, *source, *factors))

    def gram(self, level: NumbaLevel, x: Any, y: Any) -> NDArray[np.float64]:
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

    # --- what coarsening is made of

    def propose(
        self, level: NumbaLevel, vertices: Any, scale: Any, taken: Any, least: Any, choice: Any
    ) -> None:
        """Write the heaviest neighbour of some vertices into their places in `choice`.

        Heaviest by ``weights[e] * scale[neighbour]``, of equals the one whose edge has the
        largest hash; neighbours that are `taken` do not count; -1 where there is none.
        """
        source = (vertices, level.indptr, level.indices, level.weights, scale, taken, least, choice)
        self._over(vertices.shape[0], lambda a, b: contraction.propose(a, b, *source))

    def group(self, coarse: Any, offsets: Any) -> NDArray[np.int32]:
        """Sort vertices by aggregate, and within it by number."""
        members = np.empty(coarse.shape[0], np.int32)
        contraction.group(coarse, offsets[:-1].copy(), members)
        return members

    def contract(
        self, level: NumbaLevel, offsets: Any, members: Any, coarse: Any
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]:
        """Add up the edges between aggregates.

        Aggregate c has the vertices ``members[offsets[c]:offsets[c + 1]]``; `coarse` is the
        aggregate of every vertex. In a row of the result neighbours come in the order in which
        the members' edges first meet them; weights are summed in that order in float64.

        Returns
        -------
        indptr, indices, weights of the CSR of aggregates.
        """
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

    def unfold(
        self, aggregates: Aggregates, order: Any, *, by_place: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Order vertices by their aggregates; see :meth:`umapcore.linalg.Linalg.unfold`."""
        places = np.arange(aggregates.offsets.shape[0] - 1, dtype=np.int32)
        coarse = places if order is None else order
        sizes = np.diff(aggregates.offsets)[coarse]
        starts = aggregates.offsets[coarse] - (np.cumsum(sizes) - sizes)
        which = np.repeat(starts, sizes)
        which += np.arange(which.shape[0])
        return aggregates.members[which], np.repeat(places if by_place else coarse, sizes)

    def reorder(self, level: NumbaLevel, order: Any) -> NumbaLevel:
        """Renumber vertices; see :meth:`umapcore.linalg.Linalg.reorder`."""
        graph = (level.indptr, level.indices, level.weights)
        renumbered = permute(*graph, order, n_threads=self._threads)
        return make_level(*renumbered, level.degrees[order], level.shares[order])

    def source(self, aggregates: Aggregates) -> NDArray[np.int32]:
        """Rows to prolong from; see :meth:`umapcore.linalg.Linalg.source`."""
        return aggregates.coarse

    def block(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take values as they are."""
        return values

    def zeros_like(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make a block of zeros."""
        return np.zeros_like(x)

    def prolong(self, x: NDArray[np.float32], source: Any) -> NDArray[np.float32]:
        """Repeat rows; see :meth:`umapcore.linalg.Linalg.prolong`."""
        rows: NDArray[np.float32] = x[source]
        return rows

    def unscale(self, level: NumbaLevel, x: Any, order: Any, n_vectors: int) -> NDArray[np.float64]:
        """Give sqrt(D) x; see :meth:`umapcore.linalg.Linalg.unscale`."""
        out = np.empty((x.shape[0], n_vectors))
        where = np.empty(0, np.int32) if order is None else order
        self._over(x.shape[0], lambda a, b: blocks.unscale(a, b, level.degrees, x, where, out))
        return out

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
