"""Checkpoints: a run is saved while it goes on, and a later process continues it bit for bit."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.checks import check_real
from umapcore._kit.file_names import check_file_name
from umapcore.errors import bad_type
from umapcore.logs import logger
from umapcore.runs.checkpoint_file import State, read_state, remove_state, write_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.runs.checkpoint_file import Identity

#: Writing takes at most about one part in this many of the total time.
_SHARE = 20


@dataclass(frozen=True)
class Checkpoint:
    """File that a run is saved to and continued from.

    If the file exists and belongs to the same run (graph, start, parameters, seed and version of
    umapcore), the run continues from it. The result has the same bits as a run without a stop. A
    file that belongs to another run is refused. Runs at the same time must not share a file.

    Parameters
    ----------
    path
        Name of the file, for example ``'run.ckpt'``; its folder must exist. A temporary file in
        the same folder is written and then renamed, so the file is always complete.
    every
        Seconds between writes, at least 0. The time is longer when a write itself takes long.
    keep
        Keep the file when the run is complete; by default it is then removed. A run that a
        callback or ``stop_epoch`` ends before its last epoch always keeps it, at that epoch.

    Raises
    ------
    ValueError, TypeError
        For invalid parameters.
    """

    path: str | os.PathLike[str]
    every: float = 10.0
    keep: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)) or not str(self.path):
            raise bad_type("path", self.path, "the name of a file")
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "every", check_real("every", self.every, at_least=0.0))
        if not isinstance(self.keep, bool):
            raise bad_type("keep", self.keep, "True or False")


def check_checkpoint(checkpoint: object) -> Checkpoint | None:
    """Return the Checkpoint for a user's argument: a Checkpoint, the name of a file, or None.

    Raises
    ------
    ValueError, TypeError, OSError
        When the argument is invalid (the message names what is allowed), or the file cannot be
        written there.
    """
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, Checkpoint):
        if not isinstance(checkpoint, (str, os.PathLike)) or not str(checkpoint):
            allowed = "the name of a file, a umapcore.Checkpoint, or None"
            raise bad_type("checkpoint", checkpoint, allowed)
        checkpoint = Checkpoint(checkpoint)
    path = Path(checkpoint.path)
    try:
        check_file_name(path)
    except ValueError as error:
        msg = f"checkpoint={error}"
        raise ValueError(msg) from None
    if path.is_dir():
        msg = f"checkpoint={str(path)!r} is a folder; a file is needed."
        raise IsADirectoryError(msg)
    if not path.absolute().parent.is_dir():
        msg = f"checkpoint={str(path)!r}: its folder does not exist."
        raise FileNotFoundError(msg)
    if not os.access(path.absolute().parent, os.W_OK):
        msg = f"checkpoint={str(path)!r}: its folder cannot be written to."
        raise PermissionError(msg)
    return checkpoint


class Keeper:
    """Reads, writes and removes the checkpoint of one run.

    Parameters
    ----------
    checkpoint
        The file, and how often it is written.

    Raises
    ------
    ValueError
        When the file exists and is not a checkpoint.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._path = Path(checkpoint.path)
        self._found: State | None = None
        self._state: State | None = None
        self._stamp = _stamp(self._path)
        self._complete = False
        if self._stamp is not None:
            try:
                self._found = read_state(self._path)
            except ValueError as error:
                msg = f"checkpoint={str(self._path)!r} {error}: name another file, or remove it."
                raise ValueError(msg) from error
        self._due = time.monotonic() + checkpoint.every

    def resume(self, identity: Identity) -> State | None:
        """Set the identity of the run, and return its saved state, if there is one.

        Raises
        ------
        ValueError
            When the file belongs to another run.
        """
        self._identity = identity
        found = self._found
        if found is not None:
            theirs = found.identity
            different = [
                f"{name} is {theirs.spec.get(name)!r} in it and {identity.spec.get(name)!r} here"
                for name in sorted({*theirs.spec, *identity.spec})
                if theirs.spec.get(name) != identity.spec.get(name)
            ]
            if theirs.umapcore != identity.umapcore:
                different.append(
                    f"umapcore {theirs.umapcore} wrote it and this is {identity.umapcore}"
                )
            if theirs.graph != identity.graph:
                different.append("its graph is another one")
            if theirs.density != identity.density:
                different.append("its distances are others")
            if (theirs.init, theirs.first_epoch) != (identity.init, identity.first_epoch):
                different.append("its start is another one")
            if different:
                self._refuse(different)
            logger.info("%s: the run continues after %d epochs", self._path, found.epoch)
        return found

    def begin(self, start: str, representation: str = "") -> None:
        """Set the start of the run: digests of its positions and of what places components.

        Raises
        ------
        ValueError
            When the run in the file has another start.
        """
        found = self._found
        if found is not None:
            different = []
            if found.start != start:
                different.append("its start positions are others")
            if found.representation != representation:
                different.append("the representation that places its components is another one")
            if different:
                self._refuse(different)
        self._state = State(self._identity, start, representation, 0, np.zeros((0, 0), np.float32))

    @property
    def is_due(self) -> bool:
        """Whether it is time to save the run."""
        return time.monotonic() >= self._due

    def save(
        self,
        epoch: int,
        positions: NDArray[np.float32],
        snapshots: dict[int, NDArray[np.float32]],
    ) -> None:
        """Write the present state of the run; if that fails, log a warning and go on."""
        assert self._state is not None
        began = time.monotonic()
        state = replace(self._state, epoch=epoch, positions=positions, snapshots=snapshots)
        if _stamp(self._path) not in (None, self._stamp):
            logger.warning("%s was changed by another program: it is not overwritten", self._path)
            self._due = float("inf")
            return
        try:
            write_state(self._path, state)
            self._stamp = _stamp(self._path)
        except OSError as error:
            logger.warning("%s could not be written: %s", self._path, error)
        now = time.monotonic()
        self._due = now + max(self._checkpoint.every, _SHARE * (now - began))

    def end(
        self,
        epoch: int,
        positions: NDArray[np.float32],
        snapshots: dict[int, NDArray[np.float32]],
        *,
        complete: bool,
    ) -> None:
        """Save the end of a run, unless the file will be removed."""
        self._complete = complete
        if self._checkpoint.keep or not complete:
            self.save(epoch, positions, snapshots)

    def close(self) -> None:
        """Remove the file if the run is complete; called when the caller has stored its result."""
        ours = self._stamp is not None and _stamp(self._path) == self._stamp
        if ours and self._complete and not self._checkpoint.keep:
            remove_state(self._path)

    def _refuse(self, different: list[str]) -> None:
        msg = (
            f"checkpoint={str(self._path)!r} belongs to another run: {'; '.join(different)}. "
            "Name another file, or remove this one."
        )
        raise ValueError(msg)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return values that change when a file is replaced; None when there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
