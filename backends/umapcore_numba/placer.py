"""Placement of new heads on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from umapcore.curve import exact_log2
from umapcore.graph import read_only
from umapcore.rows import over_rows
from umapcore_numba.placing import place_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.placing.placement_plan import PlacementPlan
    from umapcore.spec import OptimizerSpec

#: Dimensions for which the kernel is compiled specially.
SPECIAL_DIMENSIONS = (1, 2, 3)
#: Heads that a thread takes at a time.
_ROWS_PER_TASK = 1024


class NumbaPlacer:
    """Places heads in a reference; see :class:`umapcore.backend.Placer`.

    Parameters
    ----------
    reference, steps, spec, n_threads
        As for :meth:`umapcore.backend.Backend.begin_placement`.
    """

    def __init__(
        self,
        reference: NDArray[np.float32],
        steps: NDArray[np.float32],
        spec: OptimizerSpec,
        n_threads: int | None,
    ) -> None:
        d = reference.shape[1]
        self._dims = ((0,) * d if d in SPECIAL_DIMENSIONS else (), d)
        self._reference = read_only(np.ascontiguousarray(reference).reshape(-1))
        self._steps = steps
        a, b = spec.curve()
        self._constants = (
            np.float32(b),
            np.float32(exact_log2(a)),
            np.float32(spec.gamma),
            np.int64(spec.negative_sample_rate),
        )
        self._n_threads = n_threads

    def place(self, plan: PlacementPlan) -> NDArray[np.float32]:
        """Place some heads."""
        placed = plan.start.copy()
        flat = placed.reshape(-1)

        given = [read_only(array) for array in (plan.tails, plan.rates, plan.keys)]

        def walk(a: int, b: int) -> None:
            place_rows(
                *self._dims, a, b, self._steps.shape[0], *given,
                self._reference, self._steps, *self._constants, flat,
            )  # fmt: skip

        over_rows(plan.start.shape[0], self._n_threads, walk, _ROWS_PER_TASK)
        return placed
