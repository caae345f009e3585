"""The interface of a backend: plan a layout, start it, advance it, return its positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse

    from umapcore.device.spectral_ops import SpectralOps
    from umapcore.layout.density import Density
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.layout.transform_plan import TransformPlan
    from umapcore.neighbors.knn import KNN


class Layout(Protocol):
    """A running layout on a device.

    Attributes
    ----------
    span_seconds
        How long a call of `advance` should take. The progress bar and Ctrl-C are handled between
        calls.
    """

    span_seconds: float

    def advance(self, first_epoch: int, stop_epoch: int) -> None:
        """Run the epochs `first_epoch` … `stop_epoch` - 1."""

    def positions(self) -> NDArray[np.float32]:
        """Copy the positions to the host, n × d, in the order of the graph's vertices."""


class Transform(Protocol):
    """A reference on a device, in which new heads are placed."""

    def place(self, plan: TransformPlan) -> NDArray[np.float32]:
        """Return the positions of some heads, n × d."""


class Backend(Protocol):
    """A device on which layouts run. All backends give the same bits.

    A graph comes from :func:`umapcore.graph.csr.prepare_graph` or from `adopt_graph`. Start
    positions are float32, n × d, in the order of the graph, or come from `adopt_start`.
    """

    name: str

    def adopt_graph(self, graph: Any) -> Any | None:
        """Use a graph that is already on the device, unchanged.

        Returns
        -------
        An object with a `shape`, or None if the host must prepare the graph.
        """

    def adopt_start(self, positions: Any, shape: tuple[int, int]) -> Any | None:
        """Use positions that are already on the device, scaled as start positions.

        Returns
        -------
        The start positions, or None if the host must scale them.
        """

    def graph_to_host(self, graph: Any) -> sparse.csr_array[Any, Any]:
        """Copy a graph to the host, unless it is already there."""

    def start_to_host(self, start: Any, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Copy start positions to the host, unless they are already there."""

    def spectral_ops(self, *, n_threads: int | None = None) -> AbstractContextManager[SpectralOps]:
        """Return the operations that compute a spectral start.

        `n_threads` affects CPUs only; None takes ``umapcore.settings.n_threads``.

        Raises
        ------
        umapcore.errors.GPUUnavailableError
            Here or in any of the operations, if the device turns out not to be usable.
        """

    def plan(self, graph: Any, spec: OptimizerSpec, *, n_threads: int | None = None) -> Any:
        """Prune, schedule and bucket a graph.

        `n_threads` affects CPUs only; None takes ``umapcore.settings.n_threads``.

        Raises
        ------
        umapcore.errors.GPUUnavailableError
            If the device turns out not to be usable.
        """

    def begin(
        self,
        plan: Any,
        start: Any,
        spec: OptimizerSpec,
        *,
        density: Density | None = None,
        n_threads: int | None = None,
    ) -> Layout:
        """Copy start positions to the device and prepare a layout.

        `density` is that of the data. It is given if and only if `spec` has a `density_weight`.
        """

    def begin_transform(
        self,
        reference: NDArray[np.float32],
        steps: NDArray[np.float32],
        spec: OptimizerSpec,
        *,
        n_threads: int | None = None,
    ) -> Transform:
        """Copy a reference to the device and prepare to place new heads in it.

        `steps` are the step sizes of the epochs.

        Raises
        ------
        umapcore.errors.GPUUnavailableError
            Here or in the transform, if the device turns out not to be usable.
        """

    def nearest(self, points: Any, n_neighbors: int, metric: Any, **options: Any) -> KNN:
        """Find the exact nearest neighbours of points, float32, (n, p), dense or CSR.

        Options are `metric_kwds`, `n_threads` of a CPU, and `report`, a function that may be called
        with shares of the work that have been done.

        Raises
        ------
        ValueError
            If the metric does not suit the points.
        umapcore.errors.GPUUnavailableError
            If the device has no exact search for them, or turns out not to be usable.
        """

    def approximate(
        self, points: Any, n_neighbors: int, metric: str, **options: Any
    ) -> tuple[KNN, float]:
        """Find most of the nearest neighbours of dense points; also return the measured recall.

        Options are `accuracy`, the recall that is aimed at, `seed`, and `n_threads` and `report` as
        for `nearest`. The metric is one of ``umapcore.neighbors.metrics.OWN_METRICS``.

        Raises
        ------
        umapcore.errors.GPUUnavailableError
            If the device turns out not to be usable.
        """

    def close(self) -> None:
        """Release everything that is held on the device."""
