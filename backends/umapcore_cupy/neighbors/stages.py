"""The stages of the approximate search on a device: see :mod:`umapcore.neighbors.partitions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from umapcore.neighbors import partitions
from umapcore.neighbors.trees import bounds_of_levels
from umapcore_cupy.host.programs import THREADS_A_POINT
from umapcore_cupy.neighbors.tiles import (
    DevicePoints,
    bring_points,
    compare,
    empty_lists,
    sample_lists,
    tiles_of,
)
from umapcore_cupy.neighbors.trees import Trees

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore_cupy.host.device import Device


class DeviceStages:
    """The stages on a device.

    Attributes
    ----------
    numbers
        int32, on the host: the numbers of the points before the first tree renumbered them; None:
        they kept them.
    """

    def __init__(self, device: Device, points: NDArray[np.float32], k: int, seed: int) -> None:
        self._device, self._k = device, k
        n = points.shape[0]
        levels = bounds_of_levels(n, partitions.leaf_size(k))
        first, last = levels[-1][:-1], levels[-1][1:]
        self._tiles = tiles_of(first, last, first, last)
        self._trees = Trees(device, levels, seed)
        given = bring_points(device, points)
        order = self._trees.grow(given, 0)
        self._points, self.numbers = given, None
        if order is not None:
            self.numbers = device.download(order)
            rows = device.empty(n * given.stride, np.float32)
            device.launch(
                "gather_rows", n * given.stride // 4, np.int64(n), given.rows,
                np.int64(given.stride), order, rows,
            )  # fmt: skip
            self._points = DevicePoints(rows, n, given.stride)
        del given, order  # and their memory
        self._found = empty_lists(device, n, k)
        self._before = device.empty(n * k, np.int64)
        sample = partitions.sample_of(n, seed)
        self._n_sample, self._sample = int(sample.shape[0]), device.upload(sample)
        self._exact = sample_lists(device, self._points, self._sample, self._n_sample, k)

    def tree(self, number: int) -> None:
        """Grow a tree, and compare all pairs of points within its leaves."""
        order = self._trees.grow(self._points, number) if number > 0 else None
        places = (order, order, order)
        compare(self._device, self._points, self._tiles, self._found, self._k, places=places)

    def look_around(self) -> None:
        """Compare every point with the neighbours of its neighbours."""
        n, k = self._points.n, self._k
        self._before, self._found = self._found, self._before
        self._device.launch(
            "look_around", n * THREADS_A_POINT, np.int64(n), self._points.rows,
            np.int64(self._points.stride), self._before, np.int32(k),
            np.int32(partitions.reach_of(k)), self._found,
        )  # fmt: skip

    def recall(self) -> float:
        """Return the share of the sample's nearest neighbours that have been found."""
        device, asked = self._device, self._n_sample * self._k
        count = device.zeros(1, np.int32)
        device.launch(
            "count_found", asked, np.int64(self._n_sample), np.int32(self._k), self._sample,
            self._exact, self._found, count,
        )  # fmt: skip
        return int(device.download(count)[0]) / asked

    def found(self) -> NDArray[np.int64]:
        """Copy the lists, (n, k), to the host."""
        found: NDArray[np.int64] = self._device.download(self._found)
        return found.reshape(self._points.n, self._k)
