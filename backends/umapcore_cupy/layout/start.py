"""Start positions that are already on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.layout.constants import EXTENT
from umapcore.logs import logger

if TYPE_CHECKING:
    from umapcore_cupy.host.device import Array, Device

_EXTENT_THREADS = 64 * 1024


def adopt_start(device: Device, positions: Any, shape: tuple[int, int]) -> Array | None:
    """Scale positions as :func:`umapcore.init.positions.start_positions` does, on the device.

    Returns
    -------
    float32, flat; None if the host must check them: a wrong shape or dtype, values that are not
    finite, a constant axis, equal rows.
    """
    found = _scaled(device, positions, shape)
    if isinstance(found, str):
        logger.info("start positions on the GPU go by way of the host: %s", found)
        return None
    return found


def _scaled(device: Device, positions: Any, shape: tuple[int, int]) -> Array | str:
    """Return scaled positions, or the reason why the host must check them."""
    if tuple(positions.shape) != shape or positions.dtype != np.float32:
        return f"they are {positions.dtype} of shape {tuple(positions.shape)}"
    if not positions.flags.c_contiguous or not device.holds(positions):
        return "they are not contiguous, or on another GPU than the current one"
    n, d = shape
    device.compile("inputs")
    given = device.wrap(positions)
    extremes = [device.upload(np.full(d, limit, np.int32)) for limit in (2**31 - 1, -(2**31))]
    count = device.zeros(1, np.int32)
    threads = min(n, _EXTENT_THREADS)
    device.launch("find_extents", threads, np.int64(n), np.int32(d), given, *extremes, count)
    if device.download(count)[0]:
        return "some are not finite"
    low, high = (_floats(device.download(bits)) for bits in extremes)
    if (low == high).any():
        return "an axis is constant"
    scaled, hashes = device.empty(n * d, np.float32), device.empty(n, np.uint64)
    device.launch(
        "scale_rows", n, np.int64(n), np.int32(d), given, device.upload(low),
        device.upload(EXTENT / (high - low)), scaled, hashes,
    )  # fmt: skip
    device.sort(hashes)
    device.launch("find_equal", n, np.int64(n), hashes, count)
    if device.download(count)[0]:
        return "some rows are equal"
    return scaled


def _floats(ordered: np.ndarray[Any, np.dtype[np.int32]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the floats of integers that the kernels made for comparisons."""
    bits = np.where(ordered >= 0, ordered, ordered ^ np.int32(0x7FFFFFFF)).astype(np.int32)
    return bits.view(np.float32).astype(np.float64)
