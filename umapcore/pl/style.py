"""Choose size and opacity of points, and colours that are visible on the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

NA_COLOR = "#d4d4d4"
NA_COLOR_ON_DARK = "#4d4d4d"
POINT_COLOR = "#4c78a8"
# Vector files with more points than this would be slow to open. Text and axes stay vectors.
_RASTERIZE_ABOVE = 5_000
#: Above this number, points are counted in pixels instead of being drawn one by one.
RASTER_ABOVE = 300_000
# Area of axes, in square inches, for which the sizes below were chosen.
_AREA = 22.0


@dataclass(frozen=True)
class Style:
    """Point size in square points, opacity, and whether vector files hold points as pixels."""

    #: One for all points, or one for each.
    size: float | NDArray[np.float64]
    alpha: float | NDArray[np.float64]
    rasterized: bool

    @classmethod
    def for_points(
        cls,
        n: int,
        size: float | NDArray[np.float64] | None = None,
        alpha: float | NDArray[np.float64] | None = None,
        area: float = _AREA,
    ) -> Style:
        """Choose what is not given by the number of points and the area of the axes, inches²."""
        # Transparency shows how many points overlap.
        auto_size = float(np.clip(60_000 / max(n, 1) * area / _AREA, 0.4, 36.0))
        auto_alpha = float(np.clip(1.15 - 0.1 * np.log10(max(n, 1)), 0.5, 0.9))
        return cls(
            size=auto_size if size is None else size,
            alpha=auto_alpha if alpha is None else alpha,
            rasterized=n > _RASTERIZE_ABOVE,
        )


def axes_size(ax: Axes) -> tuple[float, float]:
    """Return width and height of axes in inches, approximate until the layout is final."""
    figure: Any = ax.figure.canvas.figure
    width, height = figure.get_size_inches()
    place = ax.get_position()
    return float(place.width * width), float(place.height * height)


def on_dark(ax: Axes | None) -> bool:
    """Return whether the background is dark; None asks for axes made with default settings."""
    return luminance(ground(ax)) < 0.35


def ground(ax: Axes | None) -> tuple[float, float, float]:
    """Return the colour behind the points: of the axes or, if transparent, of the figure."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb, to_rgba

    if ax is None:
        faces = [mpl.rcParams["axes.facecolor"], mpl.rcParams["figure.facecolor"]]
    else:
        faces = [ax.get_facecolor(), ax.figure.get_facecolor()]
    for face in map(to_rgba, faces):
        if face[3] > 0.5:
            return to_rgb(face[:3])
    return 1.0, 1.0, 1.0


def luminance(rgb: tuple[float, float, float]) -> float:
    """Return the perceived brightness of a colour, from 0 to 1, without gamma correction."""
    red, green, blue = rgb
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def readable(color: str, ax: Axes) -> tuple[float, float, float]:
    """Darken a colour, or lighten it on a dark background, until text in it is readable."""
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(color))
    bright = luminance(to_rgb(color))
    if on_dark(ax):
        rgb = 1.0 - (1.0 - rgb) * min(1.0, 0.4 / max(1.0 - bright, 1e-6))
    else:
        rgb = rgb * min(1.0, 0.36 / max(bright, 1e-6))
    red, green, blue = rgb
    return float(red), float(green), float(blue)
