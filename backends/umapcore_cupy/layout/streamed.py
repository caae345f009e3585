"""The edges of a layout: on the device, or on the host and copied when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from umapcore.layout.plan import most_edges_of_a_group
from umapcore_cupy.host import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from umapcore.layout.plan import EdgePlan
    from umapcore_cupy.host.device import Array, Device
    from umapcore_cupy.layout.plan import DevicePlan

    #: Runs the walkers first … last - 1, whose edges begin with edge `first_edge` of the plan:
    #: walk(first, last, first_edge, tails, rates).
    Walk = Callable[[int, int, int, Array, Array], None]


class Edges(Protocol):
    """Passes the edges of a range of walkers to a walk."""

    on_device: bool

    def walk(self, first: int, last: int, group_size: int, walk: Walk) -> None:
        """Call `walk` for the walkers `first` … `last` - 1, at once or some groups at a time.

        `first` is the first walker of a bucket.
        """


class EdgesOnDevice:
    """All edges are on the device."""

    on_device = True

    def __init__(self, plan: DevicePlan) -> None:
        assert plan.tails is not None
        assert plan.rates is not None
        self._tails, self._rates = plan.tails, plan.rates

    def walk(self, first: int, last: int, group_size: int, walk: Walk) -> None:
        """See :class:`Edges`."""
        walk(first, last, 0, self._tails, self._rates)


class EdgesOnHost:
    """Edges stay on the host; a chunk is copied while the previous chunk is walked.

    Parameters
    ----------
    device
        Where the buffers are.
    plan
        The plan on the host.
    chunk_edges
        Edges of each of the two buffers; None: as many as the memory estimates assume. A buffer is
        larger if one group has more edges.
    """

    on_device = False

    def __init__(self, device: Device, plan: EdgePlan, chunk_edges: int | None = None) -> None:
        self._device, self._plan = device, plan
        size = max(most_edges_of_a_group(plan), chunk_edges or memory.CHUNK_EDGES)
        size = max(1, min(size, plan.n_edges))
        self._buffers = [
            (device.empty(size, np.int32), device.empty(size, np.uint32)) for _ in range(2)
        ]
        self._size = size
        device.pin(plan.tails)
        device.pin(plan.rates)
        self._turn = 0

    def walk(self, first: int, last: int, group_size: int, walk: Walk) -> None:
        """See :class:`Edges`."""
        offsets = self._plan.row_offsets
        chunks = list(self._chunks(first, last, group_size))
        slots = [(self._turn + i) % 2 for i in range(len(chunks))]
        self._turn += len(chunks)
        for i, (begin, end) in enumerate(chunks):
            if i == 0:
                self._prefetch(slots[0], begin, end)
            if i + 1 < len(chunks):
                self._prefetch(slots[i + 1], *chunks[i + 1])
            self._device.use(slots[i])
            walk(begin, end, int(offsets[begin]), *self._buffers[slots[i]])
            self._device.used(slots[i])

    def _chunks(self, first: int, last: int, group_size: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of whole groups whose edges fit into a buffer."""
        offsets = self._plan.row_offsets
        while first < last:
            fitting = int(np.searchsorted(offsets, offsets[first] + self._size, side="right")) - 1
            n_groups = max(1, (fitting - first) // group_size)
            end = min(first + n_groups * group_size, last)
            yield first, end
            first = end

    def _prefetch(self, slot: int, begin: int, end: int) -> None:
        edges = slice(*self._plan.row_offsets[[begin, end]])
        tails, rates = self._buffers[slot]
        self._device.prefetch(
            slot, [(tails, self._plan.tails[edges]), (rates, self._plan.rates[edges])]
        )
