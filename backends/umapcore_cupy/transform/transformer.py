"""Placement of new heads on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.log2 import exact_log2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.spec import OptimizerSpec
    from umapcore.layout.transform_plan import TransformPlan
    from umapcore_cupy.host.device import Device


class DeviceTransform:
    """Places heads in a reference; see :class:`umapcore.device.protocol.Transform`.

    Parameters
    ----------
    device
        The device that the reference is copied to.
    reference, steps, spec
        As for :meth:`umapcore.device.protocol.Backend.begin_transform`.
    """

    def __init__(
        self,
        device: Device,
        reference: NDArray[np.float32],
        steps: NDArray[np.float32],
        spec: OptimizerSpec,
    ) -> None:
        self._device = device
        device.compile("transform", reference.shape[1], spec.negative_sample_rate)
        self._n_reference, self._n_epochs = reference.shape[0], steps.shape[0]
        self._reference = device.upload(reference)
        self._steps = device.upload(steps)
        a, b = spec.curve()
        self._constants = (
            np.float32(b),
            np.float32(exact_log2(a)),
            np.float32(spec.gamma),
        )

    def place(self, plan: TransformPlan) -> NDArray[np.float32]:
        """Return the positions of some heads."""
        n, k = plan.tails.shape
        device = self._device
        positions = device.upload(plan.start)
        device.launch(
            "transform", n, np.int64(n), np.int32(k), np.int32(self._n_epochs),
            device.upload(plan.tails), device.upload(plan.rates), device.upload(plan.keys),
            self._reference, np.int64(self._n_reference), self._steps,
            *self._constants, positions,
        )  # fmt: skip
        placed: NDArray[np.float32] = device.download(positions)
        return placed.reshape(plan.start.shape)
