"""Arguments of kernels as 64-bit words, and the name of their types.

Compiled code cannot see Python's objects. It gets the numbers in them, one word each, in the order
in which numba unpacks arguments: of an array two unused words, the number of its elements, their
size in bytes, its address, its shape and its strides; of a tuple one item after the other.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np

#: Python's integers from this one on are unsigned in kernels.
_UNSIGNED = 1 << 63


def pack(value: Any, words: list[int], form: list[str]) -> None:
    """Append the words of an argument, and what stands for its type.

    Parameters
    ----------
    value
        An array, a number, None, or a tuple of these. For anything else the form is one that no
        kernel was compiled for.
    words, form
        Lists to append to. Words may be negative; only their lower 64 bits count.
    """
    kind = type(value)
    if kind is np.ndarray:
        flags = value.flags
        layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
        form.append(f"{value.dtype.str}{value.ndim}{layout if flags.aligned else '?'}")
        address = value.ctypes.data
        words += (0, 0, value.size, value.itemsize, address, *value.shape, *value.strides)
    elif kind is int:
        form.append("<i8" if value < _UNSIGNED else "<u8")
        words.append(value)
    elif isinstance(value, tuple):
        form.append(f"{kind.__name__}(")
        for each in value:
            pack(each, words, form)
        form.append(")")
    elif isinstance(value, np.generic):
        form.append(value.dtype.str)
        words.append(int.from_bytes(value.tobytes(), sys.byteorder))
    elif isinstance(value, np.ndarray):
        pack(value.view(np.ndarray), words, form)
    elif kind is float:
        form.append("<f8")
        words.append(int.from_bytes(struct.pack("d", value), sys.byteorder))
    elif kind is bool:
        form.append("|b1")
        words.append(value)
    elif value is None:
        form.append("None")
        words.append(0)
    else:
        form.append("?")
