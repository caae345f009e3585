"""What verifying an embedding found, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass

from umapcore import __version__
from umapcore.layout.spec import LAYOUT_VERSION


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What :func:`verify` found; true when the embedding was reproduced bit for bit.

    Attributes
    ----------
    key
        Key of the embedding in `obsm`.
    reproduced
        Whether running the layout again gave the stored numbers, every bit of them.
    graph_changed
        Whether the graph is another one than the embedding was made from.
    distances_changed
        Whether, where densities are preserved, the distances are others; None when they were not
        looked at, since the graph has changed.
    start_changed
        Whether the start positions are others; None when they are not available or were not
        looked at, since the graph has changed.
    start_available
        Whether start positions that fit could be had: those given as an array are not stored.
    embedding_altered
        Whether the stored embedding is another one than was written.
    version_differs
        Whether another version of umapcore wrote it.
    spec_differs
        Parameters in ``uns[key]['params']`` that are not those of the run.
    rows_different
        Rows of the embedding that differ; None when it was not computed again.
    largest_difference
        Largest difference of a coordinate; None likewise.
    version, layout_version
        Of umapcore that wrote it, and of its layouts: with another one, other bits are expected.
    """

    key: str
    reproduced: bool
    graph_changed: bool = False
    distances_changed: bool | None = False
    start_changed: bool | None = False
    start_available: bool = True
    embedding_altered: bool = False
    version_differs: bool = False
    spec_differs: tuple[str, ...] = ()
    rows_different: int | None = None
    largest_difference: float | None = None
    version: str = __version__
    layout_version: int = LAYOUT_VERSION

    def __bool__(self) -> bool:
        return self.reproduced

    def __str__(self) -> str:
        name = f".obsm[{self.key!r}]"
        said = [
            f"{name} is reproduced bit for bit."
            if self.reproduced
            else f"{name} is not reproduced: {self._reason()}"
        ]
        if self.spec_differs:
            names = ", ".join(map(repr, self.spec_differs))
            said.append(f"The stored 'params' differ from those of the run in {names}.")
        if self.version_differs:
            said.append(f"umapcore {self.version} wrote it; this is {__version__}.")
        if self.layout_version != LAYOUT_VERSION:
            said.append(
                f"Its layouts have version {self.layout_version}, those of this one "
                f"{LAYOUT_VERSION}: their bits differ."
            )
        return " ".join(said)

    def _reason(self) -> str:
        if self.graph_changed:
            return "the graph has changed since."
        if self.distances_changed:
            return "the distances between neighbours, whose densities it preserves, have changed."
        if not self.start_available:
            return (
                "it started from positions that are not stored, or not as they were; "
                "init_pos= can give them."
            )
        if self.start_changed:
            return "the start positions are others than they were."
        whose = (
            "it was altered after it was written"
            if self.embedding_altered
            else "the same graph, start and parameters give other numbers here"
        )
        if self.largest_difference is None:
            return f"{whose}; its shape is another one."
        return (
            f"{whose}; {self.rows_different:,} rows differ, by up to {self.largest_difference:.3g}."
        )
