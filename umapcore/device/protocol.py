"""What a backend offers: to plan a layout, begin it, carry it forward, hand out its positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    """A layout under way on some device."""

    def advance(self, first_epoch: int, stop_epoch: int) -> None:
        """Run the epochs `first_epoch` … `stop_epoch` - 1."""

    def positions(self) -> NDArray[np.float32]:
        """Copy the positions to the host, n × d, in the order of the graph's vertices."""


class Transform(Protocol):
    """A reference on some device, among which new heads are placed."""

    def place(self, plan: TransformPlan) -> NDArray[np.float32]:
        """Give the positions of some heads, n × d."""


class Backend(Protocol):
    """A device on which layouts run. All backends give the same bits.

    A graph is what :func:`umapcore.graph.csr.prepare_graph` makes, or what `adopt_graph` gave.
    Start positions are float32, n × d, in the order of the graph, or what `adopt_start` gave.
    """

    name: str

    def adopt_graph(self, graph: Any) -> Any | None:
        """Take a graph that is on the device already, as it is.

        Returns
        -------
        Something with a `shape`; None when the host has to prepare the graph.
        """

    def adopt_start(self, positions: Any, shape: tuple[int, int]) -> Any | None:
        """Take positions that are on the device already, and scale them as a start.

        Returns
        -------
        None when the host has to do that.
        """

    def graph_to_host(self, graph: Any) -> sparse.csr_array[Any, Any]:
        """Copy a graph to the host, unless it is there."""

    def start_to_host(self, start: Any, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Copy start positions to the host, unless they are there."""

    def spectral_ops(self, *, n_threads: int | None = None) -> AbstractContextManager[SpectralOps]:
        """Give the operations that a spectral start is made of.

        `n_threads` concerns CPUs only; None leaves it to the settings.

        Raises
        ------
        umapcore.errors.GPUUnavailableError
            Here or in any of the operations, when the device turns out not to do.
        """

    def plan(self, graph: Any, spec: OptimizerSpec, *, n_threads: int | None = None) -> Any:
        """Prune, schedule and bucket a graph.

        `n_threads` concerns CPUs only; None leaves it to the settings.

        Raises
        ------
        umapcore.errors.GPUUnavailableError
            When the device turns out not to do.
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
        """Bring start positions to the device and make ready to move them.

        `density`, of the data, is given exactly where `spec` has a weight for it.
        """

    def begin_transform(
        self,
        reference: NDArray[np.float32],
        steps: NDArray[np.float32],
        spec: OptimizerSpec,
        *,
        n_threads: int | None = None,
    ) -> Transform:
        """Bring a reference to the device and make ready to place new heads in it.

        `steps` are the step sizes of the epochs.

        Raises
        ------
        umapcore.errors.GPUUnavailableError
            Here or by the placer, when the device turns out not to do.
        """

    def nearest(
        self,
        points: Any,
        n_neighbors: int,
        metric: Any,
        metric_kwds: Mapping[str, Any] | None = None,
        *,
        n_threads: int | None = None,
    ) -> KNN:
        """Find the exact nearest neighbours of points, float32, (n, p), dense or CSR.

        The bits are those of the CPU on the CPU alone: GPUs may differ in near ties.

        Raises
        ------
        ValueError
            When the metric does not suit the points.
        umapcore.errors.GPUUnavailableError
            When the device has no exact search for them, or turns out not to do.
        """

    def close(self) -> None:
        """Give back everything that is held on the device."""
