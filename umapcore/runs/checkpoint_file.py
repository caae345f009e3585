"""What a checkpoint file holds, and how it is written: whole or not at all.

It is a NumPy archive (``numpy.load`` reads it): a line of JSON that says which run it belongs to,
the positions, and the snapshots so far. The archive has check sums.
"""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Changes when the file's form does.
FORMAT = 1
_SNAPSHOT = "snapshot_"


@dataclass(frozen=True)
class Identity:
    """Which run a checkpoint belongs to: what decides the bits of its result.

    Attributes
    ----------
    umapcore
        Version.
    graph
        Digest.
    spec
        Parameters, with the number of epochs.
    init
        ``'spectral'``, whose positions need not be worked out again to be known; else ``'given'``.
    first_epoch
        Epoch that the run started at.
    density
        Digest of the log radii of the data; empty where no density is preserved.
    """

    umapcore: str
    graph: str
    spec: dict[str, float | int]
    init: str
    first_epoch: int
    density: str = ""


@dataclass(frozen=True)
class State:
    """How far a run has come.

    Attributes
    ----------
    identity
        Which run it is.
    start
        Digest of the positions it started from.
    representation
        Digest of what placed the graph's components; empty when nothing did.
    epoch
        Epochs that are done.
    positions
        After them, float32, n × d.
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
    """Write a state beside `path`, then give it that name: a kill leaves the old or the new one.

    Raises
    ------
    OSError
        When it cannot be written; `path` is then as it was.
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
    beside = part_of(path)
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def part_of(path: Path) -> Path:
    """Name of the file that is written before it takes the name `path`."""
    return path.with_name(f".{path.name}.part")


def read_state(path: Path) -> State:
    """Read a checkpoint.

    Raises
    ------
    ValueError
        When the file is none, is damaged, or has another format; the message does not name it.
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
            # One that was written before there were densities does not tell of them.
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
