"""Arrays in scratch files that are written to in any order, for what may be larger than memory.

The system keeps such an array in memory while there is room, and on disk otherwise. Kernels use it
like any other. Arrays that are written once, from their beginning to their end, are in
:mod:`umapcore._kit.scratch`.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.scratch import memory_of
from umapcore.errors import bad_value
from umapcore.settings import settings

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

#: File systems that cannot reserve room for a file say one of these.
_CANNOT_RESERVE = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
#: Bytes that are copied at a time.
_COPIED = 2**25


class _Scratch(mmap.mmap):
    """A mapped scratch file. An array is in one if the last of its bases is of this type."""


def check_room(n_bytes: int) -> None:
    """Check that so many bytes of scratch files fit on the disk.

    Raises
    ------
    OSError
        When they do not.
    ValueError
        When ``umapcore.settings.scratch_dir`` is no folder.
    """
    folder = settings.scratch_dir or tempfile.gettempdir()
    if not os.path.isdir(folder):
        raise bad_value("settings.scratch_dir", folder, "None or a folder")
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        msg = (
            f"scratch files of {n_bytes / 1e9:.3g} GB are needed, and {folder} has room for "
            f"{free / 1e9:.3g} GB; umapcore.settings.scratch_dir can be another folder"
        )
        raise OSError(errno.ENOSPC, msg)


def scratch_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros in a scratch file of its own.

    The file has no name (on Windows: it is deleted when it is closed), so nothing is left of it
    when the array is no longer used, or the process ends in any way.

    Raises
    ------
    OSError, ValueError
        As :func:`check_room`.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size == 0:
        return np.zeros(shape, dtype)
    check_room(size)
    with tempfile.TemporaryFile(prefix="umapcore-", dir=settings.scratch_dir) as file:
        file.truncate(size)
        # Else, on a disk that is full later, the process would end when it writes to the array.
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno not in _CANNOT_RESERVE:
                    raise
        return np.ndarray(shape, dtype, buffer=_Scratch(file.fileno(), size))


def is_scratch(array: Any) -> bool:
    """Return whether an array is in a scratch file, or a view of one that is."""
    return isinstance(memory_of(array), _Scratch)


def empty_beside(array: Any, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array to be filled, in a scratch file if another array is in one."""
    return scratch_zeros(shape, dtype) if is_scratch(array) else np.empty(shape, dtype)


def contiguous(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return a matrix in C order; a copy is made where the matrix is, in a scratch file or not."""
    if matrix.flags.c_contiguous:
        return matrix
    found = empty_beside(matrix, matrix.shape, matrix.dtype)
    step = max(1, _COPIED // max(1, matrix.shape[1] * matrix.itemsize))
    for first in range(0, matrix.shape[0], step):
        found[first : first + step] = matrix[first : first + step]
    return found
