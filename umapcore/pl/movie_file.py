"""Describe a movie of a run before the run starts, for programs that start runs."""

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

#: Approximate number of frames of a movie by default.
_FRAMES = 50


@dataclass(frozen=True)
class MovieFile:
    """What a movie shows, and the file to write.

    Parameters
    ----------
    path
        Path that ends in .gif or .mp4.
    color
        Column of `obs` or variable; None draws all points alike.
    every
        Epochs between frames; None makes about 50 frames.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    RuntimeError
        For .mp4 without ffmpeg.
    """

    path: Path
    color: str | None = None
    every: int | None = None

    def __post_init__(self) -> None:
        check_format(self.path)

    def check(self, adata: AnnData) -> None:
        """Raise before the run if the movie cannot be drawn; see :meth:`Picture.check`."""
        Picture(self.path.with_suffix(".png"), () if self.color is None else (self.color,)).check(
            adata
        )

    def snapshots(self, n_epochs: int) -> Snapshots:
        """Return empty snapshots for a run of `n_epochs` epochs."""
        return Snapshots(self.every or max(1, -(-n_epochs // _FRAMES)))

    def draw(self, adata: AnnData, snapshots: Snapshots, basis: str, path: Path) -> None:
        """Write the movie to `path`, whatever its name."""
        write_movie(adata, path, self.path, self.color, snapshots, basis)
