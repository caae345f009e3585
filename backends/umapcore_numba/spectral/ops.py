"""The operations of the spectral start on the CPU, in threads over ranges of rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import csr_arrays
from umapcore._kit.parallel import Ranges
from umapcore.device.spectral_ops import BLOCK_ROWS
from umapcore.graph.components import connected_components
from umapcore.graph.permute import permute
from umapcore_numba.spectral import blocks
from umapcore_numba.spectral.coarsen import coarsen, row_sums
from umapcore_numba.spectral.level import make_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from umapcore._kit.arrays import Csr
    from umapcore_numba.spectral.level import Aggregates, NumbaLevel


class NumbaSpectralOps:
    """See :class:`umapcore.device.spectral_ops.SpectralOps`.

    Parameters
    ----------
    n_threads
        Number of threads; None uses the number in the settings. No result depends on it.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self._ranges = Ranges(n_threads, BLOCK_ROWS)

    def __enter__(self) -> NumbaSpectralOps:
        return self

    def __exit__(self, *_: object) -> None:
        self._ranges.close()

    def components(self, graph: csr_array[Any, Any]) -> tuple[int, NDArray[np.int32]]:
        """Label components; see `SpectralOps`."""
        return connected_components(graph, n_threads=self._ranges.n_threads)

    def to_host(self, graph: csr_array[Any, Any]) -> csr_array[Any, Any]:
        """Return the graph unchanged."""
        return graph

    def finest(self, graph: csr_array[Any, Any]) -> NumbaLevel:
        """Make a level of a graph; see `SpectralOps`."""
        arrays = csr_arrays(graph)
        degrees = row_sums(self._ranges, arrays)
        return make_level(arrays, degrees, np.ones_like(degrees))

    def coarsen(self, level: NumbaLevel) -> tuple[NumbaLevel, Aggregates]:
        """Make a smaller level; see :mod:`umapcore_numba.spectral.coarsen`."""
        return coarsen(self._ranges, level)

    def bring(self, level: NumbaLevel) -> tuple[Csr, NDArray[np.float64]]:
        """Return the arrays of a level without copying them."""
        return level.graph, level.degrees

    def apply(
        self, level: NumbaLevel, x: Any, y: Any, steps: Sequence[tuple[float, float, float]]
    ) -> tuple[Any, Any]:
        """Compute y = alpha (P - 1) x + beta x + gamma y; see `SpectralOps`."""
        mean = 1 + level.graph.indices.shape[0] // level.n_vertices
        for step in steps:
            source = (level.graph, level.inverse, x, y, *map(np.float32, step))
            self._ranges.over_long(level.n_vertices, partial(_apply, source), mean * x.shape[1])
            x, y = y, x
        return x, y

    def gram(self, level: NumbaLevel, x: Any, y: Any) -> NDArray[np.float64]:
        """Compute dot products; see `SpectralOps`."""
        n, m = x.shape
        parts = np.zeros((-(-n // BLOCK_ROWS), 3, m, m))
        self._ranges.over_long(
            n, lambda a, b: blocks.gram(a, b, level.degrees, x, y, parts), 2 * m * m
        )
        # Sum by a fixed tree, since NumPy's own sums depend on the machine.
        while parts.shape[0] > 1:
            half = parts.shape[0] // 2
            parts[:half] += parts[-half:]
            parts = parts[: parts.shape[0] - half]
        return parts[0]

    def rotate(
        self, x: Any, rotation: NDArray[np.float64], offset: NDArray[np.float64], out: Any
    ) -> None:
        """Compute out = x @ rotation - offset; see `SpectralOps`."""
        self._ranges.over_long(
            x.shape[0],
            lambda a, b: blocks.rotate(a, b, x, rotation, offset, out),
            rotation.shape[0] * rotation.shape[1],
        )

    def unfold(
        self, aggregates: Aggregates, order: Any, *, by_place: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Order vertices by their aggregates; see `SpectralOps`."""
        places = np.arange(aggregates.offsets.shape[0] - 1, dtype=np.int32)
        coarse = places if order is None else order
        sizes = np.diff(aggregates.offsets)[coarse]
        starts = aggregates.offsets[coarse] - (np.cumsum(sizes) - sizes)
        which = np.repeat(starts, sizes)
        which += np.arange(which.shape[0])
        return aggregates.members[which], np.repeat(places if by_place else coarse, sizes)

    def reorder(self, level: NumbaLevel, order: Any) -> NumbaLevel:
        """Renumber vertices; see `SpectralOps`."""
        renumbered = permute(level.graph, order, n_threads=self._ranges.n_threads)
        return make_level(renumbered, level.degrees[order], level.shares[order])

    def source(self, aggregates: Aggregates) -> NDArray[np.int32]:
        """Return the rows to prolong from; see `SpectralOps`."""
        return aggregates.coarse

    def block(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values unchanged."""
        return values

    def zeros_like(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make a block of zeros."""
        return np.zeros_like(x)

    def prolong(self, x: NDArray[np.float32], source: Any) -> NDArray[np.float32]:
        """Repeat rows; see `SpectralOps`."""
        rows: NDArray[np.float32] = x[source]
        return rows

    def unscale(self, level: NumbaLevel, x: Any, order: Any, n_vectors: int) -> NDArray[np.float64]:
        """Compute sqrt(D) x; see `SpectralOps`."""
        out = np.empty((x.shape[0], n_vectors))
        where = np.empty(0, np.int32) if order is None else order
        self._ranges.over(
            x.shape[0], lambda a, b: blocks.unscale(a, b, level.degrees, x, where, out)
        )
        return out


def _apply(source: tuple[Any, ...], begin: int, end: int) -> None:
    blocks.apply(begin, end, *source)
