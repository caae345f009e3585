"""What this package asks of a device; :mod:`.cupy_device` is the one that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import DTypeLike, NDArray


class Array:
    """One-dimensional array on a device.

    Attributes
    ----------
    values
        What the device makes of it: an array of CuPy's. None when the device has been closed: so
        nothing keeps memory of the device, not even the traceback of an error.
    whole
        The array that this one is a part of.
    """

    __slots__ = ("__weakref__", "values", "whole")

    def __init__(self, values: Any, whole: Array | None = None) -> None:
        self.values, self.whole = values, whole


#: Parts of one allocation begin at multiples of so many bytes.
ALIGNMENT = 256


def parts_of(shapes: Sequence[tuple[int, DTypeLike]]) -> tuple[int, list[tuple[int, int]]]:
    """Give the bytes of an allocation for several arrays, and where each begins and ends."""
    size, ranges = 0, []
    for count, dtype in shapes:
        begin = -(-size // ALIGNMENT) * ALIGNMENT
        size = begin + count * np.dtype(dtype).itemsize
        ranges.append((begin, size))
    return size, ranges


class Arrays:
    """The arrays of a device that are in use."""

    def __init__(self) -> None:
        self._live: WeakSet[Array] = WeakSet()

    def hold(self, values: Any, whole: Array | None = None) -> Array:
        """Make an array and remember it as long as it lives."""
        array = Array(values, whole)
        self._live.add(array)
        return array

    def n_bytes(self) -> int:
        """Count the bytes of all of them."""
        return sum(int(array.values.nbytes) for array in self._live if array.whole is None)

    def release(self) -> None:
        """Let go of what all of them hold."""
        for array in list(self._live):
            array.values = None
        self._live.clear()


class Recording(Protocol):
    """Work that was recorded and can be started again as a whole."""

    def play(self) -> None:
        """Start the work."""


class Device(Protocol):
    """Memory, kernels and copies of one device. Work is done in the order in which it is asked."""

    def at_work(self) -> AbstractContextManager[object]:
        """Make ready what every call needs, once for all calls within the block."""

    def free_bytes(self) -> int | None:
        """Bytes that can be allocated; None where an allocator of the user's decides."""

    def holds(self, array: Any) -> bool:
        """Whether an array of the user's is on this device and not on another."""

    def peak_bytes(self) -> int:
        """Bytes that have been held at most since the device was opened."""

    def empty(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate an array.

        Raises
        ------
        umapcore.errors.GPUMemoryError
            When there is too little memory.
        """

    def empties(self, *shapes: tuple[int, DTypeLike]) -> list[Array]:
        """Allocate arrays of these lengths and types at once; they are freed together too."""

    def part(self, array: Array, start: int, count: int) -> Array:
        """Give some entries of an array, which share its memory."""

    def wrap(self, values: Any) -> Array:
        """Take an array of the user's that is on the device."""

    def zeros(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate an array of zeros."""

    def upload(self, values: NDArray[Any]) -> Array:
        """Copy an array of the host's, flattened."""

    def download(self, array: Array, count: int | None = None, *, start: int = 0) -> NDArray[Any]:
        """Copy an array, or some entries, to the host, when all work so far is done."""

    def sort(self, keys: Array) -> None:
        """Sort unsigned 64-bit integers in place."""

    def compile(self, program: str, dimensions: int = 2, samples: int = 5) -> None:
        """Make a program's kernels ready to be launched: see :func:`.programs.defines`."""

    def cooperates(self) -> bool:
        """Whether blocks of cooperative kernels wait for one another, or there is just one."""

    def launch(self, kernel: str, n_threads: int, *arguments: Any) -> None:
        """Start a kernel with at least so many threads.

        Arguments are arrays, None for a null pointer, or NumPy scalars of exactly the types that
        the kernel declares. A cooperative kernel is given its first argument by the device, and
        fewer threads where fewer blocks can be on the device at once.
        """

    def record(self, work: Callable[[], None]) -> Recording | None:
        """Record the kernels that a function launches, without running them; None: not possible."""

    def prefetch(self, slot: int, copies: Sequence[tuple[Array, NDArray[Any]]]) -> None:
        """Begin to fill arrays from the host, once the last use of the slot is done."""

    def use(self, slot: int) -> None:
        """Let the following work wait until the slot is filled."""

    def used(self, slot: int) -> None:
        """Say that the work so far was the last to use what is in the slot."""

    def pin(self, values: NDArray[Any]) -> None:
        """Let an array of the host's be copied without detours until the device is closed."""

    def synchronize(self) -> None:
        """Wait until all work is done.

        Raises
        ------
        umapcore.errors.GPUError
            When any of it failed.
        """

    def close(self) -> None:
        """Wait for the work under way and give all memory back."""
