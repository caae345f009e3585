"""What a backend offers: to begin a layout, to carry it forward, to hand out its positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from umapcore.plan import EdgePlan
    from umapcore.spec import OptimizerSpec


class Layout(Protocol):
    """A layout under way on some device."""

    def advance(self, first_epoch: int, stop_epoch: int) -> None:
        """Run the epochs `first_epoch` … `stop_epoch` - 1."""

    def positions(self) -> NDArray[np.float32]:
        """Copy the positions to the host, n × d, in the order of the graph's vertices."""


class Backend(Protocol):
    """A device on which layouts run. All backends give the same bits."""

    name: str

    def begin(
        self,
        plan: EdgePlan,
        start: NDArray[np.float32],
        spec: OptimizerSpec,
        *,
        n_threads: int | None = None,
    ) -> Layout:
        """Bring a plan and start positions (n × d, in the order of the graph) to the device.

        `n_threads` concerns CPUs only; None leaves it to the settings.
        """
