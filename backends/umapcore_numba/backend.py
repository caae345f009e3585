"""The CPU backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.threads import processors_to_use, thread_count
from umapcore.layout.constants import GROUP
from umapcore.layout.plan import build_plan
from umapcore.neighbors.exact import approximate_knn, exact_knn
from umapcore_numba.layout.layout import NumbaLayout
from umapcore_numba.spectral.ops import NumbaSpectralOps
from umapcore_numba.transform.transformer import NumbaTransform

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from umapcore.device.protocol import Layout
    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.neighbors.knn import KNN

#: Graphs with fewer edges run on one thread: their phases are too short to be shared.
SMALL_GRAPH_EDGES = 200_000


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
    ) -> Layout:
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
