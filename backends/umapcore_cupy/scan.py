"""Running sums on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from umapcore_cupy.programs import CHUNK

if TYPE_CHECKING:
    from umapcore_cupy.device import Array, Device


def sum_up(device: Device, values: Array, count: int) -> None:
    """Replace the first entries of an int64 array by their running sums."""
    n_chunks = -(-count // CHUNK)
    sums = None
    if n_chunks > 1:
        sums = device.empty(n_chunks, np.int64)
        device.launch("sum_chunks", n_chunks, np.int64(count), values, sums)
        sum_up(device, sums, n_chunks)
    device.launch("sum_up", n_chunks, np.int64(count), values, sums)
