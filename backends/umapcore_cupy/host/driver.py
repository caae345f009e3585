"""Queries of the NVIDIA driver, without CuPy and without a context on any device."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any

# Values of the driver's CUdevice_attribute.
_CAPABILITY_MAJOR = 75
_CAPABILITY_MINOR = 76


@dataclass(frozen=True)
class Gpu:
    """A device, as the driver describes it.

    Attributes
    ----------
    name
        The model.
    memory
        Total memory in bytes.
    capability
        Compute capability, (9, 0) for 9.0.
    """

    name: str
    memory: int
    capability: tuple[int, int]


def driver_version() -> int | None:
    """Return the newest CUDA version that the driver runs.

    Returns
    -------
    13000 for 13.0; None without a driver. No device is initialised.
    """
    cuda = _library()
    number = ctypes.c_int()
    if cuda is None or cuda.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return None
    return number.value


def gpus() -> list[Gpu]:
    """Return the devices that this process may use, in the driver's order."""
    cuda = _library()
    count = ctypes.c_int()
    if cuda is None or cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    found = [_describe(cuda, number) for number in range(count.value)]
    return [gpu for gpu in found if gpu is not None]


def version_text(number: int) -> str:
    """Format CUDA's version number: 13020 becomes ``'13.2'``."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _library() -> Any:
    try:
        return ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return None


def _describe(cuda: Any, number: int) -> Gpu | None:
    device, text, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    major, minor = ctypes.c_int(), ctypes.c_int()
    failed = (
        cuda.cuDeviceGet(ctypes.byref(device), number)
        or cuda.cuDeviceGetName(text, len(text), device)
        or cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        or cuda.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
        or cuda.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    )
    if failed:
        return None
    name = text.value.decode(errors="replace")
    return Gpu(name, memory.value, (major.value, minor.value))
