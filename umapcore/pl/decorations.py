"""Draw what surrounds the points: axis labels, colour bars and group names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.text import PLAIN, wrapped
from umapcore.pl.values import DATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from numpy.typing import NDArray

    from umapcore.pl.values import Groups

_AXES_COLOR = "0.5"
# Where a colour bar is, in units of the axes: left and lower edge, width and height.
_BARS = {
    "right": (1.02, 0.2, 0.032, 0.6),
    "left": (-0.06, 0.2, 0.032, 0.6),
    "top": (0.2, 1.02, 0.6, 0.032),
    "bottom": (0.2, -0.06, 0.6, 0.032),
}
# Letters of a title that fit into an inch.
_TITLE_LETTERS = 9.5


def tidy(
    ax: Axes, axis_names: Sequence[str], title: str | None, frameon: bool | None, width: float
) -> None:
    """Remove ticks and frame, and label the axes. The axes of a UMAP have no units.

    Parameters
    ----------
    ax, axis_names
        The axes and the names of their two or three directions.
    title
        Title; None or an empty one for no title.
    frameon
        True keeps the frame, False also removes the names of the axes.
    width
        Inches into which the title is wrapped.
    """
    if title:
        ax.set_title(wrapped(title, max(int(width * _TITLE_LETTERS), 12)), **PLAIN)
    look: dict[str, Any] = {"color": _AXES_COLOR, "fontsize": "small", **PLAIN}
    ax.set(xticks=[], yticks=[])
    if len(axis_names) == 3:
        _tidy_3d(ax, axis_names, look, frameon)
    else:
        # Anchored to the left, because legends and colour bars are on the right.
        ax.set_aspect("equal", adjustable="box", anchor="W")
        ax.spines[:].set_visible(bool(frameon))
        ax.set_xlabel(axis_names[0], loc="left", **look)
        ax.set_ylabel(axis_names[1], loc="bottom", **look)
    if frameon is False:
        ax.set_axis_off()


def _tidy_3d(
    ax: Any, axis_names: Sequence[str], look: dict[str, Any], frameon: bool | None
) -> None:
    ax.set_zticks([])
    for axis, name in zip((ax.xaxis, ax.yaxis, ax.zaxis), axis_names, strict=True):
        if not frameon:
            axis.set_pane_color((0.0, 0.0, 0.0, 0.0))
        axis.line.set_color(_AXES_COLOR)
        axis.set_label_text(name, **look)
        axis.labelpad = -10
    ax.set_aspect("equal")


def color_bar(ax: Axes, scale: ScalarMappable, place: str, unit: str | None) -> None:
    """Draw a colour bar at one side of the axes, with dates at its ticks if it has any."""
    from matplotlib import dates

    look: dict[str, Any] = {}
    if unit == DATES:
        of_dates: Any = dates
        locator = of_dates.AutoDateLocator(minticks=3, maxticks=7)
        look = {"ticks": locator, "format": of_dates.ConciseDateFormatter(locator)}
    whole: Any = ax.figure.canvas.figure
    if ax.name == "3d" or whole.get_layout_engine() is None:
        # Without a layout engine, only this makes room for the bar.
        look |= {"ax": ax, "location": place, "shrink": 0.6, "aspect": 24, "pad": 0.02}
    else:
        # Within the axes' own frame, whose shape is that of the points.
        upright = place in {"left", "right"}
        look |= {"cax": ax.inset_axes(_BARS[place]), "ticklocation": place}
        look["orientation"] = "vertical" if upright else "horizontal"
    beside: Any = ax.figure.colorbar(scale, **look)
    beside.outline.set_visible(False)
    if unit is not None and unit != DATES:
        beside.set_label(unit, fontsize="small")


def names_on_data(
    ax: Axes,
    points: NDArray[np.floating[Any]],
    groups: Groups,
    shades: Sequence[str],
    *,
    fontsize: float | str | None = None,
    fontweight: float | str | None = None,
    fontoutline: float | None = None,
) -> None:
    """Write each group's name at the position of the group.

    Font size and outline are in points; see `umapcore.pl.labels.label_groups`.
    """
    shown = np.isfinite(points).all(axis=1) & (groups.codes >= 0)
    if not shown.any():
        return
    from umapcore.pl.labels import label_groups

    # Label positions are chosen in pixels, so the figure's layout must be final first.
    ax.figure.canvas.figure.draw_without_rendering()
    seen = points[shown]
    if seen.shape[1] == 3:
        from mpl_toolkits.mplot3d.proj3d import proj_transform

        view: Any = ax
        x, y, _ = proj_transform(*seen.T, view.get_proj())
        seen = np.stack([np.asarray(x), np.asarray(y)], axis=1)
    label_groups(
        ax,
        seen,
        groups.codes[shown],
        groups.names,
        shades,
        fontsize=fontsize,
        fontweight=fontweight,
        fontoutline=fontoutline,
    )
