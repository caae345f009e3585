"""Large arrays in files: written once from the first byte to the last, then read through a map.

What is read through a map is in the page cache of the system, which drops it when memory is needed.
So these arrays take no memory that a process must have. Whatever is made of such an array is
written to files too: functions that make large arrays ask for the scratch of those they are given.
"""

from __future__ import annotations

import mmap
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

#: Entries that are converted at a time, so that conversions take little memory.
_CHUNK = 2**20


class Scratch:
    """Where large arrays are written.

    Parameters
    ----------
    folder
        Folder of the files. On POSIX they have no names, so nothing of them is left when the
        process ends, however it ends; elsewhere the system removes them.
    window
        Bytes in memory of a part of an array that is written in another order than it is made.
    """

    def __init__(self, folder: Path, window: int) -> None:
        self.folder = folder
        self.window = window


class _Map(mmap.mmap):
    """The file of an array; it is closed when nothing refers to the array any more."""

    scratch: Scratch


def scratch_of(array: Any) -> Scratch | None:
    """Return the scratch to which an array, or the one that it is a view of, was written."""
    memory = memory_of(array)
    return memory.scratch if isinstance(memory, _Map) else None


def memory_of(array: Any) -> Any:
    """Return the object that owns the memory of an array, if it is not an array itself."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array


class Sink:
    """Receives the pieces of an array in their order.

    Parameters
    ----------
    scratch
        Where the array is written; None keeps it in memory.
    dtype
        Of the array.
    """

    def __init__(self, scratch: Scratch | None, dtype: DTypeLike) -> None:
        self._scratch, self._dtype = scratch, np.dtype(dtype)
        self._pieces: list[NDArray[Any]] = []
        self._count = 0
        self._file: Any = None
        if scratch is not None:
            self._file = tempfile.TemporaryFile(buffering=0, dir=scratch.folder)  # noqa: SIM115

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, piece: NDArray[Any]) -> None:
        """Add entries at the end; in memory, a piece of the right type is not copied.

        Raises
        ------
        OSError
            When the disk is full.
        """
        piece = np.ascontiguousarray(piece, dtype=self._dtype)
        self._count += piece.shape[0]
        if self._file is None:
            self._pieces.append(piece)
            return
        left = piece.view(np.uint8).data
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            assert self._scratch is not None
            raise OSError(error.errno, error.strerror, str(self._scratch.folder)) from None

    def array(self) -> NDArray[Any]:
        """Return all that was added as one array. Nothing can be added any more."""
        if self._file is None:
            pieces, self._pieces = self._pieces, []
            return pieces[0] if len(pieces) == 1 else np.concatenate([*pieces, self._empty()])
        if self._count == 0:
            return self._empty()
        assert self._scratch is not None
        mapped = _Map(self._file.fileno(), 0)
        mapped.scratch = self._scratch
        self._file.close()
        # Much has been freed by now, and it would be held until it is used again.
        give_back()
        return np.ndarray((self._count,), self._dtype, buffer=mapped)

    def _empty(self) -> NDArray[Any]:
        return np.empty(0, self._dtype)


def chunks(count: int, scratch: Scratch | None) -> Iterator[slice]:
    """Yield slices that together cover an array: one slice, or many for an array in a scratch."""
    step = max(1, count) if scratch is None else _CHUNK
    for first in range(0, count, step):
        yield slice(first, min(count, first + step))


def converted(array: Any, dtype: DTypeLike, scratch: Scratch | None) -> NDArray[Any]:
    """Return an array, which may be on disk, contiguous and with a dtype; it may be the array."""
    if scratch is None:
        return np.ascontiguousarray(array, dtype=dtype)
    if scratch_of(array) is scratch and array.dtype == dtype:
        kept: NDArray[Any] = array
        return kept
    sink = Sink(scratch, dtype)
    for part in chunks(array.shape[0], scratch):
        sink.append(array[part])
    return sink.array()


def windows(
    offsets: NDArray[Any], scratch: Scratch | None, bytes_each: int = 8
) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows whose entries fit into a window; without a scratch, all rows.

    Parameters
    ----------
    offsets
        (rows + 1,): where the entries of each row begin.
    scratch
        Where they are written.
    bytes_each
        Bytes of an entry in memory.
    """
    n = offsets.shape[0] - 1
    if scratch is None:
        yield 0, n
        return
    first = 0
    while first < n:
        most = int(offsets[first]) + scratch.window // bytes_each
        # A row is never divided, however long it is.
        last = max(first + 1, int(np.searchsorted(offsets, most, "right")) - 1)
        yield first, last
        first = last
