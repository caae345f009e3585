"""Running sums on a device, and single entries of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore_cupy.programs import CHUNK

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def entries(device: Device, array: Array, indices: NDArray[Any]) -> NDArray[np.int64]:
    """Fetch some entries of an int64 array."""
    wanted = device.upload(np.ascontiguousarray(indices, np.int64))
    found = device.empty(indices.shape[0], np.int64)
    device.launch("take", indices.shape[0], np.int64(indices.shape[0]), wanted, array, found)
    copied: NDArray[np.int64] = device.download(found)
    return copied


def entry(device: Device, array: Array, index: int) -> int:
    """Fetch one entry of an int64 array."""
    return int(entries(device, array, np.array([index]))[0])
