"""Levels of the hierarchy of graphs that the spectral start works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from umapcore.linalg import BOUND, SECLUDED
from umapcore_cupy.scan import entry, sum_up

if TYPE_CHECKING:
    from umapcore_cupy.device import Array, Device


@dataclass(frozen=True)
class DeviceLevel:
    """See :class:`umapcore.linalg.Level`.

    Attributes
    ----------
    n_vertices, n_edges
        Sizes.
    indptr, indices, weights
        int64, int32, float32: CSR without self-loops.
    degrees
        float64: weight of every vertex, that of edges inside of it included.
    inverse
        float32: 1 / degrees.
    bound
        No eigenvalue of 1 - P is above this.
    shares
        float64: what of its degree leaves a vertex; None for a level that is not coarsened.
    least_share
        Vertices with less than this are not merged.
    n_runs, first_runs, run_rows
        Rows that are summed in runs: how many runs there are, the first of each row (int64,
        n + 1), and the row of each (int32). None where there are none.
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
    first_runs: Array | None
    run_rows: Array | None

    @property
    def rows(self) -> tuple[Array, Array, Array]:
        """The CSR."""
        return self.indptr, self.indices, self.weights


def make_level(
    device: Device,
    n: int,
    n_edges: int,
    rows: tuple[Array, Array, Array],
    degrees: Array | None = None,
) -> DeviceLevel:
    """Put a level together.

    Parameters
    ----------
    device
        Where it is.
    n, n_edges
        Vertices and directed edges.
    rows
        CSR.
    degrees
        None: the sums of the rows.
    """
    size = np.int64(n)
    leaving, shares = device.empty(n, np.float64), device.empty(n, np.float64)
    inverse = device.empty(n, np.float32)
    device.launch("sum_rows", n, size, rows[0], rows[2], leaving)
    if degrees is None:
        degrees = leaving
    device.launch("scale_level", n, size, leaving, degrees, shares, inverse)
    bits, found = device.empty(n, np.uint64), device.empty(3, np.float64)
    device.launch("copy_bits", n, size, shares, bits)
    device.sort(bits)
    device.launch("pick_sorted", 3, size, bits, found)
    below, above, largest = device.download(found)
    return DeviceLevel(
        n, n_edges, *rows, degrees, inverse,
        BOUND * float(largest), shares, SECLUDED * (0.5 * (float(below) + float(above))),
        *_runs(device, n, rows[0]),
    )  # fmt: skip


def reorder(device: Device, level: DeviceLevel, order: Array) -> DeviceLevel:
    """Renumber the vertices of a level."""
    n = level.n_vertices
    size = np.int64(n)
    places, indptr = device.empty(n, np.int32), device.empty(n + 1, np.int64)
    device.launch("count_reordered", n, size, order, level.indptr, places, indptr)
    sum_up(device, indptr, n + 1)
    indices = device.empty(level.n_edges, np.int32)
    weights = device.empty(level.n_edges, np.float32)
    degrees, inverse = device.empty(n, np.float64), device.empty(n, np.float32)
    device.launch(
        "reorder", n, size, order, places, *level.rows, level.degrees, level.inverse,
        indptr, indices, weights, degrees, inverse,
    )  # fmt: skip
    return DeviceLevel(
        n, level.n_edges, indptr, indices, weights, degrees, inverse, level.bound, None, 0.0,
        *_runs(device, n, indptr),
    )  # fmt: skip


def _runs(device: Device, n: int, indptr: Array) -> tuple[int, Array | None, Array | None]:
    """Find the rows that are summed in runs."""
    first_runs = device.empty(n + 1, np.int64)
    device.launch("count_runs", n, np.int64(n), indptr, first_runs)
    sum_up(device, first_runs, n + 1)
    n_runs = entry(device, first_runs, n)
    if n_runs == 0:
        return 0, None, None
    run_rows = device.empty(n_runs, np.int32)
    device.launch("fill_runs", n, np.int64(n), first_runs, run_rows)
    return n_runs, first_runs, run_rows
