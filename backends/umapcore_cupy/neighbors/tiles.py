"""Comparison of all pairs of points on a device, a tile of pairs at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore.neighbors.lists import NO_KEY
from umapcore.neighbors.pairs import as_rows
from umapcore_cupy.host.programs import THREADS, TILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from umapcore_cupy.host.device import Array, Device

#: Points whose neighbours one launch of an exact search looks for.
ROWS_PER_LAUNCH = 1 << 14
#: Differences of coordinates in a launch, at most: a slow device needs a second for them.
WORK_PER_LAUNCH = 1 << 38


class DevicePoints(NamedTuple):
    """Points as rows of whole blocks, see :func:`umapcore.neighbors.pairs.as_rows`.

    Attributes
    ----------
    rows
        float32.
    n, stride
        Number and length of the rows.
    """

    rows: Array
    n: int
    stride: int


def bring_points(device: Device, points: NDArray[np.float32]) -> DevicePoints:
    """Copy points, (n, p), to a device."""
    rows = as_rows(points)
    return DevicePoints(device.upload(rows.rows), points.shape[0], int(rows.stride))


def empty_lists(device: Device, count: int, k: int) -> Array:
    """Allocate lists of `k` keys without a neighbour."""
    lists = device.empty(count * k, np.int64)
    device.launch("fill_keys", count * k, np.int64(count * k), lists)
    return lists


def tiles_of(
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Divide the comparison of places with others into what blocks of threads do.

    Parameters
    ----------
    first, last
        The places `first` … `last` - 1, not none, are compared …
    begin, end
        … with the places `begin` … `end` - 1. All four have one entry for each group of places.

    Returns
    -------
    (blocks, 4): the same four numbers for each block.
    """
    counts = -(-(last - first) // TILE)
    group = np.repeat(np.arange(counts.shape[0]), counts)
    within = np.arange(group.shape[0]) - np.repeat(np.cumsum(counts) - counts, counts)
    own = first[group] + TILE * within
    return np.stack([own, np.minimum(own + TILE, last[group]), begin[group], end[group]], axis=1)


def compare(
    device: Device,
    points: DevicePoints,
    tiles: NDArray[np.int64],
    found: Array,
    k: int,
    *,
    places: tuple[Array | None, Array | None, Array | None] = (None, None, None),
    skipped: int = 0,
) -> None:
    """Compare points, and keep the `k` nearest; see ``compare_tiles`` in the kernels."""
    longest = int((tiles[:, 3] - tiles[:, 2]).max())
    step = max(1, WORK_PER_LAUNCH // (TILE * longest * points.stride))
    for at in range(0, tiles.shape[0], step):
        some = tiles[at : at + step]
        device.launch(
            "compare_tiles", some.shape[0] * THREADS, points.rows, np.int64(points.stride),
            device.upload(some), *places, np.int64(skipped), np.int32(k), found,
        )  # fmt: skip


def sample_lists(device: Device, points: DevicePoints, sample: Array, count: int, k: int) -> Array:
    """Find the nearest neighbours of some of the points exactly."""
    found = empty_lists(device, count, k)
    _compare_with_all(device, points, (0, count), (sample, None, None), found, k)
    return found


def nearest_lists(
    device: Device, points: DevicePoints, k: int, report: Callable[[float], None] | None = None
) -> NDArray[np.int64]:
    """Find the nearest neighbours of all points exactly; report the shares that are done.

    Returns
    -------
    int64, (n, k), on the host: lists as in :mod:`umapcore.neighbors.lists`.
    """
    n = points.n
    lists = np.full((n, k), NO_KEY)
    if k == 0:
        return lists
    for first in range(0, n, ROWS_PER_LAUNCH):
        last = min(n, first + ROWS_PER_LAUNCH)
        found = empty_lists(device, last - first, k)
        _compare_with_all(device, points, (first, last), (None, None, None), found, k)
        lists[first:last] = device.download(found).reshape(-1, k)
        del found  # before the next ones are allocated
        if report is not None:
            report((last - first) / n)
    return lists


def _compare_with_all(
    device: Device, points: DevicePoints, rows: tuple[int, int], places: Any, found: Array, k: int
) -> None:
    """Compare places with all points, some of these after the others."""
    first, last = rows
    step = max(TILE, WORK_PER_LAUNCH // ((last - first) * points.stride))
    for begin in range(0, points.n, step):
        group = np.array([[first], [last], [begin], [min(points.n, begin + step)]], np.int64)
        compare(device, points, tiles_of(*group), found, k, places=places, skipped=first)
