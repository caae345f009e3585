"""Pack what has changed in an array, for messages.

In a bucket, pulls act on about two vertices of five, and no others move. A message has a bit for
each number of an array, which says whether the number has changed, and then the new numbers.

The loops have no branches that depend on the numbers. They read and write a word that may not
count, so there is one more word at the end of each part.

All arrays hold 32-bit words, uint32. Their sums are those of signed integers, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import U0, U1, kernel
from umapcore._kit.parallel import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Words that one call packs; a multiple of the bits of a word.
_PART = 1 << 16
_BITS = 32


def pack(
    new: NDArray[np.uint32], old: NDArray[np.uint32] | None, n_threads: int
) -> NDArray[np.uint32]:
    """Return the words in which `new` differs from `old`, and copy them to `old`.

    Without `old`, return the words that are not 0, and set them to 0.

    Returns
    -------
    How many words of each part have changed; one bit for each word; for each part, the words that
    have changed, and one more.
    """
    n = new.shape[0]
    clear = old is None
    old = new if old is None else old
    bits = np.empty(-(-n // _BITS), np.uint32)
    # What is not written to takes no memory.
    room = np.empty(n + -(-n // _PART), np.uint32)

    def write(first: int, last: int) -> NDArray[np.uint32]:
        words = room[first + first // _PART :]
        return words[: _pack(first, last, new, old, clear, bits, words) + 1]

    parts = for_rows(n, n_threads, write, _PART)
    counts = np.array([part.shape[0] - 1 for part in parts], np.uint32)
    return np.concatenate([counts, bits, *parts])


def unpack(
    packed: NDArray[np.uint32], target: NDArray[np.uint32], n_threads: int, *, add: bool
) -> NDArray[np.uint32]:
    """Write, or add, packed words to those of `target`; return what comes after them."""
    n = target.shape[0]
    bits, words, firsts = _parts(packed, n)

    def read(first: int, last: int) -> None:
        _unpack(first, last, bits, words[firsts[first // _PART] :], target, add)

    for_rows(n, n_threads, read, _PART)
    return words[firsts[-1] :]


def _parts(
    packed: NDArray[np.uint32], n: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64]]:
    """Return the bits, the words, and the first word of each part."""
    n_parts, n_bits = -(-n // _PART), -(-n // _BITS)
    firsts = np.append(0, np.cumsum(packed[:n_parts].astype(np.int64) + 1))
    return packed[n_parts : n_parts + n_bits], packed[n_parts + n_bits :], firsts


@kernel(allocates=False)
def _pack(first: Any, last: Any, new: Any, old: Any, clear: Any, bits: Any, words: Any) -> Any:
    """Pack some words, and return how many have changed."""
    place = U0
    for begin in range(first, last, _BITS):
        changed = U0
        for i in range(begin, min(last, begin + _BITS)):
            word = new[i]
            differs = np.uint64(word != (np.uint32(0) if clear else old[i]))
            changed |= differs << np.uint64(i - begin)
            words[place] = word
            old[i] = np.uint32(0) if clear else word
            place += differs
        bits[begin // _BITS] = changed
    return place


@kernel(allocates=False)
def _unpack(first: Any, last: Any, bits: Any, words: Any, target: Any, add: Any) -> None:
    place = U0
    for begin in range(first, last, _BITS):
        changed = np.uint64(bits[begin // _BITS])
        for i in range(begin, min(last, begin + _BITS)):
            differs = changed >> np.uint64(i - begin) & U1
            was, word = target[i], words[place]
            if add:
                word += was
            target[i] = word if differs else was
            place += differs
