"""A running layout on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.log2 import exact_log2
from umapcore.layout.constants import GROUP
from umapcore.layout.plan import group_size
from umapcore_cupy.layout.density import DeviceDensity

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from umapcore.layout.density import Density
    from umapcore.layout.spec import OptimizerSpec
    from umapcore_cupy.host.device import Array, Device, Recording
    from umapcore_cupy.layout.plan import DevicePlan
    from umapcore_cupy.layout.streamed import Edges

#: With up to this many blocks per bucket, every block draws the pool itself. One hash per two
#: entries, whose positions are in the cache, costs less than starting one more kernel.
BLOCKS_THAT_DRAW = 512
#: Layouts of up to this many vertices run several epochs in one cooperative launch: barriers cost
#: less than starting two kernels per bucket. If these have more work, this no longer matters.
MOST_TOGETHER = 300_000
#: Maximum number of epochs of such a launch: a GPU with a display stops one that takes seconds.
EPOCHS_A_LAUNCH = 50
#: Places that a thread of such a launch moves at the end of a bucket.
PLACES_A_THREAD = 4


class DeviceLayout:
    """Positions and pulls of a layout, and what moves them.

    Parameters
    ----------
    device
        Where it runs.
    plan
        The plan on the device, with or without its edges.
    edges
        Passes the edges of walkers to the walk.
    start
        float32, n × d on the host, or flat on the device; in the order of the graph's vertices.
    spec
        Parameters of the optimiser.
    density
        Density of the data, if it must be preserved.
    in_steps
        Whether buckets are walked and moved by calls from outside, as those of a shard.

    Attributes
    ----------
    walked, pulls
        Coordinates of a bucket's heads after their walk, and pulls on vertices.
    density
        The density term, if there is one.
    """

    span_seconds = 0.1

    def __init__(
        self,
        device: Device,
        plan: DevicePlan,
        edges: Edges,
        start: Any,
        spec: OptimizerSpec,
        density: Density | None = None,
        *,
        in_steps: bool = False,
    ) -> None:
        self._device, self._plan, self._edges = device, plan, edges
        n, d = plan.n_vertices, spec.n_components
        self._d = d
        self._together = not in_steps and epochs_together(device, plan, density)
        device.compile("epochs" if self._together else "layout", d, spec.negative_sample_rate)
        given = device.upload(start) if isinstance(start, np.ndarray) else start
        self._positions = device.empty(n * d, np.float32)
        device.launch("gather_positions", n, np.int64(n), plan.order, given, self._positions)
        del given
        most_heads = int(np.diff(plan.bucket_offsets).max(initial=1))
        self.walked = device.empty(most_heads * d, np.float32)
        # Two dimensions share one word of 64 bits.
        self.pulls = device.zeros(n, np.uint64) if d == 2 else device.zeros(n * d, np.int32)
        self._pool_places = device.empty(plan.pool_size, np.int32)
        self._pool = device.empty(plan.pool_size * d, np.float32)
        epochs = np.arange(plan.n_epochs, dtype=np.float64)
        self._steps = device.upload(
            (spec.alpha * (1.0 - epochs / plan.n_epochs)).astype(np.float32)
        )
        self._epoch = device.zeros(1, np.int32)
        sizes = [group_size(int(n_walkers)) for n_walkers in np.diff(plan.bucket_walkers)]
        self._buckets = device.upload(
            np.concatenate([plan.bucket_offsets, plan.bucket_walkers, sizes]).astype(np.int64)
        )
        a, b = spec.curve()
        unit = np.float32(2.0**plan.pull_exponent)
        self._unit = np.float32(1) / unit
        self._constants = (
            np.float32(b),
            np.float32(exact_log2(a)),
            np.float32(spec.gamma),
            unit,
        )
        self._seed = np.uint64(spec.seed)
        self.density: DeviceDensity | None = None
        self._density_epoch = plan.n_epochs
        if density is not None:
            self.density = DeviceDensity(device, plan, edges, spec, density, self._positions)
            self._density_epoch = spec.density_epoch(plan.n_epochs)
        # Recordings of epochs without and with densities.
        self._recordings: dict[bool, Recording | None] = {}
        self._may_record = edges.on_device
        self._epochs_run = {False: 0, True: 0}

    @property
    def together(self) -> bool:
        """Whether many epochs run in one launch."""
        return self._together

    @property
    def recorded(self) -> bool:
        """Whether epochs have been recorded, with or without densities."""
        return any(recording is not None for recording in self._recordings.values())

    def advance(self, first_epoch: int, stop_epoch: int) -> None:
        """Run the epochs `first_epoch` … `stop_epoch` - 1 and wait for them."""
        if first_epoch >= stop_epoch:
            return
        with self._device.at_work():
            if self._together:
                for first in range(first_epoch, stop_epoch, EPOCHS_A_LAUNCH):
                    self._launch_epochs(first, min(first + EPOCHS_A_LAUNCH, stop_epoch))
            else:
                self.set_epoch(first_epoch)
                for epoch in range(first_epoch, stop_epoch):
                    self._run_epoch(with_density=epoch >= self._density_epoch)
            self._device.synchronize()

    def positions(self) -> NDArray[np.float32]:
        """Copy the positions, n × d, in the order of the graph's vertices."""
        n, d = self._plan.n_vertices, self._d
        vertices = self._device.empty(n * d, np.float32)
        self._device.launch(
            "scatter_positions", n, np.int64(n), self._plan.order, self._positions, vertices
        )  # fmt: skip
        copied: NDArray[np.float32] = self._device.download(vertices)
        return copied.reshape(n, d)

    def _launch_epochs(self, first_epoch: int, stop_epoch: int) -> None:
        plan, n = self._plan, self._plan.n_vertices
        n_groups = -(-int(np.diff(plan.bucket_walkers).max()) // GROUP)
        # Enough for the walkers of a bucket, and for moving all places at its end.
        n_threads = max(n_groups * GROUP, n // PLACES_A_THREAD)
        self._device.launch(
            "walk_epochs", n_threads, np.int32(first_epoch), np.int32(stop_epoch), self._buckets,
            self._steps, self._seed, plan.first_walkers, plan.heads, plan.row_offsets, plan.tails,
            plan.rates, self._positions, self.walked, self.pulls, np.int64(n),
            np.int32(plan.pool_size), *self._constants, self._unit,
        )  # fmt: skip

    def _run_epoch(self, *, with_density: bool) -> None:
        def launch() -> None:
            self._launch_epoch(self.density if with_density else None)

        # The first epoch is not recorded: it loads the kernels.
        loaded = self._epochs_run[with_density] > 0
        if with_density not in self._recordings and self._may_record and loaded:
            self._recordings[with_density] = self._device.record(launch)
        recording = self._recordings.get(with_density)
        if recording is not None:
            recording.play()
        else:
            launch()
        self._epochs_run[with_density] += 1

    def _launch_epoch(self, density: DeviceDensity | None) -> None:
        if density is not None:
            density.measure()
        for bucket in range(self._plan.bucket_offsets.shape[0] - 1):
            self.walk_bucket(bucket, density)
            self.move_after(bucket)
        self.next_epoch()

    def set_epoch(self, epoch: int) -> None:
        """Let `epoch` be the next one."""
        self._device.launch("set_epoch", 1, self._epoch, np.int32(epoch))

    def next_epoch(self) -> None:
        """End an epoch."""
        self._device.launch("next_epoch", 1, self._epoch)

    def walk_bucket(self, bucket: int, density: DeviceDensity | None) -> None:
        """Walk the plan's own walkers of a bucket."""
        plan = self._plan
        begin, end = plan.bucket_walkers[bucket : bucket + 2]
        first, last = plan.own_walkers[bucket]
        if first == last:
            return
        draws_pool = end - begin <= BLOCKS_THAT_DRAW * GROUP
        if not draws_pool:
            self._device.launch(
                "draw_pool", plan.pool_size // 2, self._epoch, self._seed, np.int32(bucket),
                np.int32(plan.pool_size), np.int64(plan.n_vertices), self._positions,
                self._pool_places, self._pool,
            )  # fmt: skip
        size = group_size(int(end - begin))
        walk = self._walker(bucket, size, density, draws_pool=draws_pool)
        self._edges.walk(int(first), int(last), size, walk)

    def move_after(self, bucket: int) -> None:
        """Move all vertices when a bucket ends."""
        plan = self._plan
        start, end = plan.bucket_offsets[bucket : bucket + 2]
        if start == end:
            return
        self._device.launch(
            "apply_updates", plan.n_vertices, np.int64(start), np.int64(end),
            np.int64(plan.n_vertices), self._positions, self.walked, self.pulls, self._unit,
        )  # fmt: skip

    def _walker(
        self, bucket: int, size: int, density: DeviceDensity | None, *, draws_pool: bool
    ) -> Callable[..., None]:
        """Return the function that walks some groups of a bucket, given their edges."""
        plan = self._plan
        kernel, more = ("walk", ()) if density is None else ("walk_and_spread", (density.terms,))

        pool = (None, None) if draws_pool else (self._pool_places, self._pool)

        def walk(first: int, last: int, first_edge: int, tails: Array, rates: Array) -> None:
            self._device.launch(
                kernel, -(-(last - first) // size) * GROUP,
                self._epoch, self._steps, self._seed, np.int32(bucket),
                np.int64(plan.bucket_offsets[bucket]), np.int64(plan.bucket_walkers[bucket]),
                np.int64(first), np.int64(last), np.int32(size), plan.first_walkers, plan.heads,
                plan.row_offsets, np.int64(first_edge), tails, rates,
                self._positions, self.walked, self.pulls, np.int64(plan.n_vertices),
                np.int32(plan.pool_size), *pool, *self._constants, *more,
            )  # fmt: skip

        return walk


def epochs_together(device: Device, plan: DevicePlan, density: Density | None) -> bool:
    """Return whether many epochs run in one launch."""
    few = plan.n_vertices <= MOST_TOGETHER
    return few and density is None and plan.tails is not None and device.cooperates()
