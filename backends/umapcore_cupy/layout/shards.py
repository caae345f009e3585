"""A layout on several devices of one machine, each of which has a shard.

Every device has all positions and the edges of its own walkers. After a bucket's walk, all devices
get the sums of the pulls and the walked positions of all heads, and each then moves all vertices.
(Moving is a sweep over the memory of a device, which is faster than any link between devices.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from umapcore.layout.shards import cut
from umapcore_cupy.layout.layout import DeviceLayout
from umapcore_cupy.layout.plan import bring
from umapcore_cupy.layout.streamed import EdgesOnDevice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec
    from umapcore_cupy.host.device import Array, Device


class Links(Protocol):
    """Exchange between devices; the work is part of the devices' streams."""

    def add_up(self, arrays: Sequence[Array]) -> None:
        """Give every device the sums of the devices' arrays.

        The arrays are integers, or floats of which all but one are 0.
        """

    def share(self, arrays: Sequence[Array], owner: int, first: int, last: int) -> None:
        """Give every device the entries `first` … `last` - 1 of the array of device `owner`."""

    def close(self) -> None:
        """Release the connections."""


class ShardedLayout:
    """A running layout; see :class:`umapcore.device.protocol.Layout`.

    Parameters
    ----------
    devices
        Where it runs; each gets the same part of the work.
    links
        Exchange between them.
    plan
        The whole plan, on the host.
    start, spec, density
        As for :class:`.DeviceLayout`.
    """

    span_seconds = 0.1

    def __init__(
        self,
        devices: Sequence[Device],
        links: Links,
        plan: EdgePlan,
        start: Any,
        spec: OptimizerSpec,
        density: Density | None = None,
    ) -> None:
        self._devices, self._links = list(devices), links
        self._shards = []
        for device, shard in zip(self._devices, cut(plan, [1.0] * len(self._devices)), strict=True):
            with device.at_work():
                brought = bring(device, shard.plan, with_edges=True)
                edges = EdgesOnDevice(brought)
                self._shards.append(
                    DeviceLayout(device, brought, edges, start, spec, density, in_steps=True)
                )
        d = spec.n_components
        starts = plan.bucket_offsets * d
        # For each bucket, which of the walked coordinates each device has.
        self._walked = [
            [
                (owner, first - int(starts[bucket]), last - int(starts[bucket]))
                for owner, parts in enumerate(shard.walked(bucket, d))
                for first, last in parts
            ]
            for bucket in range(plan.n_buckets)
        ]
        self._n_buckets = plan.n_buckets
        self._density_epoch = plan.n_epochs
        if density is not None:
            self._density_epoch = spec.density_epoch(plan.n_epochs)

    def advance(self, first_epoch: int, stop_epoch: int) -> None:
        """Run the epochs `first_epoch` … `stop_epoch` - 1 and wait for them."""
        if first_epoch >= stop_epoch:
            return
        for shard in self._shards:
            shard.set_epoch(first_epoch)
        for epoch in range(first_epoch, stop_epoch):
            self._run_epoch(with_density=epoch >= self._density_epoch)
        for device in self._devices:
            device.synchronize()

    def positions(self) -> NDArray[np.float32]:
        """Copy the positions, n × d, in the order of the graph's vertices."""
        return self._shards[0].positions()

    def _run_epoch(self, *, with_density: bool) -> None:
        shards, links = self._shards, self._links
        densities = [shard.density for shard in shards if with_density and shard.density]
        for density in densities:
            density.measure_walkers()
        if densities:
            # Walkers without edges have sums of 0.
            links.add_up([density.sums for density in densities])
        for density in densities:
            density.measure_vertices()
        for bucket in range(self._n_buckets):
            for shard in shards:
                shard.walk_bucket(bucket, shard.density if with_density else None)
            for owner, first, last in self._walked[bucket]:
                links.share([shard.walked for shard in shards], owner, first, last)
            links.add_up([shard.pulls for shard in shards])
            for shard in shards:
                shard.move_after(bucket)
        for shard in shards:
            shard.next_epoch()
