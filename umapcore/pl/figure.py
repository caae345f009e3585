"""Make figures with room for panels, legends and colour bars; show them and save them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from umapcore.pl.options import Frame, Output

# Size of a panel in inches, without its legend or colour bar.
PANEL, PANEL_OF_SEVERAL = (5.4, 4.8), (4.1, 3.7)
HEADING = 0.5
_COLOR_BAR = 0.6
# Bounds of a panel's height, relative to its default, whatever the shape of the points.
_SHAPES = (0.6, 1.3)
# Panels in a row, and the width in inches up to which legends may widen a figure for that.
_NCOLS, _WIDEST = 4, 20.0
_STEPS = 5
#: Dots per inch of files, unless matplotlib is set to another number.
DPI = 160


def panel_size(points: NDArray[np.floating[Any]], count: int) -> tuple[float, float]:
    """Return width and height of a panel that has about the shape of the point cloud."""
    wide, high = PANEL if count == 1 else PANEL_OF_SEVERAL
    if points.shape[1] == 2:
        finite = points[np.isfinite(points).all(axis=1)]
        width, height = np.ptp(finite, axis=0) if len(finite) else (0.0, 0.0)
        high *= float(np.clip(height / width, *_SHAPES)) if width > 0 and height > 0 else 1.0
    return wide, high


def panels_in_a_row(count: int, frame: Frame, width: float) -> int:
    """Return the number of columns for panels that are, with their legends, this wide."""
    if frame.ncols is not None:
        return min(frame.ncols, count)
    return max(min(_NCOLS, count, int(_WIDEST / width)), 1)


def new_axes(dimensions: Sequence[int], columns: int, size: tuple[float, float]) -> list[Axes]:
    """Make a figure of panels with two or three dimensions."""
    import matplotlib.pyplot as plt

    wide, high = size
    rows = math.ceil(len(dimensions) / columns)
    figure = plt.figure(figsize=(columns * wide, rows * (high + HEADING)), layout="constrained")
    return [
        figure.add_subplot(rows, columns, i + 1, projection="3d" if each == 3 else None)
        for i, each in enumerate(dimensions)
    ]


def settle(ax: Axes) -> None:
    """Let the figure's layout, if it has one, make room for a legend that is new."""
    whole: Any = ax.figure.canvas.figure
    engine = whole.get_layout_engine()
    # With a fixed aspect of the axes, one step as the figure is drawn is not enough.
    if engine is not None:
        engine.execute(whole)


def make_room(axes: Sequence[Axes], columns: int, frame: Frame | None = None) -> None:
    """Widen the figure so that legends, colour bars and spaces take no room from the panels."""
    figure: Any = axes[0].figure
    beside, above = [0.0] * columns, [0.0] * math.ceil(len(axes) / columns)
    for i, place in enumerate(axes):
        across, down = _needs(place)
        beside[i % columns] = max(beside[i % columns], across / figure.dpi)
        above[i // columns] = max(above[i // columns], down / figure.dpi)
    engine = figure.get_layout_engine()
    width, height = figure.get_size_inches()
    rows = len(above)
    # Spaces are shares of a panel for the caller, of the whole figure for matplotlib.
    across = (frame.wspace or 0.0) * width / columns if frame else 0.0
    down = (frame.hspace or 0.0) * height / rows if frame else 0.0
    width += sum(beside) + (columns - 1) * across
    height += sum(above) + (rows - 1) * down
    if across or down:
        engine.set(wspace=across * columns / width, hspace=down * rows / height)
    figure.set_size_inches(width, height)
    # With a fixed aspect of the axes, the figure's layout needs several steps to settle.
    before = np.zeros((len(axes), 4))
    for _ in range(_STEPS):
        engine.execute(figure)
        now = np.array([place.bbox.extents for place in axes])
        if np.abs(now - before).max() < 0.5:
            break
        before = now


def _needs(place: Any) -> tuple[float, float]:
    """Return the width of a legend and a colour bar outside of the axes, and the bar's height."""
    legend = place.get_legend()
    bars = [child.get_tightbbox() for child in place.child_axes]
    beside = bars if legend is None else [*bars, legend.get_window_extent()]
    if place.name == "3d" and legend is None:
        return _COLOR_BAR * place.figure.dpi, 0.0
    inside, gap = place.bbox, 0.1 * place.figure.dpi
    across = [max(each.x1 - inside.x1, 0.0) + max(inside.x0 - each.x0, 0.0) for each in beside]
    down = [max(each.y1 - inside.y1, 0.0) + max(inside.y0 - each.y0, 0.0) for each in bars]
    return max(across, default=0.0) + gap, max(down, default=0.0)


def write_figure(figure: Any, path: Path, kind: str) -> None:
    """Write a figure to `path`, whatever its name, in a format of matplotlib's."""
    import matplotlib as mpl

    dots = mpl.rcParams["savefig.dpi"]
    figure.savefig(path, format=kind, dpi=DPI if dots == "figure" else dots, bbox_inches="tight")


def finish(axes: Any, output: Output) -> Any:
    """Save and show a picture as wished, and return what the caller has asked for."""
    import matplotlib.pyplot as plt

    first = axes[0] if isinstance(axes, list) else axes
    figure = first.figure.canvas.figure
    if output.path is not None:
        with atomic_write(output.path.resolve()) as beside:
            write_figure(figure, beside, output.path.suffix[1:].lower())
    if output.show:
        plt.show()
    if output.return_fig:
        return figure
    return None if output.show else axes
