"""Save a picture of an embedding to a file, for programs without a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from umapcore.errors import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True)
class Picture:
    """What a picture shows, and the file to write.

    Parameters
    ----------
    path
        Path that ends in .png, .pdf or .svg.
    colors
        Columns of `obs` or variables, one for each panel; an empty tuple draws all points alike.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    """

    path: Path
    colors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            msg = f"{self.path}: a picture's name must end in .png, .pdf or .svg."
            raise ValueError(msg)

    @property
    def format(self) -> str:
        """Format, from the ending of the name."""
        return self.path.suffix.lower().removeprefix(".")

    def check(self, adata: AnnData) -> None:
        """Raise before the run if the picture cannot be drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `adata` lacks a colour.
        """
        from umapcore.pl.scatter import require_matplotlib

        require_matplotlib()
        raw = () if adata.raw is None else adata.raw.var_names
        for name in self.colors:
            if not any(name in names for names in (adata.obs.columns, adata.var_names, raw)):
                hint = did_you_mean(name, [*map(str, adata.obs.columns), *adata.var_names[:50_000]])
                msg = f"Did not find the color {name!r}: neither in obs nor in var_names.{hint}"
                raise ValueError(msg)

    def draw(self, adata: AnnData, basis: str, path: Path) -> None:
        """Draw the embedding ``obsm[basis]`` to `path`, whatever its name."""
        import matplotlib as mpl

        # This backend needs no window and no display.
        mpl.use("agg")
        import matplotlib.pyplot as plt

        from umapcore.pl.figure import write_figure
        from umapcore.pl.scatter import umap

        axes = umap(adata, list(self.colors) or [None], basis=basis)
        assert isinstance(axes, list)
        figure = axes[0].figure.canvas.figure
        try:
            write_figure(figure, path, self.format)
        finally:
            plt.close(figure)
