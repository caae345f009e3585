"""Random trees on a device: the same ones as :mod:`umapcore.neighbors.trees` grows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.rng import stream_key
from umapcore.neighbors.trees import STREAM
from umapcore_cupy.host.scan import sum_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore_cupy.host.device import Array, Device
    from umapcore_cupy.neighbors.tiles import DevicePoints


class Trees:
    """Grows trees on a device.

    Parameters
    ----------
    levels
        From :func:`umapcore.neighbors.trees.bounds_of_levels`.
    """

    def __init__(self, device: Device, levels: list[NDArray[np.int64]], seed: int) -> None:
        self._device, self._seed = device, seed
        # Where the nodes begin, and where the right halves of them do.
        self._levels = [
            (
                bounds.shape[0] - 1,
                device.upload(bounds),
                device.upload(below[np.searchsorted(below, bounds[:-1], side="right")]),
            )
            for bounds, below in pairwise(levels)
        ]
        self._most = max((nodes for nodes, _, _ in self._levels), default=0)

    def grow(self, points: DevicePoints, number: int) -> Array | None:
        """Divide the points; return their numbers, int32, leaf after leaf.

        None: they are in their own order, because there is one leaf.
        """
        device, (rows, n, length) = self._device, points
        count, stride = np.int64(n), np.int64(length)
        keys, sides, directions, values, pivots, quotas, *orders = device.empties(
            (n, np.uint64), (n + 1, np.int64), (self._most * length, np.float32), (n, np.uint32),
            (self._most, np.uint32), (self._most, np.int32), (n, np.int32), (n, np.int32),
        )  # fmt: skip
        order: Array | None = None
        key = stream_key(self._seed, STREAM + number)[0]
        for depth, (most, bounds, middles) in enumerate(self._levels):
            nodes, out = np.int64(most), orders[depth % 2]
            device.launch(
                "choose_directions", most * length, nodes, rows, stride, order, bounds,
                key + np.uint64(depth), directions,
            )  # fmt: skip
            device.launch(
                "project", n, count, nodes, rows, stride, order, bounds, directions, values, keys
            )  # fmt: skip
            device.sort(keys)
            device.launch("find_pivots", most, nodes, bounds, middles, keys, pivots, quotas)
            device.launch("count_sides", n, count, nodes, bounds, values, pivots, sides)
            sum_up(device, sides, n + 1)
            device.launch(
                "divide", n, count, nodes, bounds, middles, order, values, pivots, quotas, sides,
                out,
            )  # fmt: skip
            order = out
        return order
