"""The arrays of a layout that preserves densities, and what is computed before an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.log2 import exact_log2

if TYPE_CHECKING:
    from umapcore.layout.density import Density
    from umapcore.layout.spec import OptimizerSpec
    from umapcore_cupy.host.device import Array, Device
    from umapcore_cupy.layout.plan import DevicePlan
    from umapcore_cupy.layout.streamed import Edges

#: Number of threads that sum over vertices; each adds up many.
_SUM_THREADS = 16 * 1024


class DeviceDensity:
    """Radii in the data and in the embedding; see :mod:`umapcore_numba.layout.density`.

    Parameters
    ----------
    device, plan, edges, spec
        Those of the layout.
    density
        Density of the data, on the host.
    positions
        The positions of the layout, which change.

    Attributes
    ----------
    terms
        float32, two per vertex: the result of :meth:`measure`.
    sums
        float32, two per walker: the result of :meth:`measure_walkers`.
    """

    def __init__(
        self,
        device: Device,
        plan: DevicePlan,
        edges: Edges,
        spec: OptimizerSpec,
        density: Density,
        positions: Array,
    ) -> None:
        self._device, self._plan, self._edges = device, plan, edges
        self._positions = positions
        device.compile("density", spec.n_components, spec.negative_sample_rate)
        n = plan.n_vertices
        order = device.download(plan.order)
        self._radii = device.upload(density.radii[order])
        self.sums: Array = device.empty(2 * plan.n_walkers, np.float32)
        self._logs = device.empty(n, np.float32)
        self._totals = device.zeros(3, np.uint64)
        self.terms: Array = device.zeros(2 * n, np.float32)
        a, b = spec.curve()
        self._curve = (np.float32(b), np.float32(exact_log2(a)))
        self._constants = (
            np.float64(density.strength(spec)),
            np.float64(spec.density_shift),
            np.float64(density.n_counted),
        )

    def measure(self) -> None:
        """Compute the terms of all vertices from their positions."""
        self.measure_walkers()
        self.measure_vertices()

    def measure_walkers(self) -> None:
        """Sum over the edges of each walker."""
        plan, launch = self._plan, self._device.launch

        def walk(first: int, last: int, first_edge: int, tails: Array, rates: Array) -> None:
            launch(
                "measure_walkers", last - first, np.int64(first), np.int64(last), plan.heads,
                plan.row_offsets, np.int64(first_edge), tails, self._positions,
                *self._curve, self.sums, self._totals,
            )  # fmt: skip

        self._edges.walk(0, plan.n_walkers, 1, walk)

    def measure_vertices(self) -> None:
        """Compute the terms of all vertices from the sums of all walkers."""
        plan, launch = self._plan, self._device.launch
        n = np.int64(plan.n_vertices)
        launch(
            "log_radii", min(plan.n_vertices, _SUM_THREADS), n, plan.first_walkers, self.sums,
            self._radii, self._logs, self._totals,
        )  # fmt: skip
        launch(
            "weigh", plan.n_vertices, n, plan.first_walkers, self.sums, self._radii, self._logs,
            self._totals, *self._constants, self.terms,
        )  # fmt: skip
