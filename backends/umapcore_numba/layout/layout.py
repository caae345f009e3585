"""A running layout on the CPU."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.log2 import exact_log2
from umapcore._kit.parallel import run_interruptibly, together
from umapcore.layout.plan import most_edges_of_a_group
from umapcore_numba.layout import bundles
from umapcore_numba.layout.density import DENSITY_STAGES, prepare_density
from umapcore_numba.layout.epochs import phases, run_worker
from umapcore_numba.layout.lanes import POOL_STRIDE, float_scratch, int_scratch
from umapcore_numba.layout.sample_pool import POOL_PARTS
from umapcore_numba.layout.schedule import LISTED, WORD_BITS
from umapcore_numba.layout.thread_tuner import ThreadTuner
from umapcore_numba.layout.work_queue import STOP, queue_state_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec

#: Up to this many workers have pulls of their own at a time. One more set is for all others, which
#: use atomic additions.
PRIVATE_PULLS = 8
#: With several workers, positions of up to this many bytes alternate between two arrays.
TWO_ARRAYS_BYTES = 1 << 20
#: An epoch that may compute more coordinates of forces than this takes longer than the 0.1 s in
#: which Ctrl-C should be handled: the main thread then only waits for it.
LONG_EPOCH = 100_000_000
#: Numbers of dimensions for which special kernels are compiled.
SPECIAL_DIMENSIONS = (1, 2, 3)


class NumbaLayout:
    """A running layout on the CPU.

    Parameters
    ----------
    plan, start, spec
        As for :meth:`NumbaBackend.begin`.
    n_workers
        Largest number of workers, at least 1.
    density
        Density of the data, if the layout must preserve it.
    """

    span_seconds = 0.1

    def __init__(
        self,
        plan: EdgePlan,
        start: NDArray[np.float32],
        spec: OptimizerSpec,
        n_workers: int,
        density: Density | None = None,
    ) -> None:
        n, d = start.shape
        self._plan = plan
        self._d = d
        self._dims = (0,) * d if d in SPECIAL_DIMENSIONS else ()
        self._n_workers = n_workers
        self._state = self._empty_state(n * d)
        # Adding 0 turns -0 into 0. Moves never make a -0, so a vertex on which nothing acts can be
        # left alone.
        self._positions = self._state.positions[0, : n * d]
        self._positions.reshape(n, d)[:] = start[plan.order] + np.float32(0)
        self._pool = bundles.Pool(
            np.zeros(POOL_STRIDE * d, np.float32),
            np.empty(plan.pool_size, np.int32),
            np.empty((POOL_PARTS, plan.pool_size // POOL_PARTS + 1), np.int32),
        )
        a, b = spec.curve()
        self._law = bundles.Law(
            np.int64(d),
            np.float64(spec.alpha),
            np.float32(b),
            np.float32(exact_log2(a)),
            np.float32(spec.gamma),
            np.int64(spec.negative_sample_rate),
            np.float32(2.0**plan.pull_exponent),
        )
        self._seed = np.uint64(spec.seed)
        most = most_edges_of_a_group(plan)
        n_words = most // int(WORD_BITS) + 2
        n_floats = float_scratch(d, density=density is not None)
        self._scratch = bundles.Scratch(
            aligned_zeros(n_workers, n_floats, np.float32),
            aligned_zeros(n_workers, int_scratch(d), np.int32),
            np.empty((n_workers, most + LISTED), np.int32),
            np.empty((n_workers, n_words), np.uint64),
            np.empty((n_workers, n_words), np.int32),
            np.zeros((n_workers, plan.pool_size), np.int16),
            aligned_zeros(n_workers, 16, np.int64),
        )
        self._queue = aligned_zeros(1, queue_state_size(n_workers), np.int64)[0]
        self._density: tuple[Any, ...] = ()
        self._density_epoch = plan.n_epochs
        forces = plan.n_edges * (1 + spec.negative_sample_rate)
        self._is_long = forces * d > LONG_EPOCH
        if density is not None:
            self._density = prepare_density(density, plan, spec)
            self._density_epoch = spec.density_epoch(plan.n_epochs)
        self._kernels: dict[tuple[int, int], Callable[..., None]] = {}
        self._tuner = ThreadTuner(n_workers)

    def _empty_state(self, size: int) -> bundles.State:
        """Make the arrays that change, for `size` coordinates."""
        # Rows begin on cache lines: two workers that update positions then never share a line.
        # Two rows are faster for several workers, as long as they stay in the workers' caches and
        # lines are claimed. The loops for any number of dimensions do not claim lines.
        claimed = self._n_workers > 1 and len(self._dims) > 0
        rows = 2 if claimed and 4 * size <= TWO_ARRAYS_BYTES else 1
        parts = min(self._n_workers, PRIVATE_PULLS + 1)
        return bundles.State(
            aligned_zeros(rows, size, np.float32),
            np.empty(size, np.float32),
            aligned_zeros(parts, size, np.int32),
        )

    def advance(self, first_epoch: int, stop_epoch: int) -> None:
        """Run the epochs `first_epoch` … `stop_epoch` - 1.

        Interrupted, the layout is of no further use.
        """
        if self._is_long:
            run_interruptibly(partial(self._advance_both, first_epoch, stop_epoch), self.stop)
        else:
            self._advance_both(first_epoch, stop_epoch)

    def stop(self) -> None:
        """Let an epoch that another thread runs end early; it can be called at any time."""
        self._scratch.claims[:, STOP] = 1

    def _advance_both(self, first_epoch: int, stop_epoch: int) -> None:
        """Run epochs without the density term, then epochs with it."""
        switch = min(max(first_epoch, self._density_epoch), stop_epoch)
        if first_epoch < switch:
            self._advance(first_epoch, switch, ())
        if switch < stop_epoch:
            self._advance(switch, stop_epoch, self._density)

    def _advance(self, first_epoch: int, stop_epoch: int, density: tuple[Any, ...]) -> None:
        workers = self._tuner.threads()
        n_stages = DENSITY_STAGES if density else 0
        end = (stop_epoch - first_epoch) * phases(self._plan.n_buckets, n_stages)
        span = bundles.Span(first_epoch, end, self._plan.n_epochs, self._seed)
        run = self._kernel(workers, density)
        self._queue[:] = 0
        wall, processor = time.perf_counter(), time.process_time()
        together(workers, lambda number: run(number, span), self.stop)
        epochs = max(1, stop_epoch - first_epoch)
        self._tuner.record(
            workers,
            (time.perf_counter() - wall) / epochs,
            (time.process_time() - processor) / epochs,
        )

    def positions(self) -> NDArray[np.float32]:
        """Copy the positions, n × d, in the order of the graph's vertices."""
        out = np.empty((self._plan.n_vertices, self._d), np.float32)
        out[self._plan.order] = self._positions.reshape(out.shape)
        return out

    def _kernel(self, workers: int, density: tuple[Any, ...]) -> Callable[..., None]:
        """Return the kernel for a number of workers, all its arguments bound but the first two."""
        key = workers, len(density)
        if key not in self._kernels:
            positions, walked, pulls = self._state
            parts = min(workers, pulls.shape[0])
            state = bundles.State(positions[: min(workers, 2)], walked, pulls[:parts])
            self._kernels[key] = self._bound(workers, state, density)
        return self._kernels[key]

    def _bound(
        self, workers: int, state: bundles.State, density: tuple[Any, ...]
    ) -> Callable[..., None]:
        """Return the kernel for a state, all its arguments bound but the first two."""
        plan = self._plan
        return run_worker.bound(
            self._dims,
            bundles.Plan(*(getattr(plan, name) for name in bundles.Plan._fields)),
            self._law,
            state,
            self._pool,
            bundles.Scratch(*(rows[:workers] for rows in self._scratch)),
            self._queue,
            density,
        )


def aligned_zeros(rows: int, columns: int, dtype: type) -> NDArray[Any]:
    """Make zeros whose rows begin on cache lines, so that no vector load spans two lines."""
    line = 64 // np.dtype(dtype).itemsize
    stride = -(-columns // line) * line
    block: NDArray[Any] = np.zeros(rows * stride + line, dtype)
    skip = -block.ctypes.data % 64 // block.itemsize
    return block[skip : skip + rows * stride].reshape(rows, stride)
