"""Shards that send one another messages, as on several machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from umapcore.device.communicator import Ranges


class Links(Protocol):
    """Connections of one shard to all others."""

    def exchange(self, outgoing: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Send each shard its array, and return what each sent to this one.

        The entry of this shard itself has no meaning. Incoming arrays are bytes, (n,) uint8.

        Raises
        ------
        umapcore.errors.WorkerLostError
            When a shard cannot be reached any more.
        """

    def close(self) -> None:
        """Close all connections; shards that wait for this one fail then."""


class Messages:
    """A communicator that sends and receives over links.

    Parameters
    ----------
    links
        The links of this shard.
    number, size
        Number of this shard, and of all shards.
    """

    def __init__(self, links: Links, number: int, size: int) -> None:
        self.number, self.size = number, size
        self._links = links

    def replica(self, length: int, dtype: Any) -> NDArray[Any]:
        """Make an array that all shards have."""
        return np.zeros(length, dtype)

    def partial_sums(self, length: int) -> NDArray[np.int32]:
        """Make an array for `reduce_scatter`."""
        return np.zeros(length, np.int32)

    def reduce_scatter(self, sums: NDArray[np.int32], ranges: Ranges) -> None:
        """Add up sums; see :class:`.Communicator`."""
        outgoing = [_packed(sums, parts) for parts in ranges]
        for number, parts in enumerate(ranges):
            if number != self.number:
                for first, last in parts:
                    sums[first:last] = 0
        for number, incoming in enumerate(self._links.exchange(outgoing)):
            if number != self.number:
                for part, (first, last) in _unpacked(incoming, sums.dtype, ranges[self.number]):
                    sums[first:last] += part

    def all_gather(self, replica: NDArray[Any], ranges: Ranges) -> None:
        """Send the own ranges of a replica to all, and write theirs."""
        own = _packed(replica, ranges[self.number])
        for number, incoming in enumerate(self._links.exchange([own] * self.size)):
            if number != self.number:
                for part, (first, last) in _unpacked(incoming, replica.dtype, ranges[number]):
                    replica[first:last] = part

    def leave(self) -> None:
        """Let all shards fail that wait for this one, now or later."""
        self._links.close()


def _packed(array: NDArray[Any], ranges: list[tuple[int, int]]) -> NDArray[np.uint8]:
    """Return the bytes of some ranges of an array."""
    return np.concatenate([array[:0], *(array[first:last] for first, last in ranges)]).view(
        np.uint8
    )


def _unpacked(
    incoming: NDArray[np.uint8], dtype: Any, ranges: list[tuple[int, int]]
) -> Iterator[tuple[NDArray[Any], tuple[int, int]]]:
    """Yield the parts that were packed, and where they belong."""
    array, begin = incoming.view(dtype), 0
    for first, last in ranges:
        yield array[begin : begin + last - first], (first, last)
        begin += last - first
