"""The operations of the spectral start on a device."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.arrays import Csr
from umapcore.device.spectral_ops import BLOCK_ROWS
from umapcore.graph.components import connected_components
from umapcore_cupy.host.programs import THREADS
from umapcore_cupy.host.scan import sum_up
from umapcore_cupy.layout.graph import DeviceGraph, to_host
from umapcore_cupy.spectral.coarsen import coarsen
from umapcore_cupy.spectral.level import finest_level, reorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from umapcore_cupy.host.device import Array, Device
    from umapcore_cupy.spectral.coarsen import DeviceAggregates
    from umapcore_cupy.spectral.level import DeviceLevel


class Block(NamedTuple):
    """Vectors: float32, n × width, row after row."""

    n: int
    width: int
    values: Array


class CupySpectralOps:
    """See :class:`umapcore.device.spectral_ops.SpectralOps`.

    Parameters
    ----------
    device
        Where everything is.
    bring_graph
        Copies a host graph to the device.
    """

    def __init__(
        self, device: Device, bring_graph: Callable[[sparse.csr_array[Any, Any]], DeviceGraph]
    ) -> None:
        self._device, self._bring_graph = device, bring_graph
        self._at_work = ExitStack()
        device.compile("spectral")

    def __enter__(self) -> CupySpectralOps:
        self._at_work.enter_context(self._device.at_work())
        return self

    def __exit__(self, *error: Any) -> None:
        self._at_work.__exit__(*error)

    def components(self, graph: Any) -> tuple[int, NDArray[np.int32] | None]:
        """Count components; see `SpectralOps`."""
        if not isinstance(graph, DeviceGraph):
            return connected_components(graph)
        device, n = self._device, graph.n_vertices
        size = np.int64(n)
        parents, count = device.empty(n, np.int32), device.zeros(1, np.int32)
        device.launch("begin_trees", n, size, parents)
        device.launch("join_trees", n, size, graph.indptr, graph.indices, parents)
        device.launch("count_roots", n, size, parents, count)
        if device.download(count)[0] == 1:
            return 1, None
        # The host handles small components and where each is placed.
        return connected_components(self.to_host(graph))

    def to_host(self, graph: Any) -> sparse.csr_array[Any, Any]:
        """Copy a graph to the host, unless it is there; see `SpectralOps`."""
        return to_host(self._device, graph) if isinstance(graph, DeviceGraph) else graph

    def finest(self, graph: Any) -> DeviceLevel:
        """Make a level from a graph; see `SpectralOps`."""
        there = graph if isinstance(graph, DeviceGraph) else self._bring_graph(graph)
        rows = (there.indptr, there.indices, there.weights)
        return finest_level(self._device, there.n_vertices, there.nnz, rows)

    def coarsen(self, level: DeviceLevel) -> tuple[DeviceLevel, DeviceAggregates]:
        """Make a smaller level; see :mod:`umapcore_cupy.spectral.coarsen`."""
        return coarsen(self._device, level)

    def bring(self, level: DeviceLevel) -> tuple[Csr, NDArray[np.float64]]:
        """Copy a level to the host."""
        *rows, degrees = map(self._device.download, (*level.rows, level.degrees))
        return Csr(*rows), degrees

    def unfold(
        self, aggregates: DeviceAggregates, order: Array | None, *, by_place: bool
    ) -> tuple[Array, Array]:
        """Order vertices by their aggregates; see `SpectralOps`."""
        device, n_coarse = self._device, aggregates.n_coarse
        n = aggregates.n_vertices
        starts, fine, source = device.empties(
            (n_coarse + 1, np.int64), (n, np.int32), (n, np.int32)
        )
        size, offsets = np.int64(n_coarse), aggregates.offsets
        device.launch("count_unfolded", n_coarse, size, order, offsets, starts)
        sum_up(device, starts, n_coarse + 1)
        device.launch(
            "unfold", n_coarse, size, order, np.int32(by_place), offsets, aggregates.members,
            starts, fine, source,
        )  # fmt: skip
        return fine, source

    def reorder(self, level: DeviceLevel, order: Array) -> DeviceLevel:
        """Renumber vertices; see `SpectralOps`."""
        return reorder(self._device, level, order)

    def source(self, aggregates: DeviceAggregates) -> Array:
        """Return the rows to prolong from; see `SpectralOps`."""
        return aggregates.coarse

    def block(self, values: NDArray[np.float32]) -> Block:
        """Copy a block to the device."""
        n, width = values.shape
        return Block(n, width, self._device.upload(values))

    def zeros_like(self, x: Block) -> Block:
        """Make a block of zeros."""
        return Block(x.n, x.width, self._device.zeros(x.n * x.width, np.float32))

    def prolong(self, x: Block, source: Array) -> Block:
        """Repeat rows; see `SpectralOps`."""
        n = int(source.values.shape[0])
        out = self._device.empty(n * x.width, np.float32)
        self._device.launch(
            "prolong", _threads(n, x.width), np.int64(n), np.int32(x.width), x.values, source, out
        )  # fmt: skip
        return Block(n, x.width, out)

    def apply(
        self, level: DeviceLevel, x: Block, y: Block, steps: Sequence[tuple[float, float, float]]
    ) -> tuple[Block, Block]:
        """Compute y = alpha (P - 1) x + beta x + gamma y; see `SpectralOps`."""
        device = self._device
        sums = device.empty(level.n_runs * x.width, np.float32) if level.n_runs else None
        device.launch(
            "apply_laplacian", _threads(x.n + level.n_runs, x.width), np.int64(x.n),
            np.int32(x.width), *level.rows, level.inverse, np.int64(level.n_runs),
            level.first_runs, level.run_rows, sums, x.values, y.values, np.int32(len(steps)),
            device.upload(np.array(steps, np.float32)),
        )  # fmt: skip
        return (x, y) if len(steps) % 2 == 0 else (y, x)

    def gram(self, level: DeviceLevel, x: Block, y: Block) -> NDArray[np.float64]:
        """Compute dot products; see `SpectralOps`."""
        device, m = self._device, x.width
        n_blocks = -(-x.n // BLOCK_ROWS)
        at_once = max(1, THREADS // (m * m))
        parts = device.empty(n_blocks * 3 * m * m, np.float64)
        device.launch(
            "products", -(-n_blocks // at_once) * THREADS, np.int64(x.n), np.int32(m),
            level.degrees, x.values, y.values, parts,
        )  # fmt: skip
        found: NDArray[np.float64] = device.download(parts, 3 * m * m)
        return found.reshape(3, m, m)

    def rotate(
        self, x: Block, rotation: NDArray[np.float64], offset: NDArray[np.float64], out: Block
    ) -> None:
        """Compute out = x @ rotation - offset; see `SpectralOps`."""
        device = self._device
        both = device.upload(np.concatenate([rotation.reshape(-1), offset]))
        device.launch(
            "rotate_block", _threads(x.n, x.width), np.int64(x.n), np.int32(x.width), x.values,
            both, out.values,
        )  # fmt: skip

    def unscale(
        self, level: DeviceLevel, x: Block, order: Array | None, n_vectors: int
    ) -> NDArray[np.float64]:
        """Return sqrt(D) x; see `SpectralOps`."""
        device = self._device
        out = device.empty(x.n * n_vectors, np.float64)
        device.launch(
            "unscale", _threads(x.n, n_vectors), np.int64(x.n), np.int32(x.width),
            np.int32(n_vectors), level.degrees, x.values, order, out,
        )  # fmt: skip
        found: NDArray[np.float64] = device.download(out)
        return found.reshape(x.n, n_vectors)


def _threads(n_rows: int, width: int) -> int:
    """Return the number of threads for rows of some columns; a block processes whole rows."""
    return -(-n_rows // max(1, THREADS // width)) * THREADS
