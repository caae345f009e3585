"""How all pictures look, and how they are written: the same bytes from the same versions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PINK, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8b8b8"

_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.hashsalt": "umapcore",
    "svg.fonttype": "path",
}


@contextmanager
def styled() -> Iterator[Callable[[Figure, Path], None]]:
    """Set the style, and give what writes a figure in it."""
    with mpl.rc_context(_STYLE):
        yield _save


def figure(width: float, height: float) -> Figure:
    """Make a figure, inches."""
    return Figure(figsize=(width, height), layout="constrained")


def bare(ax: Axes, title: str = "") -> None:
    """Take everything away but the points: an embedding's axes mean nothing."""
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(title, fontsize=9)


def _save(drawn: Figure, path: Path) -> None:
    vector = path.suffix == ".svg"
    drawn.savefig(path, dpi=140, metadata={"Date": None} if vector else {"Software": None})
