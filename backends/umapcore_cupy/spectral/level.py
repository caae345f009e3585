"""Levels of the hierarchy of graphs that the spectral start works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore.device.spectral_ops import BOUND, SECLUDED
from umapcore_cupy.host.scan import sum_up

if TYPE_CHECKING:
    from umapcore_cupy.host.device import Array, Device


@dataclass(frozen=True)
class DeviceLevel:
    """See :class:`umapcore.device.spectral_ops.Level`.

    Attributes
    ----------
    n_vertices, n_edges
        Sizes.
    indptr, indices, weights
        int64, int32, float32: CSR without self-loops.
    degrees
        float64: weight of every vertex, including edges inside it.
    inverse
        float32: 1 / degrees.
    bound
        No eigenvalue of 1 - P is above this.
    shares
        float64: share of a vertex's degree that leaves it; None for a level that is not coarsened.
    least_share
        Vertices with a smaller share are not merged.
    n_runs, first_runs, run_rows
        For rows that are summed in runs: the number of runs, the first run of each row (int64,
        n + 1), and the row of each run (int32).
    """

    n_vertices: int
    n_edges: int
    indptr: Array
    indices: Array
    weights: Array
    degrees: Array
    inverse: Array
    bound: float
    shares: Array | None
    least_share: float
    n_runs: int
    first_runs: Array
    run_rows: Array

    @property
    def rows(self) -> tuple[Array, Array, Array]:
        """The CSR."""
        return self.indptr, self.indices, self.weights


def finest_level(
    device: Device, n: int, n_edges: int, rows: tuple[Array, Array, Array]
) -> DeviceLevel:
    """Make a level from the rows of a graph."""
    degrees, shares, inverse, first_runs = device.empties(*of_vertices(n))
    bits, found = device.empties((n, np.uint64), (N_FOUND, np.float64))
    device.launch(
        "measure_level", n, np.int64(n), rows[0], rows[2], degrees, shares, inverse, bits,
        first_runs,
    )  # fmt: skip
    sum_up(device, first_runs, n + 1)
    known = summary(device, n, None, bits, rows[0], first_runs, found)
    run_rows = device.empty(known.n_runs, np.int32)
    device.launch("fill_runs", n, np.int64(n), first_runs, run_rows)
    return DeviceLevel(
        n, n_edges, *rows, degrees, inverse, known.bound, shares, known.least_share,
        known.n_runs, first_runs, run_rows,
    )  # fmt: skip


def of_vertices(n: int) -> tuple[tuple[int, Any], ...]:
    """Return the lengths and types of a level's arrays for its vertices.

    These are degrees, shares, inverse degrees and first runs.
    """
    return (n, np.float64), (n, np.float64), (n, np.float32), (n + 1, np.int64)


#: Numbers that `summary` downloads.
N_FOUND = 6


class Summary(NamedTuple):
    """What the host must know about a level."""

    bound: float
    least_share: float
    n_vertices: int
    n_edges: int
    n_runs: int


def summary(
    device: Device,
    n: int,
    size: Array | None,
    bits: Array,
    indptr: Array,
    first_runs: Array,
    found: Array,
) -> Summary:
    """Sort the shares, given as bits, and download what the host must know.

    `size` holds the number of vertices if only the device has it; there are at most `n`.
    """
    device.sort(bits)
    device.launch("summarise", 1, np.int64(n), size, bits, indptr, first_runs, found)
    below, above, largest, *counts = map(float, device.download(found))
    return Summary(BOUND * largest, SECLUDED * (0.5 * (below + above)), *map(int, counts))


def reorder(device: Device, level: DeviceLevel, order: Array) -> DeviceLevel:
    """Renumber the vertices of a level."""
    n, n_edges = level.n_vertices, level.n_edges
    degrees, places, inverse, first_runs = device.empties(
        (n, np.float64), (n, np.int32), (n, np.float32), (n + 1, np.int64)
    )
    indptr, indices, weights, run_rows = device.empties(
        (n + 1, np.int64), (n_edges, np.int32), (n_edges, np.float32), (level.n_runs, np.int32)
    )
    size = np.int64(n)
    device.launch("count_reordered", n, size, order, level.indptr, places, indptr, first_runs)
    sum_up(device, indptr, n + 1)
    sum_up(device, first_runs, n + 1)
    device.launch(
        "reorder", n, size, order, places, *level.rows, level.degrees, level.inverse, indptr,
        indices, weights, degrees, inverse, first_runs, run_rows,
    )  # fmt: skip
    return DeviceLevel(
        n, n_edges, indptr, indices, weights, degrees, inverse, level.bound, None, 0.0,
        level.n_runs, first_runs, run_rows,
    )  # fmt: skip
