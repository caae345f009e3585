"""Write the groups' names in a box that leaves the points at least half of the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.style import ground, wrap
from umapcore.pl.text import widths, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from umapcore.pl.options import LegendStyle

# Sizes of letters in points: from the usual one down to what can still be read in a file.
_LARGEST, _SMALLEST, _STEP = 8.33, 4.6, 0.93
# Letters in a line: what is tried, the widest first. Longer names are wrapped into two lines, and
# what does not fit there is cut.
_LETTERS = (44, 32, 24, 18, 13)
# In units of the size of letters: a line, the space below an entry, that between columns, and the
# marker with its space.
_LINE, _BELOW, _BETWEEN, _MARKER = 1.2, 0.35, 1.0, 1.6


@dataclass(frozen=True)
class LegendBox:
    """Entries of a legend that has been fitted into a box."""

    #: Wrapped names.
    names: list[str]
    #: Number of names that are left out.
    rest: int
    fontsize: float
    columns: int
    #: Width and height in points.
    width: float
    height: float

    @classmethod
    def fit(
        cls, names: Sequence[str], width: float, height: float, style: LegendStyle
    ) -> LegendBox:
        """Choose size, line breaks and columns, so that the names fit into a box.

        Letters are as large as possible; then lines are as long as possible. If even the smallest
        letters are too large, the last names are left out and their number is given instead.

        Parameters
        ----------
        names
            The names, one for each entry.
        width, height
            Size of the box in points.
        style
            Size and weight of the letters, if the caller has chosen them.
        """
        weight = {} if style.fontweight is None else {"weight": style.fontweight}
        sizes = [style.fontsize] if style.fontsize else [_LARGEST]
        while style.fontsize is None and sizes[-1] * _STEP > _SMALLEST:
            sizes.append(sizes[-1] * _STEP)
        # More than this never fit, and to measure them would take long.
        most = int(width * height / (sizes[-1] * (_LINE + _BELOW) * sizes[-1] * 2)) + 1
        shown = list(names[:most])
        broken = []
        for letters in _LETTERS:
            lines = [wrap(name, letters) for name in shown]
            longest = [max(widths(name.split("\n"), 1.0, **weight)) for name in lines]
            broken.append((lines, np.array(longest)))
        for size in sizes:
            for lines, measured in broken:
                box = cls._arranged(lines, measured, size, height)
                if box.width <= width:
                    return box._cut(len(names), width, height)
        return box._cut(len(names), width, height)

    @classmethod
    def _arranged(cls, names: list[str], measured: Any, size: float, height: float) -> LegendBox:
        """Return the box with as few columns as its height allows."""
        heights = size * np.array([_LINE * (name.count("\n") + 1) + _BELOW for name in names])
        columns = int(np.clip(np.ceil(heights.sum() / max(height, 1.0)), 1, max(len(names), 1)))
        while True:
            # As matplotlib does: the first columns are one longer if need be.
            parts = np.array_split(np.arange(len(names)), columns)
            tall = max((float(heights[part].sum()) for part in parts), default=0.0)
            if tall <= height or columns >= len(names):
                break
            columns += 1
        wide = sum(float(measured[part].max(initial=0.0)) + _MARKER for part in parts)
        wide = size * (wide + _BETWEEN * (columns - 1) + 1.0)
        return cls(names, 0, size, columns, wide, tall + size)

    def _cut(self, count: int, width: float, height: float) -> LegendBox:
        """Return the box itself if it fits and has all names, else one with the first names."""
        if self.width <= width and count == len(self.names):
            return self
        column = self.width / self.columns
        columns = max(int(width / column), 1)
        lines = max(name.count("\n") + 1 for name in self.names)
        rows = max(int(height / (self.fontsize * (_LINE * lines + _BELOW))), 2)
        if rows * columns >= count == len(self.names):
            return replace(self, columns=columns, width=column * columns)
        kept = self.names[: rows * columns - 1]
        return replace(
            self,
            names=kept,
            rest=count - len(kept),
            columns=columns,
            width=column * columns,
            height=height,
        )


def draw_legend(
    ax: Axes, box: LegendBox, looks: Sequence[tuple[str, Any]], style: LegendStyle
) -> None:
    """Draw a legend beside the axes or, at a place of matplotlib's, in them.

    Parameters
    ----------
    ax
        The axes.
    box
        The fitted names.
    looks
        Colour and marker of each entry.
    style
        Place and letters.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    if not box.names:
        return
    size, names, entries = box.fontsize, list(box.names), list(looks[: len(box.names)])
    if box.rest:
        names.append(f"… and {box.rest:,} more")
        entries.append(("none", None))
    beside: dict[str, Any] = {"loc": style.place}
    if style.beside:
        beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
    # Names that begin with '_' would be left out: the texts are set below.
    drawn = ax.legend(
        handles=[
            Line2D(
                [], [], ls="", marker=marker or "o", markersize=0.7 * size, color=shade, label="-"
            )
            for shade, marker in entries
        ],
        fontsize=size,
        ncols=box.columns,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=_BETWEEN,
        labelspacing=_BELOW,
        borderpad=0.4,
        **beside,
    )
    for text, name in zip(drawn.get_texts(), names, strict=True):
        write(text, name)
        if style.fontweight is not None:
            text.set_fontweight(style.fontweight)
        if style.outline is not None:
            text.set_path_effects([withStroke(linewidth=style.outline, foreground=ground(ax))])
