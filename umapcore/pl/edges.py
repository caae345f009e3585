"""Draw the edges of the neighbourhood graph below the points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import in_memory
from umapcore._kit.checks import check_real
from umapcore.anndata_io.read import read_neighbors
from umapcore.errors import bad_type
from umapcore.pl.options import color, flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# To draw more would take a minute, and they would hide one another.
_MOST = 1_000_000
# Vector files with more lines than this would be slow to open.
_RASTERIZE_ABOVE = 5_000
_BELOW_POINTS = 0.2
_LINES_OF_A_PATH = 500


@dataclass(frozen=True)
class Edges:
    """The edges of a graph and how they are drawn."""

    #: Two vertices of each edge, shape (edges, 2).
    ends: NDArray[np.integer[Any]]
    width: float
    color: str

    @classmethod
    def read(cls, adata: AnnData, given: Mapping[str, Any]) -> Edges | None:
        """Return the graph's edges; None if none are wanted.

        Raises
        ------
        ValueError, TypeError
            For bad parameters, without a graph, and for one with too many edges.
        """
        width = check_real("edges_width", given["edges_width"], at_least=0.0)
        shade = color("edges_color", given["edges_color"])
        key = given["neighbors_key"]
        if key is not None and not isinstance(key, str):
            raise bad_type("neighbors_key", key, "None or a key of uns")
        if not flag("edges", given["edges"]):
            return None
        stored, name, _ = read_neighbors(adata, "neighbors" if key is None else key)
        graph = sparse.coo_array(in_memory(stored))
        if graph.shape != (adata.n_obs, adata.n_obs):
            msg = f"{name} has the shape {graph.shape}: adata has {adata.n_obs} observations."
            raise ValueError(msg)
        rows, columns = graph.coords if hasattr(graph, "coords") else (graph.row, graph.col)
        drawn = (rows != columns) & (graph.data != 0)
        # Both directions are one line.
        first = np.minimum(rows, columns)[drawn].astype(np.int64)
        second = np.maximum(rows, columns)[drawn].astype(np.int64)
        codes = np.unique(first * adata.n_obs + second)
        if len(codes) > _MOST:
            msg = (
                f"edges=True would draw the {len(codes):,} edges of {name}: at most {_MOST:,} can "
                "be drawn. Leave it out, or draw a part of the observations, adata[chosen]."
            )
            raise ValueError(msg)
        return cls(np.stack(np.divmod(codes, max(adata.n_obs, 1)), axis=1), width, shade)

    def draw(self, ax: Axes, points: NDArray[np.floating[Any]]) -> None:
        """Draw the edges between points of shape (n, 2) or (n, 3)."""
        from matplotlib.collections import PathCollection
        from matplotlib.path import Path

        lines = points[self.ends]
        lines = lines[np.isfinite(lines).all(axis=(1, 2))]
        look: dict[str, Any] = {
            "linewidths": self.width,
            "edgecolors": self.color,
            "zorder": _BELOW_POINTS,
            "rasterized": len(lines) > _RASTERIZE_ABOVE,
        }
        drawn: Any
        if points.shape[1] == 3:
            from mpl_toolkits.mplot3d.art3d import Line3DCollection

            space: Any = ax
            drawn = space.add_collection3d(Line3DCollection(lines, **look))
        else:
            # Paths of many lines each: one for each line would take most of the time.
            steps = np.tile(np.array([Path.MOVETO, Path.LINETO], np.uint8), _LINES_OF_A_PATH)
            paths = [
                Path(part.reshape(-1, 2), steps[: 2 * len(part)])
                for part in np.split(lines, range(_LINES_OF_A_PATH, len(lines), _LINES_OF_A_PATH))
            ]
            # The points set the limits of the axes.
            drawn = PathCollection(paths, facecolors="none", **look)
            ax.add_collection(drawn, autolim=False)
        # The layout would measure all lines in each of its steps.
        drawn.set_in_layout(False)
