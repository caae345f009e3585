"""The interface of a device; :mod:`.cupy_device` is the only implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import DTypeLike, NDArray


class Array:
    """A one-dimensional array on a device.

    Attributes
    ----------
    values
        The device's own form of the array: a CuPy array. None after the device has been closed, so
        that nothing keeps memory of the device, not even the traceback of an error.
    whole
        The array that this one is a part of.
    """

    __slots__ = ("__weakref__", "values", "whole")

    def __init__(self, values: Any, whole: Array | None = None) -> None:
        self.values, self.whole = values, whole


#: Parts of one allocation begin at multiples of this many bytes.
ALIGNMENT = 256


class Arrays:
    """The arrays of a device that are in use."""

    def __init__(self) -> None:
        self._live: WeakSet[Array] = WeakSet()

    def hold(self, values: Any, whole: Array | None = None) -> Array:
        """Create an array and track it while it exists."""
        array = Array(values, whole)
        self._live.add(array)
        return array

    def parts(
        self, empty: Callable[[int, DTypeLike], Array], shapes: Sequence[tuple[int, DTypeLike]]
    ) -> list[Array]:
        """Allocate one array by `empty`, and return parts of it with these lengths and types."""
        size, ranges = 0, []
        for count, dtype in shapes:
            begin = -(-size // ALIGNMENT) * ALIGNMENT
            size = begin + count * np.dtype(dtype).itemsize
            ranges.append((begin, size))
        whole = empty(size, np.uint8)
        return [
            self.hold(whole.values[begin:end].view(dtype), whole)
            for (begin, end), (_, dtype) in zip(ranges, shapes, strict=True)
        ]

    def n_bytes(self) -> int:
        """Return the number of bytes of all arrays."""
        return sum(int(array.values.nbytes) for array in self._live if array.whole is None)

    def release(self) -> None:
        """Drop the values of all arrays."""
        for array in list(self._live):
            array.values = None
        self._live.clear()


class Recording(Protocol):
    """Recorded work that can be started again as a whole."""

    def play(self) -> None:
        """Start the work."""


class Device(Protocol):
    """Memory, kernels and copies of one device. Work is done in the order of the calls."""

    def at_work(self) -> AbstractContextManager[object]:
        """Set up what every call needs, once for all calls within the block."""

    def free_bytes(self) -> int | None:
        """Return the bytes that can be allocated; None if the user's own allocator is used."""

    def holds(self, array: Any) -> bool:
        """Return whether a user's array is on this device and not on another."""

    def peak_bytes(self) -> int:
        """Return the largest number of bytes held since the device was opened."""

    def empty(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate an array.

        Raises
        ------
        umapcore.errors.GPUMemoryError
            When there is too little memory.
        """

    def empties(self, *shapes: tuple[int, DTypeLike]) -> list[Array]:
        """Allocate arrays of these lengths and types at once; they are also freed together."""

    def part(self, array: Array, start: int, count: int) -> Array:
        """Return some entries of an array, which share its memory."""

    def wrap(self, values: Any) -> Array:
        """Wrap a user's array that is on the device."""

    def zeros(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate an array of zeros."""

    def upload(self, values: NDArray[Any]) -> Array:
        """Copy a host array to the device, flattened."""

    def download(self, array: Array, count: int | None = None, *, start: int = 0) -> NDArray[Any]:
        """Wait for all work so far, then copy an array or some of its entries to the host."""

    def sort(self, keys: Array) -> None:
        """Sort unsigned 64-bit integers in place."""

    def compile(self, program: str, dimensions: int = 2, samples: int = 5) -> None:
        """Prepare a program's kernels for launches: see :func:`.programs.defines`."""

    def cooperates(self) -> bool:
        """Return whether cooperative kernels can have several blocks that wait for one another."""

    def launch(self, kernel: str, n_threads: int, *arguments: Any) -> None:
        """Start a kernel with at least this many threads.

        Arguments are arrays, None for a null pointer, or NumPy scalars of exactly the types that
        the kernel declares. For a cooperative kernel, the device adds the first argument, and
        starts fewer threads if fewer blocks can be on the device at once.
        """

    def record(self, work: Callable[[], None]) -> Recording | None:
        """Record the kernels that a function launches, without running them; None if impossible."""

    def prefetch(self, slot: int, copies: Sequence[tuple[Array, NDArray[Any]]]) -> None:
        """Start to fill arrays from the host, after the last use of the slot is done."""

    def use(self, slot: int) -> None:
        """Make the following work wait until the slot is filled."""

    def used(self, slot: int) -> None:
        """Mark the work so far as the last that uses the contents of the slot."""

    def pin(self, values: NDArray[Any]) -> None:
        """Page-lock a host array, so that it is copied directly, until the device is closed."""

    def synchronize(self) -> None:
        """Wait until all work is done.

        Raises
        ------
        umapcore.errors.GPUError
            When any of it failed.
        """

    def close(self) -> None:
        """Wait for the running work and free all memory."""
