"""Write the groups' names in a box that leaves the points at least half of the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.style import ground
from umapcore.pl.text import Ruler, cut, wrapped, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from umapcore.pl.options import LegendStyle

# Sizes of letters in points: the usual one, the step to the next smaller one, and the smallest
# that can still be read in a file.
_USUAL, _STEP, SMALLEST = 8.33, 0.93, 4.6
# Letters in a line, the widest first, and lines of a name.
_LETTERS, _MOST_LINES = (44, 32, 24, 18), 3
# Letters in the single line to which names are cut if they do not fit as a whole.
_CUT_LETTERS = (60, 44, 32, 24, 18, 13)
# In units of the size of letters: a line, the space below an entry, that between columns, and the
# marker with its space.
_LINE, _BELOW, _BETWEEN, _MARKER = 1.2, 0.35, 1.0, 1.6


@dataclass(frozen=True)
class LegendBox:
    """Entries of a legend that has been fitted into a box."""

    #: Names with line breaks, or cut to one line.
    names: list[str]
    fontsize: float
    columns: int
    #: Width in points.
    width: float
    #: Whether all names are there, and whole.
    whole: bool = True
    #: Number of names that are left out.
    rest: int = 0

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        width: float,
        height: float,
        style: LegendStyle,
        smallest: float = SMALLEST,
    ) -> LegendBox:
        """Choose size, line breaks and columns, so that the names fit into a box.

        Letters are as large as possible; then lines are as long as possible. If the smallest
        letters are too large, names are cut in their middle, because names of a kind often differ
        at their ends. If that is not enough, the last ones are left out and counted.

        Parameters
        ----------
        names
            The names, one for each entry.
        width, height
            Size of the box in points.
        style
            Size and weight of the letters, if the caller has chosen them.
        smallest
            Smallest size of letters in points, if the caller has chosen none.
        """
        sizes = [style.fontsize] if style.fontsize else [_USUAL]
        while style.fontsize is None and sizes[-1] * _STEP > smallest:
            sizes.append(sizes[-1] * _STEP)
        # Shorter names than this do not exist; more of them would not fit, and take long to try.
        most = int(width * height / (sizes[-1] ** 2 * (_LINE + _BELOW) * (_MARKER + 1.0))) + 2
        shown = list(names[:most])
        ruler = Ruler("".join(shown) + "…", style.fontweight)
        if len(shown) == len(names):
            ways = []
            for letters in _LETTERS:
                lines = [wrapped(cut(name, _LETTERS[0] * _MOST_LINES), letters) for name in shown]
                if max(name.count("\n") for name in lines) < _MOST_LINES:
                    ways.append((lines, ruler.widths(lines)))
            for size in sizes:
                for lines, measured in ways:
                    box = cls._arranged(lines, measured, size, height)
                    if box.width <= width:
                        return box
        for letters in _CUT_LETTERS:
            lines = [cut(name, letters) for name in shown]
            box = cls._arranged(lines, ruler.widths(lines), sizes[-1], height)
            if box.width <= width and len(shown) == len(names):
                return replace(box, whole=False)
        columns = max(int(width / box.width * box.columns), 1)
        rows = max(int(height / (box.fontsize * (_LINE + _BELOW))), 2)
        kept = lines[: columns * rows - 1]
        narrow = box.width / box.columns * columns
        rest = len(names) - len(kept)
        return replace(box, names=kept, columns=columns, width=narrow, whole=False, rest=rest)

    @classmethod
    def _arranged(
        cls, names: list[str], measured: NDArray[np.float64], size: float, height: float
    ) -> LegendBox:
        """Return the box with as few columns as its height allows."""
        heights = size * np.array([_LINE * (name.count("\n") + 1) + _BELOW for name in names])
        columns = int(np.clip(np.ceil(heights.sum() / max(height, 1.0)), 1, len(names)))
        while True:
            # As matplotlib does: the first columns are one longer if need be.
            parts = np.array_split(np.arange(len(names)), columns)
            tall = max(float(heights[part].sum()) for part in parts)
            if tall <= height or columns == len(names):
                break
            columns += 1
        wide = sum(float(measured[part].max(initial=0.0)) + _MARKER for part in parts)
        return cls(names, size, columns, size * (wide + _BETWEEN * (columns - 1) + 1.0))


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
