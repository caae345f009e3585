"""Observers of a running layout: a callback, a recorder of snapshots, a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from umapcore.runs.job import Run


class Callbacks:
    """Calls the observers of a run at their epochs.

    Parameters
    ----------
    run
        Its callback is called every `callback_every` epochs and at the last one, and can stop the
        run; its snapshots receive positions; its keeper saves the run.
    last_epoch
        Epoch at which the run ends, unless the callback stops it.
    n_epochs
        Epoch at which the layout is complete.
    """

    def __init__(self, run: Run, last_epoch: int, n_epochs: int) -> None:
        self._callback, self._callback_every = run.callback, run.callback_every
        self._snapshots, self._keeper = run.snapshots, run.keeper
        self._last, self._n_epochs = last_epoch, n_epochs

    def next_epoch(self, epoch: int) -> int:
        """Return the next epoch after this one at which the run must pause."""
        steps = [self._callback_every] if self._callback is not None else []
        if self._snapshots is not None:
            steps.append(self._snapshots.every)
        return min([self._last, *(epoch - epoch % step + step for step in steps)])

    def begin(self, epoch: int, positions: Callable[[], NDArray[np.float32]]) -> None:
        """Record a layout before its first epoch.

        Parameters
        ----------
        epoch
            Number of epochs done.
        positions
            Function that returns a new copy of the positions, n × d.
        """
        self._record(epoch, positions)
        if self._keeper is not None and self._keeper.is_due:
            self._keeper.save(epoch, positions(), self._taken())

    def look(self, epoch: int, positions: Callable[[], NDArray[np.float32]]) -> bool:
        """Call the observers that are due at an epoch; return True if the run must stop here."""
        self._record(epoch, positions)
        if self._keeper is not None and self._keeper.is_due and epoch < self._last:
            self._keeper.save(epoch, positions(), self._taken())
        if self._callback is None:
            return False
        due = epoch % self._callback_every == 0 or epoch == self._last
        return due and self._callback(epoch, positions()) is True

    def end(self, epoch: int, positions: NDArray[np.float32]) -> None:
        """Record the result."""
        if self._snapshots is not None:
            self._snapshots.keep(epoch, positions.copy())
        if self._keeper is not None:
            complete = epoch == self._n_epochs
            self._keeper.end(epoch, positions, self._taken(), complete=complete)

    def _record(self, epoch: int, positions: Callable[[], NDArray[np.float32]]) -> None:
        # `end` keeps the last positions.
        if self._snapshots is not None and epoch % self._snapshots.every == 0:
            self._snapshots.keep(epoch, positions())

    def _taken(self) -> dict[int, NDArray[np.float32]]:
        return {} if self._snapshots is None else dict(self._snapshots)
