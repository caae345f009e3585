"""Coarsening on a device: what :mod:`umapcore_numba.coarsen` does, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from umapcore.linalg import FEW, ROUNDS, TOSSES
from umapcore_cupy.level import make_level
from umapcore_cupy.scan import entry, sum_up

if TYPE_CHECKING:
    from umapcore_cupy.device import Array, Device
    from umapcore_cupy.level import DeviceLevel


@dataclass(frozen=True)
class DeviceAggregates:
    """Which vertices of a level are one vertex of the next.

    Attributes
    ----------
    n_vertices, n_coarse
        Vertices of the level, and aggregates.
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
    """Make a level of about half as many vertices, and say which belong together."""
    n = level.n_vertices
    aggregates = _aggregates(device, n, _matched(device, level))
    return _contracted(device, level, aggregates), aggregates


def _matched(device: Device, level: DeviceLevel) -> Array:
    """Give every vertex the first vertex of the pair that its aggregate is made of."""
    n, size = level.n_vertices, np.int64(level.n_vertices)
    stays, taken, free = (device.empty(n, np.uint8) for _ in range(3))
    scale, least = device.empty(n, np.float32), device.empty(n, np.float32)
    root, choice = device.empty(n, np.int32), device.empty(n, np.int32)
    device.launch(
        "begin_matching", n, size, level.shares, level.inverse, np.float64(level.least_share),
        stays, taken, free, scale, least, root,
    )  # fmt: skip
    n_matched = device.zeros(1, np.int32)
    before = 0
    for _ in range(ROUNDS):
        device.launch("propose", n, size, *level.rows, scale, taken, free, least, choice)
        device.launch("match", n, size, choice, free, taken, root, n_matched)
        so_far = int(device.download(n_matched)[0])
        few = so_far - before < FEW * n
        before = so_far
        if few:
            break
    nobody = device.zeros(n, np.uint8)
    device.launch("propose", n, size, *level.rows, scale, nobody, free, least, choice)
    keys = device.empty(n, np.uint64)
    device.launch("make_leftover_keys", n, size, free, choice, keys)
    device.sort(keys)
    n_left = device.zeros(1, np.int32)
    device.launch("count_free", n, size, free, n_left)
    count = int(device.download(n_left)[0])
    lone, joins = device.zeros(n, np.uint8), device.empty(count, np.uint8)
    left = np.int64(count)
    device.launch("pair_leftovers", count, left, keys, root, lone)
    for toss in range(2 * TOSSES + 1):
        device.launch("toss", count, left, keys, np.int32(toss), stays, lone, joins)
        device.launch("join", count, left, keys, joins, lone, root)
    return root


def _aggregates(device: Device, n: int, root: Array) -> DeviceAggregates:
    """Give aggregates numbers in the order of their first vertices, and list their members."""
    size = np.int64(n)
    numbers = device.empty(n, np.int64)
    device.launch("mark_roots", n, size, root, numbers)
    sum_up(device, numbers, n)
    n_coarse = entry(device, numbers, n - 1)
    coarse, keys = device.empty(n, np.int32), device.empty(n, np.uint64)
    device.launch("number_aggregates", n, size, root, numbers, coarse, keys)
    device.sort(keys)
    offsets, members = device.empty(n_coarse + 1, np.int64), device.empty(n, np.int32)
    device.launch("group", n, size, np.int64(n_coarse), keys, offsets, members)
    return DeviceAggregates(n, n_coarse, coarse, offsets, members)


def _contracted(device: Device, level: DeviceLevel, aggregates: DeviceAggregates) -> DeviceLevel:
    """Make the graph of the aggregates."""
    n_coarse = aggregates.n_coarse
    size = np.int64(n_coarse)
    offsets, members = aggregates.offsets, aggregates.members
    degrees, starts = device.empty(n_coarse, np.float64), device.empty(n_coarse + 1, np.int64)
    device.launch(
        "add_members", n_coarse, size, offsets, members, level.degrees, level.indptr,
        degrees, starts,
    )  # fmt: skip
    sum_up(device, starts, n_coarse + 1)
    room = level.n_edges
    table = device.zeros(2 * room, np.uint32)
    loose_indices, loose_weights = device.empty(room, np.int32), device.empty(room, np.float64)
    indptr = device.empty(n_coarse + 1, np.int64)
    device.launch(
        "contract", n_coarse, size, offsets, members, aggregates.coarse, *level.rows,
        starts, table, loose_indices, loose_weights, indptr,
    )  # fmt: skip
    del table
    sum_up(device, indptr, n_coarse + 1)
    n_edges = entry(device, indptr, n_coarse)
    indices, weights = device.empty(n_edges, np.int32), device.empty(n_edges, np.float32)
    device.launch(
        "pack_rows", n_coarse, size, starts, loose_indices, loose_weights, indptr,
        indices, weights,
    )  # fmt: skip
    return make_level(device, n_coarse, n_edges, (indptr, indices, weights), degrees)
