"""Shards that send one another messages, as on several machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from umapcore.cluster.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from umapcore.layout.shards import Ranges


class Links(Protocol):
    """Connections of one shard to all others."""

    def exchange(self, outgoing: Sequence[NDArray[np.uint32]]) -> Sequence[NDArray[np.uint32]]:
        """Send each shard its array, and return what each sent to this one.

        All are uint32, flat. The entry of this shard itself has no meaning.

        Raises
        ------
        umapcore.errors.WorkerLostError
            When a shard cannot be reached any more.
        """

    def close(self) -> None:
        """Close all connections; shards that wait for this one fail then."""


class Messages:
    """A communicator that sends over links what has changed.

    Parameters
    ----------
    links
        The links of this shard.
    number, size
        Number of this shard, and of all shards.
    n_threads
        Number of threads that pack and unpack.
    """

    def __init__(self, links: Links, number: int, size: int, n_threads: int) -> None:
        self.number, self.size = number, size
        self._links, self._n_threads = links, n_threads
        #: What the other shards have of this shard's ranges, by the address of the replica.
        self._sent: dict[int, NDArray[np.uint32]] = {}

    def replica(self, length: int, dtype: Any) -> NDArray[Any]:
        """Make an array that all shards have, of numbers of 32 bits."""
        made = np.zeros(length, dtype)
        self._sent[made.ctypes.data] = np.zeros(length, np.uint32)
        return made

    def partial_sums(self, length: int) -> NDArray[np.int32]:
        """Make an array for `reduce_scatter`."""
        return np.zeros(length, np.int32)

    def reduce_scatter(self, sums: NDArray[np.int32], ranges: Ranges) -> None:
        """Add up sums; see :class:`.Communicator`."""
        words = sums.view(np.uint32)
        outgoing = [
            _NOTHING if number == self.number else self._packed(words, None, parts)
            for number, parts in enumerate(ranges)
        ]
        for number, incoming in enumerate(self._links.exchange(outgoing)):
            if number != self.number:
                self._unpack(incoming, words, ranges[self.number], add=True)

    def all_gather(self, replica: NDArray[Any], ranges: Ranges) -> None:
        """Send the own ranges of a replica to all, and write theirs."""
        words = replica.view(np.uint32)
        own = self._packed(words, self._sent[replica.ctypes.data], ranges[self.number])
        for number, incoming in enumerate(self._links.exchange([own] * self.size)):
            if number != self.number:
                self._unpack(incoming, words, ranges[number], add=False)

    def leave(self) -> None:
        """Let all shards fail that wait for this one, now or later."""
        self._links.close()

    def _packed(
        self,
        new: NDArray[np.uint32],
        old: NDArray[np.uint32] | None,
        ranges: list[tuple[int, int]],
    ) -> NDArray[np.uint32]:
        parts = [
            pack(new[first:last], None if old is None else old[first:last], self._n_threads)
            for first, last in ranges
        ]
        return parts[0] if len(parts) == 1 else np.concatenate([_NOTHING, *parts])

    def _unpack(
        self,
        packed: NDArray[np.uint32],
        target: NDArray[np.uint32],
        ranges: list[tuple[int, int]],
        *,
        add: bool,
    ) -> None:
        for first, last in ranges:
            packed = unpack(packed, target[first:last], self._n_threads, add=add)


_NOTHING = np.empty(0, np.uint32)
