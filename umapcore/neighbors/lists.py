"""The nearest neighbours found so far, as sorted lists of keys.

A key is an entry as in :mod:`.entries`: its upper half holds the bits of the squared distance, a
float32, its lower half the number of the neighbour. So integer order is the order of distances,
and of numbers where these are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.parallel import for_rows
from umapcore._kit.simd import same_bits
from umapcore.neighbors.pairs import Points, square

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_KEY = np.int64(np.iinfo(np.int64).max)
_HALF = np.int64(32)
#: With this, a key is the last one of its distance.
LOWER_HALF = np.int64(0xFFFFFFFF)


@inline
def key_of(distance: Any, number: Any) -> Any:
    """Return the key of a neighbour at a squared distance."""
    return (np.int64(same_bits(distance)) << _HALF) | np.int64(number)


@inline
def number_of(key: Any) -> Any:
    """Return the number of a neighbour."""
    return np.int32(key)


@inline
def distance_of(key: Any) -> Any:
    """Return the squared distance of a neighbour; infinite for `NO_KEY`."""
    return np.float32(np.inf) if key == NO_KEY else same_bits(np.int32(key >> _HALF))


@inline
def insert(found: Any, base: Any, k: Any, key: Any) -> Any:
    """Insert a key into the list of `k` keys from `base` on, unless it is there or too far.

    Returns
    -------
    Whether it was inserted.
    """
    if key >= found[base + k - 1]:
        return False
    at = k - 1
    while at > 0 and found[base + at - 1] > key:
        at -= 1
    if at > 0 and found[base + at - 1] == key:
        return False
    for place in range(k - 1, at, -1):
        found[base + place] = found[base + place - 1]
    found[base + at] = key
    return True


@inline
def keep(queries: Points, i: Any, points: Points, other: Any, found: Any, k: Any) -> Any:
    """Insert a point into the list of a query if it is near enough; return whether it was."""
    stride = points.stride
    at, beyond = np.uint64(i) * stride, np.uint64(other) * stride
    d = square(queries.rows, at, points.rows, beyond, stride)
    return insert(found, np.int64(i) * k, k, key_of(d, other))


def unpack(
    found: NDArray[np.int64],
    numbers: NDArray[np.int32] | None,
    n_threads: int | None,
    *,
    own: bool = True,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return neighbours and squared distances as matrices.

    Parameters
    ----------
    found
        int64, (n, k): lists.
    numbers
        int32: what each point is called in the result; None: what it is called in the lists.
    own
        Whether each point comes first in its own row, before the others.
    """
    n, k = found.shape
    if numbers is None:
        numbers = np.arange(n, dtype=np.int32) if own else np.empty(0, np.int32)
    indices = np.empty((n, k + own), np.int32)
    squares = np.empty(indices.shape, np.float32)
    for_rows(n, n_threads, lambda a, b: _unpack(a, b, found, numbers, own, indices, squares))
    return indices, squares


@kernel()
def _unpack(
    first: Any, last: Any, found: Any, numbers: Any, own: Any, indices: Any, squares: Any
) -> None:
    keys = np.empty(found.shape[1], np.int64)
    for i in range(first, last):
        row = numbers[i] if own else i
        for j in range(found.shape[1]):
            key = found[i, j]
            if own and key != NO_KEY:  # the order of points at equal distances is another one
                key = key_of(distance_of(key), numbers[number_of(key)])
            at = j
            while at > 0 and keys[at - 1] > key:
                keys[at] = keys[at - 1]
                at -= 1
            keys[at] = key
        if own:
            indices[row, 0] = row
            squares[row, 0] = np.float32(0.0)
        for j in range(found.shape[1]):
            key = keys[j]
            indices[row, j + own] = np.int32(-1) if key == NO_KEY else number_of(key)
            squares[row, j + own] = distance_of(key)
