"""A movie that is to be made of a run, for programs that start one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from umapcore.pl.movie_formats import check_format
from umapcore.pl.render import write_movie
from umapcore.pl.save import Picture
from umapcore.runs.snapshots import Snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

#: Frames of a movie, about, where nothing else is asked for.
_FRAMES = 50


@dataclass(frozen=True)
class MovieFile:
    """What is to be shown, and the file for it.

    Parameters
    ----------
    path
        Ends in .gif or .mp4.
    color
        Column of `obs` or variable; None draws all points alike.
    every
        Epochs from one frame to the next; None makes about 50 frames.

    Raises
    ------
    ValueError
        When the path's ending is another.
    RuntimeError
        For .mp4 without ffmpeg.
    """

    path: Path
    color: str | None = None
    every: int | None = None

    def __post_init__(self) -> None:
        check_format(self.path)

    def check(self, adata: AnnData) -> None:
        """Refuse what could not be drawn, before the work; see :meth:`Picture.check`."""
        Picture(self.path.with_suffix(".png"), () if self.color is None else (self.color,)).check(
            adata
        )

    def snapshots(self, n_epochs: int) -> Snapshots:
        """Give what is to be filled by a run of so many epochs."""
        return Snapshots(self.every or max(1, -(-n_epochs // _FRAMES)))

    def draw(self, adata: AnnData, snapshots: Snapshots, basis: str, path: Path) -> None:
        """Write the movie into a file of any name."""
        write_movie(adata, path, self.path, self.color, snapshots=snapshots, basis=basis)
