"""Running sums on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from umapcore_cupy.host.programs import CHUNK

if TYPE_CHECKING:
    from umapcore_cupy.host.device import Array, Device


def sum_up(device: Device, values: Array, count: int) -> None:
    """Replace the first entries of an int64 array by their running sums."""
    device.launch("sum_up", -(-count // CHUNK), np.int64(count), values)
