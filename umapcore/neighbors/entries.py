"""Entries of a sparse row, each in one integer, so that one comparison sorts them by column.

The upper half of an int64 is the column, the lower one the bits of the weight, a float32 above 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore._kit.simd import SIMD_WIDTH, load, same_bits, store, where

#: Comes after every entry.
NO_ENTRY = np.int64(np.iinfo(np.int64).max)
COLUMN_SHIFT = np.int64(32)
_STEP = np.uint64(SIMD_WIDTH)
_ONE = np.uint64(1)


@inline
def entry_of(column: Any, weight: Any) -> Any:
    """Entry of a column and a weight, which is a float32."""
    return (np.int64(column) << COLUMN_SHIFT) | np.int64(same_bits(weight))


@inline
def column_of(entry: Any) -> Any:
    """Column of an entry."""
    return np.int32(entry >> COLUMN_SHIFT)


@inline
def weight_of(entry: Any) -> Any:
    """Weight of an entry."""
    return same_bits(np.int32(entry))


@inline
def sort_lanes(entries: Any, k: Any) -> None:
    """Sort eight rows at a time: the first entries of all of them, the second ones, and so on.

    Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M):
    which entries are compared does not depend on what is in them.
    """
    k = np.uint64(k)
    top = _ONE
    while top + top < k:
        top += top
    p = top if k > _ONE else np.uint64(0)
    while p > np.uint64(0):
        q, r, d = top, np.uint64(0), p
        while True:
            for i in range(np.uint64(0), k - d, _ONE):
                if i & p == r:
                    _exchange(entries, i * _STEP, (i + d) * _STEP)
            if q == p:
                break
            d = q - p
            q >>= _ONE
            r = p
        p >>= _ONE


@inline
def _exchange(entries: Any, i: Any, j: Any) -> None:
    """Bring eight pairs of entries into order."""
    a, b = load(entries, i), load(entries, j)
    in_order = a < b
    store(entries, i, where(in_order, a, b))
    store(entries, j, where(in_order, b, a))
