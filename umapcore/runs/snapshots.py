"""Positions kept while a layout runs."""

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

    Hand one to ``snapshots=`` of :func:`umapcore.tl.umap` or
    :func:`umapcore.simplicial_set_embedding`, which empties it and fills it as they go. It can
    also be a ``callback=``; the start positions are then not in it.

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
        """Number of epochs that were done at each snapshot, ascending, shape (s,)."""
        return np.array(sorted(self._taken), dtype=np.int64)

    @property
    def positions(self) -> NDArray[np.float32]:
        """All positions, float32, shape (s, n, n_components): a copy."""
        if not self._taken:
            return np.zeros((0, 0, 0), np.float32)
        return np.stack([positions for _, positions in self])

    def __call__(self, epoch: int, positions: NDArray[np.float32]) -> None:
        """Keep a copy of positions, shape (n, n_components), unless this epoch is not due."""
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
        """Forget all."""
        self._taken.clear()

    def keep(self, epoch: int, positions: NDArray[np.float32]) -> None:
        """Keep positions, not a copy of them, in place of any others of this epoch."""
        self._taken[int(epoch)] = positions

    def restore(
        self, taken: Mapping[int, NDArray[np.float32]], first_epoch: int, epoch: int
    ) -> None:
        """Take over the snapshots of a run that was saved after `epoch` epochs."""
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
        """Give 'epochs' and 'positions', which `uns` and any file can hold."""
        return {"epochs": self.epochs, "positions": self.positions}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Snapshots:
        """Make snapshots of what :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            When they do not fit each other.
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
    """Return `snapshots` when it is None or what it must be.

    Raises
    ------
    TypeError
        Naming what is allowed.
    """
    if snapshots is not None and not isinstance(snapshots, Snapshots):
        raise bad_type("snapshots", snapshots, "a umapcore.Snapshots, which receives them, or None")
    return snapshots


def recorder_for(snapshots: object) -> Snapshots | None:
    """Give the snapshots that a user wants: the object given, one for every so many epochs, None.

    Raises
    ------
    ValueError, TypeError
        Naming what is allowed.
    """
    if snapshots is None or isinstance(snapshots, Snapshots):
        return snapshots
    try:
        return Snapshots(check_integer("snapshots", snapshots, 1))
    except TypeError:
        allowed = "a number of epochs, a umapcore.Snapshots, or None"
        raise bad_type("snapshots", snapshots, allowed) from None
