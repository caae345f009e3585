"""How a layout is run, beside what is laid out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from umapcore._kit.checks import check_integer
from umapcore._kit.threads import thread_count
from umapcore.errors import bad_type
from umapcore.runs.checkpoint import Keeper, check_checkpoint
from umapcore.runs.snapshots import check_snapshots

if TYPE_CHECKING:
    import os

    from umapcore.runs.callbacks import Callback
    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.provenance import Origin
    from umapcore.runs.snapshots import Snapshots


@dataclass
class Run:
    """How a layout is run, beside what is laid out: see :func:`simplicial_set_embedding`."""

    n_threads: int | None = None
    progress: bool | None = None
    callback: Callback | None = None
    callback_every: int = 1
    start_epoch: int = 0
    stop_epoch: int | None = None
    timings: dict[str, float] | None = None
    snapshots: Snapshots | None = None
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None
    #: Receives digests of graph and start.
    origin: Origin | None = None
    keeper: Keeper | None = field(default=None, init=False)

    def check(self) -> None:
        """Refuse what is wrong whatever the graph.

        Raises
        ------
        ValueError, TypeError, OSError
            Naming the parameter.
        """
        if self.callback is not None and not callable(self.callback):
            raise bad_type("callback", self.callback, "callable or None")
        self.callback_every = check_integer("callback_every", self.callback_every, 1)
        if self.progress is not None and not isinstance(self.progress, bool):
            raise bad_type("progress", self.progress, "True, False or None")
        thread_count(self.n_threads)
        check_snapshots(self.snapshots)
        checkpoint = check_checkpoint(self.checkpoint)
        self.keeper = None if checkpoint is None else Keeper(checkpoint)

    def close(self) -> None:
        """Say that the result is in good hands: the checkpoint of a complete run can go."""
        if self.keeper is not None:
            self.keeper.close()

    def epochs(self, n_epochs: int) -> tuple[int, int]:
        """Give the first epoch and the one to stop at.

        Raises
        ------
        ValueError, TypeError
            When they are not in order, or beyond the number of epochs.
        """
        start = check_integer("start_epoch", self.start_epoch, 0, n_epochs)
        stop = n_epochs if self.stop_epoch is None else self.stop_epoch
        return start, check_integer("stop_epoch", stop, start, n_epochs)
