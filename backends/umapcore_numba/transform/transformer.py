"""Placement of new heads on the CPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.arrays import read_only
from umapcore._kit.log2 import exact_log2
from umapcore._kit.parallel import for_rows, run_interruptibly
from umapcore.layout.transform_plan import TransformPlan
from umapcore_numba.transform.walk import Law, transform_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.spec import OptimizerSpec

#: Numbers of dimensions for which a special kernel is compiled.
SPECIAL_DIMENSIONS = (1, 2, 3)
#: More coordinates of forces than this take longer than Ctrl-C should: see `LONG_EPOCH` in
#: :mod:`umapcore_numba.layout.layout`.
_LONG = 50_000_000
#: Number of heads that a thread processes at a time.
_ROWS_PER_TASK = 1024


class NumbaTransform:
    """Place new heads in a reference; see :class:`umapcore.device.protocol.Transform`.

    Parameters
    ----------
    reference, steps, spec, n_threads
        As for :meth:`umapcore.device.protocol.Backend.begin_transform`.
    """

    def __init__(
        self,
        reference: NDArray[np.float32],
        steps: NDArray[np.float32],
        spec: OptimizerSpec,
        n_threads: int | None,
    ) -> None:
        d = reference.shape[1]
        self._dims = (0,) * d if d in SPECIAL_DIMENSIONS else ()
        self._reference = read_only(np.ascontiguousarray(reference).reshape(-1))
        self._steps = steps
        a, b = spec.curve()
        self._law = Law(
            np.int64(d),
            np.float32(b),
            np.float32(exact_log2(a)),
            np.float32(spec.gamma),
            np.int64(spec.negative_sample_rate),
        )
        self._n_threads = n_threads

    def place(self, plan: TransformPlan) -> NDArray[np.float32]:
        """Return the positions of some heads."""
        placed = plan.start.copy()
        flat = placed.reshape(-1)

        given = (
            TransformPlan(*(read_only(array) for array in plan)),
            self._reference,
            self._steps,
            self._law,
        )

        stop = np.zeros(1, np.int64)

        def walk(a: int, b: int) -> None:
            transform_rows(self._dims, a, b, *given, flat, stop)

        def walk_all() -> None:
            for_rows(plan.start.shape[0], self._n_threads, walk, _ROWS_PER_TASK)

        forces = plan.tails.size * self._steps.shape[0] * (1 + int(self._law.n_samples))
        if forces * plan.start.shape[1] > _LONG:
            run_interruptibly(walk_all, partial(stop.fill, 1))
        else:
            walk_all()
        return placed
