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


_names: dict[Any, str] = {}


def pack(value: Any, words: list[int], form: list[str]) -> None:
    """Append the words of an argument, and what stands for its type.

    Parameters
    ----------
    value
        An array, a number, None, or a tuple of these. For anything else the form is one that no
        kernel was compiled for.
    words, form
        Lists to append to. Words are integers of 64 bits with a sign.
    """
    kind = type(value)
    if kind is np.ndarray:
        flags, dtype = value.flags, value.dtype
        layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
        name = _names.get(dtype) or _names.setdefault(dtype, dtype.str)
        form.append(f"{name}{value.ndim}{layout if flags.aligned else '?'}")
        address = value.ctypes.data
        words += (0, 0, value.size, value.itemsize, address, *value.shape, *value.strides)
    elif kind is int:
        form.append("<i8" if value < _UNSIGNED else "<u8")
        words.append(value if value < _UNSIGNED else value - 2 * _UNSIGNED)
    elif isinstance(value, tuple):
        form.append(f"{kind.__name__}(")
        for each in value:
            pack(each, words, form)
        form.append(")")
    elif isinstance(value, np.generic):
        form.append(value.dtype.str)
        words.append(int.from_bytes(value.tobytes(), sys.byteorder, signed=True))
    elif isinstance(value, np.ndarray):
        pack(value.view(np.ndarray), words, form)
    elif kind is float:
        form.append("<f8")
        words.append(int.from_bytes(struct.pack("d", value), sys.byteorder, signed=True))
    elif kind is bool:
        form.append("|b1")
        words.append(value)
    elif value is None:
        form.append("None")
        words.append(0)
    else:
        form.append("?")
