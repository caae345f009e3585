"""One shard of a layout that runs in several places; see :mod:`umapcore.layout.shards`.

A shard runs the same kernel as a whole layout, in pieces of few phases. Between them it exchanges
pulls and positions with the other shards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import kernel
from umapcore._kit.parallel import for_rows, together
from umapcore_numba.layout import bundles
from umapcore_numba.layout.density import DENSITY_STAGES
from umapcore_numba.layout.epochs import PHASES
from umapcore_numba.layout.layout import PRIVATE_PULLS, NumbaLayout, aligned_zeros
from umapcore_numba.layout.work_queue import begin_at, claimed_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from umapcore.device.communicator import Communicator
    from umapcore.layout.density import Density
    from umapcore.layout.shards import Shard
    from umapcore.layout.spec import OptimizerSpec


class NumbaShard(NumbaLayout):
    """A shard of a layout on the CPU. All shards advance together.

    Parameters
    ----------
    shard
        Which part of the layout.
    start, spec, n_workers, density
        As for :class:`.NumbaLayout`.
    communicator
        The link to the other shards.
    """

    def __init__(
        self,
        shard: Shard,
        start: NDArray[np.float32],
        spec: OptimizerSpec,
        communicator: Communicator,
        n_workers: int,
        density: Density | None = None,
    ) -> None:
        self._communicator = communicator
        super().__init__(shard.plan, start, spec, n_workers, density)
        d = self._d
        self._moved = shard.moved(d)
        self._walked = [shard.walked(bucket, d) for bucket in range(shard.plan.n_buckets)]
        self._measured = shard.measured(2)
        if density is not None:
            self._all_sums = communicator.replica(2 * shard.plan.heads.shape[0], np.float32)
        self._bound_kernels: dict[tuple[bool, bool], Callable[..., None]] = {}

    def _empty_state(self, size: int) -> bundles.State:
        """Make the arrays that change, for `size` coordinates, of which shards exchange most."""
        positions = self._communicator.replica(size, np.float32)
        walked = self._communicator.replica(size, np.float32)
        self._sums = self._communicator.partial_sums(size)
        # One worker pulls on the sums directly. Several have pulls of their own, added up later.
        parts = min(self._n_workers, PRIVATE_PULLS + 1)
        pulls = self._sums.reshape(1, -1) if parts == 1 else aligned_zeros(parts, size, np.int32)
        return bundles.State(positions.reshape(1, -1), walked, pulls)

    def _advance(self, first_epoch: int, stop_epoch: int, density: Any) -> None:
        """Run some epochs; `density` is ``()`` or the arrays of the density term."""
        for epoch in range(first_epoch, stop_epoch):
            self._advance_one(epoch, density)

    def _advance_one(self, epoch: int, density: Any) -> None:
        """Run one epoch."""
        exchange, state = self._communicator, self._state
        phase = 0
        if density:
            # Every shard measures its own walkers, and then does the rest for all vertices: it is
            # little, compared with the edges.
            self._run(epoch, phase, 1, density)
            for first, last in self._measured[exchange.number]:
                self._all_sums[first:last] = density.sums[first:last]
            exchange.all_gather(self._all_sums, self._measured)
            density.sums[:] = self._all_sums
            self._run(epoch, phase + 1, DENSITY_STAGES - 1, density)
            phase = DENSITY_STAGES
        for walked in self._walked:
            self._run(epoch, phase, PHASES - 1, density)
            self._add_up_pulls(phase + PHASES - 2)
            exchange.all_gather(state.walked, walked)
            exchange.reduce_scatter(self._sums, self._moved)
            self._run(epoch, phase + PHASES - 1, 1, density, moving=True)
            exchange.all_gather(state.positions[0], self._moved)
            phase += PHASES

    def _run(self, epoch: int, phase: int, n: int, density: Any, *, moving: bool = False) -> None:
        """Run `n` phases of an epoch. Where vertices move, pulls are in the sums of all shards."""
        key = moving, bool(density)
        if key not in self._bound_kernels:
            state = self._state
            if moving:
                state = state._replace(pulls=self._sums.reshape(1, -1))
            self._bound_kernels[key] = self._bound(self._n_workers, state, density)
        run = self._bound_kernels[key]
        span = bundles.Span(epoch, phase + n, self._plan.n_epochs, self._seed)
        begin_at(self._queue, self._n_workers, phase)
        together(self._n_workers, lambda worker: run(worker, span), self.stop)

    def _add_up_pulls(self, phase: int) -> None:
        """Add up the pulls of the workers that walked in a phase."""
        rows = self._state.pulls
        if rows.shape[0] == 1:
            return

        def add(first: int, last: int) -> None:
            _add_up(first, last, rows, self._sums, self._queue, self._n_workers, phase)

        for_rows(self._sums.shape[0], self._n_workers, add)


@kernel(allocates=False)
def _add_up(
    first: Any, last: Any, rows: Any, sums: Any, queue: Any, n_workers: Any, phase: Any
) -> None:
    """Move the pulls `first` … `last` - 1 of the rows that were claimed in a phase into `sums`."""
    claimed = claimed_rows(queue, n_workers, rows.shape[0], phase)
    total = sums[first:last]
    for row in range(rows.shape[0]):
        if claimed >> row & 1:
            part = rows[row, first:last]
            for i in range(last - first):
                total[i] += part[i]
            for i in range(last - first):
                part[i] = 0
