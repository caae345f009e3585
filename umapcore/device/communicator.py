"""What the shards of a layout need in order to exchange pulls and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from umapcore.layout.shards import Ranges


class Communicator(Protocol):
    """The link of one shard to all others.

    All shards call the same methods in the same order, with the same lengths and ranges. Each call
    but those that make arrays waits until all shards have made it.

    Attributes
    ----------
    number, size
        Number of this shard, from 0, and of all shards.
    """

    number: int
    size: int

    def replica(self, length: int, dtype: Any) -> NDArray[Any]:
        """Make an array of zeros that all shards have a copy of.

        Shards that share memory get the same memory. So a shard may write only to its own ranges,
        and the others may see that before `all_gather` at any time.
        """

    def partial_sums(self, length: int) -> NDArray[np.int32]:
        """Make an array of zeros for `reduce_scatter`."""

    def reduce_scatter(self, sums: NDArray[np.int32], ranges: Ranges) -> None:
        """Add up what the shards have in `sums`; each shard gets the sums of its own ranges.

        The other ranges are 0 afterwards. The next method that waits must be called before `sums`
        is written to.
        """

    def all_gather(self, replica: NDArray[Any], ranges: Ranges) -> None:
        """Give all shards what each has written to its own ranges of a replica."""

    def leave(self) -> None:
        """Let all shards fail that wait for this one, now or later."""
