"""Shards that share memory: threads of one process, or processes of one machine.

They have one copy of positions, so that sending them is waiting for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.atomics import load_in_order, store_in_order
from umapcore._kit.jit import kernel
from umapcore.errors import WorkerLostError
from umapcore_numba.layout.waiting import pause, yield_processor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from umapcore.layout.shards import Ranges

#: Arrays and words begin at multiples of so many bytes: two cache lines, as processors fetch pairs.
_ALIGNED = 128
_WORDS = _ALIGNED // 8
#: The word of a shard that has left.
_LEFT = -1
#: Polls in one call: some hundredths of a second. Then signals are handled.
_LOOKS = 20_000
_BEFORE_YIELDING = 100


class SharedMemory:
    """A communicator for shards that share memory.

    Each shard has a word in which it counts how often it has waited. A shard goes on when no word
    is behind its own.

    Parameters
    ----------
    memory
        uint8, zeros at first, the same for all shards; see :func:`bytes_for`.
    number, size
        Number of this shard, and of all shards.
    watch
        Called with the number of a shard that others wait for, from time to time. It may raise.
    """

    def __init__(
        self,
        memory: NDArray[np.uint8],
        number: int,
        size: int,
        watch: Callable[[int], None] = lambda number: None,
    ) -> None:
        self.number, self.size = number, size
        self._memory, self._used = memory, 0
        self._watch = watch
        self._waits = 0
        self._words = self._take(size * _WORDS, np.int64)
        self._of_all: dict[int, list[NDArray[np.int32]]] = {}

    def replica(self, length: int, dtype: Any) -> NDArray[Any]:
        """Make an array that all shards have; here it is one."""
        return self._take(length, dtype)

    def partial_sums(self, length: int) -> NDArray[np.int32]:
        """Make an array for `reduce_scatter`."""
        arrays = [self._take(length, np.int32) for _ in range(self.size)]
        own = arrays[self.number]
        self._of_all[own.ctypes.data] = arrays
        return own

    def reduce_scatter(self, sums: NDArray[np.int32], ranges: Ranges) -> None:
        """Add up sums; see :class:`.Communicator`."""
        self._wait()
        for first, last in ranges[self.number]:
            for number, array in enumerate(self._of_all[sums.ctypes.data]):
                if number != self.number:
                    _take_over(first, last, array, sums)

    def all_gather(self, replica: NDArray[Any], ranges: Ranges) -> None:
        """Wait until all shards have written to a replica."""
        self._wait()

    def leave(self) -> None:
        """Let all shards fail that wait for this one, now or later."""
        self._words[self.number * _WORDS] = _LEFT

    def _take(self, length: int, dtype: Any) -> NDArray[Any]:
        size = length * np.dtype(dtype).itemsize
        first = -(-self._used // _ALIGNED) * _ALIGNED
        self._used = first + size
        return self._memory[first : first + size].view(dtype)

    def _wait(self) -> None:
        self._waits += 1
        while True:
            behind = _wait_for_all(self._words, self.number, self._waits)
            if behind == self.size:
                return
            if behind < 0:
                msg = f"shard {-1 - behind} of {self.size} failed"
                raise WorkerLostError(msg)
            self._watch(behind)


def bytes_for(size: int, replicas: list[int], sums: list[int]) -> int:
    """Return the bytes for `size` shards with replicas and partial sums of so many bytes each."""
    arrays = [size * _WORDS * 8, *replicas, *sums * size]
    return sum(-(-each // _ALIGNED) * _ALIGNED for each in arrays)


@kernel(allocates=False)
def _wait_for_all(words: Any, number: Any, waits: Any) -> int:
    """Tell the others that this shard waits, and wait for them for a while.

    Returns
    -------
    The number of shards; or that of one that is behind; or -1 - k if shard k has left.
    """
    store_in_order(words, number * _WORDS, waits)
    shard = 0
    looks = 0
    while shard * _WORDS < words.shape[0]:
        word = load_in_order(words, shard * _WORDS)
        if word >= waits:
            shard += 1
            continue
        if word == _LEFT:
            return -1 - shard
        looks += 1
        if looks > _LOOKS:
            return shard
        if looks < _BEFORE_YIELDING:
            pause()
        else:
            yield_processor()
    return shard


@kernel(allocates=False)
def _take_over(first: Any, last: Any, source: Any, target: Any) -> None:
    """Add a range of `source` to `target` and leave zeros."""
    taken, sums = source[first:last], target[first:last]
    for i in range(last - first):
        sums[i] += taken[i]
        taken[i] = 0
