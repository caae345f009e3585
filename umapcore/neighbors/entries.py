"""Entries of a sparse row, each packed in one integer, so that integer order is column order.

The upper half of an int64 is the column. The lower half holds the bits of the weight, a float32
above 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore._kit.simd import SIMD_WIDTH, load, same_bits, store, where

#: Larger than every entry.
NO_ENTRY = np.int64(np.iinfo(np.int64).max)
COLUMN_SHIFT = np.int64(32)
_STEP = np.uint64(SIMD_WIDTH)
_ONE = np.uint64(1)


@inline
def entry_of(column: Any, weight: Any) -> Any:
    """Return the entry of a column and a weight, which is a float32."""
    return (np.int64(column) << COLUMN_SHIFT) | np.int64(same_bits(weight))


@inline
def column_of(entry: Any) -> Any:
    """Return the column of an entry."""
    return np.int32(entry >> COLUMN_SHIFT)


@inline
def weight_of(entry: Any) -> Any:
    """Return the weight of an entry."""
    return same_bits(np.int32(entry))


@inline
def sort_lanes(entries: Any, k: Any) -> None:
    """Sort eight rows at once, stored as all their first entries, all second ones, and so on.

    This is Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, algorithm
    5.2.2M): its sequence of comparisons does not depend on the values of the entries.
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
    """Sort eight pairs of entries."""
    a, b = load(entries, i), load(entries, j)
    in_order = a < b
    store(entries, i, where(in_order, a, b))
    store(entries, j, where(in_order, b, a))
