"""Exchange between the GPUs of one machine by NCCL, through CuPy."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import GPUError, GPUUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from umapcore_cupy.host.cupy_device import CupyDevice
    from umapcore_cupy.host.device import Array

#: The packages of PyPI that have the library.
_PACKAGES = "nvidia-nccl-cu12 or nvidia-nccl-cu13"


def import_nccl() -> Any:
    """Return CuPy's module of NCCL, which says whether the library is available."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that the library is missing
        return import_module("cupy.cuda.nccl")


class NcclLinks:
    """See :class:`umapcore_cupy.layout.shards.Links`.

    Parameters
    ----------
    devices
        Different devices.

    Raises
    ------
    umapcore.errors.GPUUnavailableError
        If CuPy cannot load NCCL, or NCCL does not accept the devices.
    """

    def __init__(self, devices: Sequence[Any]) -> None:
        nccl = import_nccl()
        if not nccl.available:
            msg = f"several GPUs need NCCL, which CuPy cannot load: install {_PACKAGES}."
            raise GPUUnavailableError(msg)
        self._nccl, self._devices = nccl, list(devices)
        self._types = {
            np.dtype(np.float32): nccl.NCCL_FLOAT32,
            np.dtype(np.int32): nccl.NCCL_INT32,
            np.dtype(np.uint64): nccl.NCCL_UINT64,
        }
        try:
            self._links = nccl.NcclCommunicator.initAll([device.number for device in devices])
        except nccl.NcclError as error:
            msg = f"NCCL cannot connect the GPUs: {error}."
            raise GPUUnavailableError(msg) from error

    def add_up(self, arrays: Sequence[Array]) -> None:
        """Give every device the sums of the devices' arrays."""
        for link, device, array in self._together(arrays):
            address, count, kind = self._described(array)
            link.allReduce(address, address, count, kind, self._nccl.NCCL_SUM, device.stream.ptr)

    def share(self, arrays: Sequence[Array], owner: int, first: int, last: int) -> None:
        """Give every device the entries `first` … `last` - 1 of an owner's array."""
        for link, device, array in self._together(arrays):
            address, _, kind = self._described(array)
            address += first * array.values.itemsize
            link.broadcast(address, address, last - first, kind, owner, device.stream.ptr)

    def close(self) -> None:
        """Release the connections."""
        for link in self._links:
            link.destroy()
        self._links = []

    def _together(self, arrays: Sequence[Array]) -> Iterator[tuple[Any, CupyDevice, Array]]:
        """Yield the devices' links and arrays; NCCL starts what was asked of all at the end."""
        try:
            self._nccl.groupStart()
            yield from zip(self._links, self._devices, arrays, strict=True)
            self._nccl.groupEnd()
        except self._nccl.NcclError as error:
            msg = f"exchange between GPUs failed: {error}"
            raise GPUError(msg) from error

    def _described(self, array: Array) -> tuple[int, int, int]:
        values = array.values
        return int(values.data.ptr), int(values.size), self._types[values.dtype]
