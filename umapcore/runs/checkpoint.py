"""A run that outlives its process: saved as it goes, continued with the same bits."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.checks import check_real
from umapcore.errors import bad_type
from umapcore.logs import logger
from umapcore.runs.checkpoint_file import State, part_of, read_state, write_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.runs.checkpoint_file import Identity

#: Writing takes at most about one part in so many of the time.
_SHARE = 20


@dataclass(frozen=True)
class Checkpoint:
    """File that a run is saved to and continued from.

    When the file is there and belongs to the same run (graph, start, parameters, seed and version
    of umapcore), the run continues from it, with the bits of a run that never stopped; a file
    that belongs to another run is refused. A file is not shared between runs at the same time.

    Parameters
    ----------
    path
        File, ``'run.ckpt'``, say; its folder must exist. It is written beside and renamed, so it
        is always whole.
    every
        Seconds between writes, at least 0; more where writing itself takes long.
    keep
        Leave the file when the run is complete; by default it is then removed. A run that a
        callback or ``stop_epoch`` ends before its last epoch always leaves it, at that epoch.

    Raises
    ------
    ValueError, TypeError
        For bad parameters.
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
    """Give a Checkpoint for what a user gave: one, the name of a file, or None.

    Raises
    ------
    ValueError, TypeError, OSError
        Naming what is allowed; also when the file could not be written there.
    """
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, Checkpoint):
        if not isinstance(checkpoint, (str, os.PathLike)) or not str(checkpoint):
            allowed = "the name of a file, a umapcore.Checkpoint, or None"
            raise bad_type("checkpoint", checkpoint, allowed)
        checkpoint = Checkpoint(checkpoint)
    path = Path(checkpoint.path)
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
    """One run's dealings with its checkpoint.

    Parameters
    ----------
    checkpoint
        File, and how often it is written.

    Raises
    ------
    ValueError
        When the file is there and is not a checkpoint.
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
        """Say which run this is, and give the state that it was left in, if there is one.

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
        """Say what the run starts from: digests of positions and of what placed components.

        Raises
        ------
        ValueError
            When the file's run started from something else.
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
        """Whether it is time to save."""
        return time.monotonic() >= self._due

    def save(
        self,
        epoch: int,
        positions: NDArray[np.float32],
        snapshots: dict[int, NDArray[np.float32]],
    ) -> None:
        """Write how far the run has come; where that fails, warn in the log and go on."""
        assert self._state is not None
        began = time.monotonic()
        state = replace(self._state, epoch=epoch, positions=positions, snapshots=snapshots)
        if _stamp(self._path) not in (None, self._stamp):
            logger.warning("%s was changed by another program: it is left alone", self._path)
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
        """Save the end of a run, unless the file is to be removed."""
        self._complete = complete
        if self._checkpoint.keep or not complete:
            self.save(epoch, positions, snapshots)

    def close(self) -> None:
        """Remove the file when the run is complete and its result is in good hands."""
        ours = self._stamp is not None and _stamp(self._path) == self._stamp
        if ours and self._complete and not self._checkpoint.keep:
            for path in (self._path, part_of(self._path)):
                with suppress(OSError):
                    path.unlink()

    def _refuse(self, different: list[str]) -> None:
        msg = (
            f"checkpoint={str(self._path)!r} belongs to another run: {'; '.join(different)}. "
            "Name another file, or remove this one."
        )
        raise ValueError(msg)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Give what changes when a file is replaced; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
