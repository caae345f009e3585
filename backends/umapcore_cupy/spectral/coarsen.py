"""Coarsening on a device: the same as :mod:`umapcore_numba.spectral.coarsen`, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from umapcore.device.spectral_ops import FEW, ROUNDS, TOSSES
from umapcore_cupy.host.programs import LONG_ROW
from umapcore_cupy.spectral.level import N_FOUND, DeviceLevel, of_vertices, summary

if TYPE_CHECKING:
    from umapcore_cupy.host.device import Array, Device


@dataclass(frozen=True)
class DeviceAggregates:
    """Which vertices of a level become one vertex of the next level.

    Attributes
    ----------
    n_vertices, n_coarse
        Numbers of vertices of the level and of aggregates.
    coarse
        int32, (n,): aggregate of every vertex.
    offsets, members
        int64, int32: aggregate c has the vertices ``members[offsets[c]:offsets[c + 1]]``.
    """

    n_vertices: int
    n_coarse: int
    coarse: Array
    offsets: Array
    members: Array


def coarsen(device: Device, level: DeviceLevel) -> tuple[DeviceLevel, DeviceAggregates]:
    """Make a level of about half as many vertices; return it and the aggregates."""
    coarse, members, offsets, size = _aggregates(device, level)
    smaller = _contracted(device, level, coarse, members, offsets, size)
    offsets = device.part(offsets, 0, smaller.n_vertices + 1)
    return smaller, DeviceAggregates(level.n_vertices, smaller.n_vertices, coarse, offsets, members)


def _aggregates(device: Device, level: DeviceLevel) -> tuple[Array, Array, Array, Array]:
    """Return the aggregate of each vertex, and the aggregates' members, offsets and number."""
    n, size = level.n_vertices, np.int64(level.n_vertices)
    keys, counts, numbers, scale, least, choice, root, run_tails, run_weights = device.empties(
        (n, np.uint64), (ROUNDS + 1, np.uint64), (n, np.int64), (n, np.float32), (n, np.float32),
        (n, np.int32), (n, np.int32), (level.n_runs, np.int32), (level.n_runs, np.float32),
    )  # fmt: skip
    stays, taken, free, lone = device.empties(*[(n, np.uint8)] * 4)
    device.launch(
        "match", n, size, *level.rows, level.inverse, level.shares,
        np.float64(level.least_share), np.int64(level.n_runs), level.first_runs, level.run_rows,
        run_tails, run_weights, np.int32(ROUNDS), np.float64(FEW * n), stays, taken, free, lone,
        scale, least, choice, root, keys, counts,
    )  # fmt: skip
    device.sort(keys)
    coarse, members, offsets, n_coarse = device.empties(
        (n, np.int32), (n, np.int32), (n + 1, np.int64), (1, np.int64)
    )
    # Arrays that the matching no longer needs are reused.
    joins, filled = taken, choice
    n_left = device.part(counts, ROUNDS, 1)
    device.launch(
        "aggregate", n, size, n_left, keys, np.int32(2 * TOSSES + 1), stays, lone, joins, root,
        numbers, coarse, offsets, filled, members, n_coarse,
    )  # fmt: skip
    return coarse, members, offsets, n_coarse


def _contracted(
    device: Device, level: DeviceLevel, coarse: Array, members: Array, offsets: Array, size: Array
) -> DeviceLevel:
    """Make the graph of the aggregates; there are at most as many of them as vertices."""
    n, n_edges = level.n_vertices, level.n_edges
    degrees, shares, inverse, first_runs, indptr = device.empties(
        *of_vertices(n), (n + 1, np.int64)
    )
    starts, bits, n_long, long_rows, found = device.empties(
        (n + 1, np.int64), (n, np.uint64), (1, np.uint64), (n_edges // LONG_ROW, np.int32),
        (N_FOUND, np.float64),
    )  # fmt: skip
    loose_indices, loose_weights = device.empties((n_edges, np.int32), (n_edges, np.float64))
    table = device.empty(2 * n_edges, np.uint32)
    device.launch(
        "contract", n, np.int64(n), size, np.int64(n_edges), offsets, members, coarse,
        *level.rows, level.degrees, starts, table, loose_indices, loose_weights, n_long,
        long_rows, degrees, shares, inverse, bits, indptr, first_runs,
    )  # fmt: skip
    del table
    known = summary(device, n, size, bits, indptr, first_runs, found)
    n_coarse = known.n_vertices
    indices, weights, run_rows = device.empties(
        (known.n_edges, np.int32), (known.n_edges, np.float32), (known.n_runs, np.int32)
    )
    device.launch(
        "pack_rows", n_coarse, np.int64(n_coarse), starts, loose_indices, loose_weights, indptr,
        first_runs, indices, weights, run_rows,
    )  # fmt: skip
    degrees, shares, inverse = (
        device.part(array, 0, n_coarse) for array in (degrees, shares, inverse)
    )
    first_runs, indptr = (device.part(array, 0, n_coarse + 1) for array in (first_runs, indptr))
    return DeviceLevel(
        n_coarse, known.n_edges, indptr, indices, weights, degrees, inverse, known.bound, shares,
        known.least_share, known.n_runs, first_runs, run_rows,
    )  # fmt: skip
