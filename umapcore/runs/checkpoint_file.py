"""Content of a checkpoint file, and how it is written: completely or not at all.

The file is a NumPy archive (``numpy.load`` reads it). It contains a line of JSON that identifies
the run, the positions, and the snapshots so far. The archive has check sums.
"""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit import file_names

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Changes when the format of the file changes.
FORMAT = 1
_SNAPSHOT = "snapshot_"


@dataclass(frozen=True)
class Identity:
    """Identity of the run that a checkpoint belongs to: all that determines the result's bits.

    Attributes
    ----------
    umapcore
        Version of umapcore.
    graph
        Digest of the graph.
    spec
        Parameters, including the number of epochs.
    init
        ``'spectral'``, whose positions need not be computed again for a comparison; otherwise
        ``'given'``.
    first_epoch
        Epoch at which the run started.
    density
        Digest of the log radii of the data; empty if no density is preserved.
    """

    umapcore: str
    graph: str
    spec: dict[str, float | int]
    init: str
    first_epoch: int
    density: str = ""


@dataclass(frozen=True)
class State:
    """State of a run after some epochs.

    Attributes
    ----------
    identity
        Identity of the run.
    start
        Digest of the positions that it started from.
    representation
        Digest of the representation that placed the graph's components; empty if none was used.
    epoch
        Number of epochs done.
    positions
        Positions after these epochs, float32, n × d.
    snapshots
        Positions by epoch.
    """

    identity: Identity
    start: str
    representation: str
    epoch: int
    positions: NDArray[np.float32]
    snapshots: dict[int, NDArray[np.float32]] = field(default_factory=dict)


def write_state(path: Path, state: State) -> None:
    """Write a state to a temporary file in the same folder, then rename it to `path`.

    If the process is killed, `path` is either the old or the new file.

    Raises
    ------
    OSError
        When the file cannot be written; `path` is then unchanged.
    """
    head = {
        "format": FORMAT,
        "identity": asdict(state.identity),
        "start": state.start,
        "representation": state.representation,
        "epoch": state.epoch,
    }
    arrays: dict[str, Any] = {
        "umapcore_checkpoint": np.array(json.dumps(head)),
        "positions": state.positions,
    }
    arrays |= {f"{_SNAPSHOT}{epoch}": taken for epoch, taken in state.snapshots.items()}
    beside = file_names.beside(path, "part")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        file_names.replace(beside, path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise file_names.explained(error, path) from error
        raise


def remove_state(path: Path) -> None:
    """Remove a checkpoint, and what writers of it have left that were killed."""
    left = [path]
    with suppress(OSError):
        left += file_names.all_beside(path, "part")
    for file in left:
        with suppress(OSError):
            file.unlink()


def read_state(path: Path) -> State:
    """Read a checkpoint.

    Raises
    ------
    ValueError
        When the file is not a checkpoint, is damaged, or has another format. The message does not
        contain the file's name.
    OSError
        When it cannot be read.
    """
    try:
        # Opened here: np.load would leave a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            head = json.loads(str(archive["umapcore_checkpoint"]))
            if head["format"] != FORMAT:
                msg = f"has format {head['format']}; this version of umapcore reads {FORMAT}"
                raise _OtherFormatError(msg)
            said = head["identity"]
            # Files from before densities were introduced have no such field.
            names = {item.name for item in fields(Identity)} & {*said}
            identity = Identity(**{name: said[name] for name in names})
            return State(
                identity=identity,
                start=head["start"],
                representation=head["representation"],
                epoch=int(head["epoch"]),
                positions=archive["positions"],
                snapshots={
                    int(name.removeprefix(_SNAPSHOT)): archive[name]
                    for name in archive.files
                    if name.startswith(_SNAPSHOT)
                },
            )
    except _OtherFormatError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        msg = "is not a checkpoint of umapcore, or is damaged"
        raise ValueError(msg) from error


class _OtherFormatError(ValueError):
    pass
