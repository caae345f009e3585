"""The CPU backend, and the state of a running layout."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.log2 import exact_log2
from umapcore._kit.parallel import run_interruptibly, together
from umapcore._kit.prefetch import LINE
from umapcore._kit.threads import processors_to_use, thread_count
from umapcore.layout.constants import GROUP
from umapcore.layout.plan import build_plan, most_edges_of_a_group
from umapcore.neighbors.exact import approximate_knn, exact_knn
from umapcore_numba.layout import bundles
from umapcore_numba.layout.density import prepare_density
from umapcore_numba.layout.epochs import run_worker
from umapcore_numba.layout.lanes import POOL_STRIDE, float_scratch, int_scratch
from umapcore_numba.layout.sample_pool import POOL_PARTS
from umapcore_numba.layout.schedule import LISTED, WORD_BITS
from umapcore_numba.layout.thread_tuner import ThreadTuner
from umapcore_numba.layout.work_queue import STOP, queue_state_size
from umapcore_numba.spectral.ops import NumbaSpectralOps
from umapcore_numba.transform.transformer import NumbaTransform

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy import sparse

    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.neighbors.knn import KNN

#: Graphs with fewer edges run on one thread: their phases are too short to be shared.
SMALL_GRAPH_EDGES = 200_000
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


class NumbaBackend:
    """Layouts on the CPU by numba kernels."""

    name = "numba"

    def adopt_graph(self, graph: Any) -> None:
        """Return None: the host prepares the graph."""

    def adopt_start(self, positions: Any, shape: tuple[int, int]) -> None:
        """Return None: the host scales the positions."""

    def graph_to_host(self, graph: sparse.csr_array[Any, Any]) -> sparse.csr_array[Any, Any]:
        """Return the graph unchanged."""
        return graph

    def start_to_host(
        self, start: NDArray[np.float32], shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return the positions unchanged."""
        return start

    def spectral_ops(self, *, n_threads: int | None = None) -> NumbaSpectralOps:
        """Return the operations of the spectral start."""
        return NumbaSpectralOps(n_threads)

    def plan(
        self,
        graph: sparse.csr_array[Any, Any],
        spec: OptimizerSpec,
        *,
        n_threads: int | None = None,
    ) -> EdgePlan:
        """Plan a layout; see :func:`umapcore.layout.plan.build_plan`."""
        return build_plan(graph, spec, n_threads=n_threads)

    def nearest(self, points: Any, n_neighbors: int, metric: Any, **options: Any) -> KNN:
        """Find exact neighbours; see :func:`umapcore.neighbors.exact.exact_knn`."""
        return exact_knn(points, n_neighbors, metric=metric, **options)

    def approximate(
        self, points: Any, n_neighbors: int, metric: str, **options: Any
    ) -> tuple[KNN, float]:
        """Find most neighbours; see :func:`umapcore.neighbors.exact.approximate_knn`."""
        return approximate_knn(points, n_neighbors, metric=metric, **options)

    def close(self) -> None:
        """Do nothing: host memory is freed automatically."""

    def begin(
        self,
        plan: EdgePlan,
        start: NDArray[np.float32],
        spec: OptimizerSpec,
        *,
        density: Density | None = None,
        n_threads: int | None = None,
    ) -> NumbaLayout:
        """Begin a layout; see :class:`umapcore.device.protocol.Backend`."""
        workers = useful_workers(plan, thread_count(n_threads))
        return NumbaLayout(plan, start, spec, workers, density)

    def begin_transform(
        self,
        reference: NDArray[np.float32],
        steps: NDArray[np.float32],
        spec: OptimizerSpec,
        *,
        n_threads: int | None = None,
    ) -> NumbaTransform:
        """Prepare to place new heads; see :class:`umapcore.device.protocol.Backend`."""
        return NumbaTransform(reference, steps, spec, n_threads)


def useful_workers(plan: EdgePlan, threads: int) -> int:
    """Return how many of a run's threads make its layout faster.

    These are no more than there are groups of heads to walk at a time, and no more than there are
    processors, even if ``NUMBA_NUM_THREADS`` is larger.
    """
    if plan.n_edges < SMALL_GRAPH_EDGES:
        return 1
    walkers = int(np.diff(plan.first_walkers[plan.bucket_offsets]).max())
    return max(1, min(threads, -(-walkers // GROUP), processors_to_use()[0]))


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
        # Adding 0 turns -0 into 0. Moves never make a -0, so a vertex on which nothing acts can be
        # left alone.
        # Rows begin on cache lines: two workers that update positions then never share a line.
        # Two rows are faster for several workers, as long as they stay in the workers' caches and
        # lines are claimed. The loops for any number of dimensions do not claim lines.
        self._dims = (0,) * d if d in SPECIAL_DIMENSIONS else ()
        claimed = n_workers > 1 and len(self._dims) > 0
        rows = 2 if claimed and 4 * n * d <= TWO_ARRAYS_BYTES else 1
        self._both_positions = _aligned_zeros(rows, -(-n * d // LINE) * LINE, np.float32)
        self._positions = self._both_positions[0, : n * d]
        self._positions.reshape(n, d)[:] = start[plan.order] + np.float32(0)
        self._walked = np.empty_like(self._positions)
        parts = min(n_workers, PRIVATE_PULLS + 1)
        self._pulls = _aligned_zeros(parts, -(-n * d // LINE) * LINE, np.int32)
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
            _aligned_zeros(n_workers, n_floats, np.float32),
            _aligned_zeros(n_workers, int_scratch(d), np.int32),
            np.empty((n_workers, most + LISTED), np.int32),
            np.empty((n_workers, n_words), np.uint64),
            np.empty((n_workers, n_words), np.int32),
            np.zeros((n_workers, plan.pool_size), np.int16),
            _aligned_zeros(n_workers, 16, np.int64),
        )
        self._queue = _aligned_zeros(1, queue_state_size(n_workers), np.int64)[0]
        self._density: tuple[Any, ...] = ()
        self._density_epoch = plan.n_epochs
        forces = plan.n_edges * (1 + spec.negative_sample_rate)
        self._is_long = forces * d > LONG_EPOCH
        if density is not None:
            self._density = prepare_density(density, plan, spec)
            self._density_epoch = spec.density_epoch(plan.n_epochs)
        self._kernels: dict[tuple[int, int], Callable[..., None]] = {}
        self._tuner = ThreadTuner(n_workers)

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
        span = bundles.Span(first_epoch, stop_epoch, self._plan.n_epochs, self._seed)
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
            plan = self._plan
            parts = min(workers, self._pulls.shape[0])
            self._kernels[key] = run_worker.bound(
                self._dims,
                bundles.Plan(*(getattr(plan, name) for name in bundles.Plan._fields)),
                self._law,
                bundles.State(
                    self._both_positions[: min(workers, 2)], self._walked, self._pulls[:parts]
                ),
                self._pool,
                bundles.Scratch(*(rows[:workers] for rows in self._scratch)),
                self._queue,
                density,
            )
        return self._kernels[key]


def _aligned_zeros(rows: int, columns: int, dtype: type) -> NDArray[Any]:
    """Make zeros whose rows begin on cache lines, so that no vector load spans two lines."""
    line = 64 // np.dtype(dtype).itemsize
    stride = -(-columns // line) * line
    block: NDArray[Any] = np.zeros(rows * stride + line, dtype)
    skip = -block.ctypes.data % 64 // block.itemsize
    return block[skip : skip + rows * stride].reshape(rows, stride)
