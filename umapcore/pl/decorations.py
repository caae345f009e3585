"""Draw what surrounds the points: axis labels, legends, colour bars and group names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.style import axes_size, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from numpy.typing import NDArray

    from umapcore.pl.values import Groups

# Height of a legend line in inches, and the most letters in it.
_LINE, _WRAP = 0.205, 44
_AXES_COLOR = "0.5"


def tidy(ax: Axes, axis_names: Sequence[str], title: str | None) -> None:
    """Remove ticks and frame, and label the axes. The axes of a UMAP have no units."""
    if title:
        ax.set_title(title)
    if len(axis_names) == 3:
        _tidy_3d(ax, axis_names)
        return
    # Anchored to the left, because legends and colour bars are on the right.
    ax.set_aspect("equal", adjustable="box", anchor="W")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_xlabel(axis_names[0], loc="left", color=_AXES_COLOR, fontsize="small")
    ax.set_ylabel(axis_names[1], loc="bottom", color=_AXES_COLOR, fontsize="small")


def _tidy_3d(ax: Any, axis_names: Sequence[str]) -> None:
    ax.set(xticks=[], yticks=[], zticks=[])
    for axis, name in zip((ax.xaxis, ax.yaxis, ax.zaxis), axis_names, strict=True):
        axis.set_pane_color((0.0, 0.0, 0.0, 0.0))
        axis.line.set_color(_AXES_COLOR)
        axis.set_label_text(name, color=_AXES_COLOR, fontsize="small")
        axis.labelpad = -10
    ax.set_aspect("equal")


def legend(ax: Axes, groups: Groups, shades: Sequence[str], rest: tuple[str, str]) -> None:
    """Write the groups' names beside the axes.

    Parameters
    ----------
    ax
        The axes.
    groups, shades
        The groups and their colours.
    rest
        Name and colour of the points without a group.
    """
    from matplotlib.lines import Line2D

    entries = [(wrap(name, _WRAP), shade) for name, shade in zip(groups.names, shades, strict=True)]
    if (groups.codes < 0).any():
        entries.append(rest)
    if not entries:
        return
    lines = sum(name.count("\n") + 1 for name, _ in entries)
    # The figure's layout is not final yet: the axes will become higher.
    height = 1.15 * axes_size(ax)[1]
    # Use smaller letters where the names need more than two columns.
    small = lines > 2 * height / _LINE
    fit = max(int(height / (_LINE * (0.83 if small else 1.0))), 4)
    ax.legend(
        handles=[
            Line2D([], [], marker="o", ls="", markersize=6, color=shade, label=name)
            for name, shade in entries
        ],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize="x-small" if small else "small",
        ncols=-(-lines // fit),
        handletextpad=0.2,
        columnspacing=1.0,
    )


def color_bar(ax: Axes, scale: ScalarMappable) -> None:
    """Draw a colour bar beside the axes."""
    beside: Any = ax.figure.colorbar(scale, ax=ax, shrink=0.6, aspect=24, pad=0.02)
    beside.outline.set_visible(False)


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
