"""The nearest neighbours found so far, as sorted lists of keys.

A key is an integer whose upper half holds the bits of the squared distance, a float32, and whose
lower half is the number of the neighbour. So keys are in the order of distances, and of numbers
where distances are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.mapped import empty_beside
from umapcore._kit.parallel import for_rows
from umapcore._kit.simd import SIMD_WIDTH, any_lane, fill, load, moved_up, same_bits, store, where
from umapcore.neighbors.pairs import Points, square

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The place of a neighbour that was not found yet: greater than all keys.
NO_KEY = np.int64(np.iinfo(np.int64).max)
#: With this, a key is the last one of its distance.
LOWER_HALF = np.int64(0xFFFFFFFF)
_HALF = np.int64(32)
_STEP = np.uint64(SIMD_WIDTH)


class Lists(NamedTuple):
    """Lists of n points.

    Attributes
    ----------
    keys
        int64, flat: lists in ascending order, one after the other; after each, `NO_KEY` up to a
        whole number of vectors.
    k, stride
        int64: entries of a list, and places from one list to the next.
    """

    keys: Any
    k: Any
    stride: Any

    def matrix(self) -> NDArray[np.int64]:
        """Return the keys of all lists, (n, k)."""
        found: NDArray[np.int64] = self.keys.reshape(-1, int(self.stride))[:, : int(self.k)]
        return found


def empty_lists(n: int, k: int) -> Lists:
    """Return lists without neighbours, on cache lines."""
    stride = max(1, -(-k // SIMD_WIDTH)) * SIMD_WIDTH
    flat = np.full(n * stride + SIMD_WIDTH, NO_KEY)
    skip = -flat.ctypes.data % (8 * SIMD_WIDTH) // 8
    return Lists(flat[skip : skip + n * stride], np.int64(k), np.int64(stride))


def as_lists(matrix: NDArray[np.int64]) -> Lists:
    """Return lists with given keys, (n, k)."""
    lists = empty_lists(*matrix.shape)
    lists.matrix()[:] = matrix
    return lists


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
def least_needed(lists: Lists, i: Any) -> Any:
    """Return the squared distance that a neighbour must not exceed to enter a list."""
    return distance_of(lists.keys[i * lists.stride + lists.k - 1])


@inline
def keep(queries: Points, i: Any, points: Points, other: Any, lists: Lists) -> Any:
    """Insert a point into the list of a query if it is near enough; return whether it was.

    It is in the list at most once.
    """
    if is_listed(lists, i, other):
        return False
    stride = points.stride
    d = square(queries.rows, np.uint64(i) * stride, points.rows, np.uint64(other) * stride, stride)
    return insert(lists, i, key_of(d, other))


@inline
def is_listed(lists: Lists, i: Any, other: Any) -> Any:
    """Return whether a point is in a list."""
    keys, _, places = lists
    base = np.int64(i) * places
    number = np.int64(other)
    begin, end = np.uint64(base), np.uint64(base + places)
    known = load(keys, begin) & LOWER_HALF == number
    for at in range(begin + _STEP, end, _STEP):
        known = known | (load(keys, at) & LOWER_HALF == number)
    return any_lane(known)


@inline
def insert(lists: Lists, i: Any, key: Any) -> Any:
    """Insert a key that is not in a list if it is small enough; return whether it was."""
    keys, k, places = lists
    base = np.int64(i) * places
    if key >= keys[base + k - 1]:
        return False
    begin, end = np.uint64(base), np.uint64(base + places)
    # Entries below the key stay, the others move up by one place.
    before = fill(np.int64(-1))
    for at in range(begin, end, _STEP):
        old = load(keys, at)
        up = moved_up(before, old)
        store(keys, at, where(old < key, old, where(up < key, key, up)))
        before = old
    if k < places:
        keys[base + k] = NO_KEY
    return True


def unpack(
    lists: Lists,
    numbers: NDArray[np.int32] | None,
    n_threads: int | None,
    *,
    own: bool = True,
    beside: NDArray[Any] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return neighbours and squared distances as matrices.

    Parameters
    ----------
    lists
        The lists.
    numbers
        int32: what each point is called in the result; None: what it is called in the lists.
    own
        Whether each point comes first in its own row, before the others.
    beside
        The matrices are in scratch files if this array is in one.
    """
    found = lists.matrix()
    n, k = found.shape
    if numbers is None:
        numbers = np.arange(n, dtype=np.int32) if own else np.empty(0, np.int32)
    places = np.empty_like(numbers)
    places[numbers] = np.arange(numbers.shape[0], dtype=np.int32)
    indices = empty_beside(beside, (n, k + own), np.int32)
    squares = empty_beside(beside, indices.shape, np.float32)

    def unpack_rows(a: int, b: int) -> None:
        _unpack(a, b, lists, numbers, places, own, indices, squares)

    for_rows(n, n_threads, unpack_rows)
    return indices, squares


@kernel()
def _unpack(
    first: Any,
    last: Any,
    lists: Lists,
    numbers: Any,
    places: Any,
    own: Any,
    indices: Any,
    squares: Any,
) -> None:
    k = lists.k
    keys = np.empty(k, np.int64)
    for row in range(first, last):  # which may be in a file
        i = np.int64(places[row]) if own else row
        for j in range(k):
            key = lists.keys[i * lists.stride + j]
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
        for j in range(k):
            key = keys[j]
            indices[row, j + own] = np.int32(-1) if key == NO_KEY else number_of(key)
            squares[row, j + own] = distance_of(key)
