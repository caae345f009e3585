"""Positions that are recorded while a layout runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.checks import check_integer
from umapcore.errors import bad_type
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray


class Snapshots:
    """Positions of a layout at the epochs 0, k, 2k, … and at the last one.

    Pass one as ``snapshots=`` to :func:`umapcore.tl.umap` or
    :func:`umapcore.simplicial_set_embedding`, which clears it and fills it during the run. It can
    also be used as ``callback=``; it then does not contain the start positions.

    Parameters
    ----------
    every
        k, at least 1. A snapshot takes 4 bytes for each vertex and dimension.

    Attributes
    ----------
    every
        k.

    Examples
    --------
    >>> import scipy.sparse as sp, umapcore
    >>> ring = sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(30, 30))
    >>> seen = umapcore.Snapshots(every=100)
    >>> embedding = umapcore.simplicial_set_embedding(ring, init="random", snapshots=seen)
    >>> seen.epochs.tolist(), seen.positions.shape
    ([0, 100, 200, 300, 400, 500], (6, 30, 2))
    """

    def __init__(self, every: int = 10) -> None:
        self.every = check_integer("every", every, 1)
        self._taken: dict[int, NDArray[np.float32]] = {}

    @property
    def epochs(self) -> NDArray[np.int64]:
        """Number of epochs done at each snapshot, in ascending order, shape (s,)."""
        return np.array(sorted(self._taken), dtype=np.int64)

    @property
    def positions(self) -> NDArray[np.float32]:
        """Copy of all positions, float32, shape (s, n, n_components)."""
        if not self._taken:
            return np.zeros((0, 0, 0), np.float32)
        return np.stack([positions for _, positions in self])

    def __call__(self, epoch: int, positions: NDArray[np.float32]) -> None:
        """Keep a copy of positions, shape (n, n_components), if this epoch is due."""
        if epoch % self.every == 0:
            self.keep(epoch, positions.copy())

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for epoch in sorted(self._taken):
            yield epoch, self._taken[epoch]

    def __repr__(self) -> str:
        if not self._taken:
            return f"Snapshots(every={self.every}), empty"
        last, positions = max(self._taken), next(iter(self._taken.values()))
        n, d = positions.shape
        return f"Snapshots(every={self.every}): {len(self)} up to epoch {last}, of {n} x {d}"

    def clear(self) -> None:
        """Remove all snapshots."""
        self._taken.clear()

    def keep(self, epoch: int, positions: NDArray[np.float32]) -> None:
        """Keep positions, without a copy; they replace any others of this epoch."""
        self._taken[int(epoch)] = positions

    def restore(
        self, taken: Mapping[int, NDArray[np.float32]], first_epoch: int, epoch: int
    ) -> None:
        """Restore the snapshots of a run that was saved after `epoch` epochs."""
        steps = range(-(-first_epoch // self.every) * self.every, epoch + 1, self.every)
        for due in steps:
            if due in taken:
                self.keep(due, taken[due])
        if len(self) < len(steps):
            logger.warning(
                "the checkpoint has %d of the %d snapshots up to epoch %d: the others are missing",
                len(self),
                len(steps),
                epoch,
            )

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return 'epochs' and 'positions', which `uns` and any file can store."""
        return {"epochs": self.epochs, "positions": self.positions}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Snapshots:
        """Make Snapshots from the result of :meth:`to_dict`.

        Raises
        ------
        ValueError
            When the shapes of epochs and positions do not match.
        """
        epochs, positions = np.asarray(stored["epochs"]), np.asarray(stored["positions"])
        if positions.ndim != 3 or epochs.shape != positions.shape[:1]:
            msg = (
                f"snapshots have epochs of shape {epochs.shape} and positions of shape "
                f"{positions.shape}: (s,) and (s, n, n_components) are needed."
            )
            raise ValueError(msg)
        made = cls(every=max(1, int(np.diff(epochs).max(initial=1))))
        for epoch, taken in zip(epochs, positions, strict=True):
            made.keep(int(epoch), taken)
        return made


def check_snapshots(snapshots: object) -> Snapshots | None:
    """Return `snapshots` if it is a Snapshots or None.

    Raises
    ------
    TypeError
        Otherwise; the message names what is allowed.
    """
    if snapshots is not None and not isinstance(snapshots, Snapshots):
        raise bad_type("snapshots", snapshots, "a umapcore.Snapshots, which receives them, or None")
    return snapshots


def recorder_for(snapshots: object) -> Snapshots | None:
    """Return the Snapshots for a user's argument: a Snapshots, their interval in epochs, or None.

    Raises
    ------
    ValueError, TypeError
        When the argument is invalid; the message names what is allowed.
    """
    if snapshots is None or isinstance(snapshots, Snapshots):
        return snapshots
    try:
        return Snapshots(check_integer("snapshots", snapshots, 1))
    except TypeError:
        allowed = "a number of epochs, a umapcore.Snapshots, or None"
        raise bad_type("snapshots", snapshots, allowed) from None
