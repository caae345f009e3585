"""Place the names of groups on a scatter: near their group, none over another, little hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.style import ground, readable, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# Costs of a place, in units of "one text height away from the group".
_COST_OTHERS = 6.0  # a label that covers nothing but the dense core of another group
_COST_OWN = 12.0  # a label that hides the whole of its own group
_COST_CLOSE = 4.0  # a label nearer to another one than this, in units of the letters' size
_APART = 0.5
# Letters in a line; longer names are broken.
_WRAP = 22
# Share of the axes that names may cover before they are written smaller, and how much smaller.
_MOST_OF_AXES, _SMALLEST = 0.2, 0.6
_RINGS = 20
_DIRECTIONS = 16
_GRID = 96
# Above points of three dimensions too, which matplotlib numbers by their depth.
_LINE, _TEXT = 1e5, 2e5


def label_groups(
    ax: Axes,
    points: NDArray[np.floating[Any]],
    codes: NDArray[np.integer[Any]],
    names: Sequence[str],
    colors: Sequence[str],
    fontsize: float = 8.5,
) -> None:
    """Write each group's name beside or on its densest part.

    Parameters
    ----------
    ax
        Axes whose limits and place in the figure are final.
    points
        Positions, shape (n, 2), in data coordinates; those of axes of three dimensions projected.
    codes
        Group of every point, shape (n,); below 0 for none.
    names, colors
        One for each group.
    fontsize
        In points.
    """
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    pixels = np.asarray(ax.transData.transform(points), dtype=np.float64)
    fontsize *= _shrinkage(ax, names, fontsize)
    apart = _APART * fontsize * ax.figure.canvas.figure.dpi / 72.0
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    density = _Density(pixels)
    to_data = ax.transData.inverted().transform
    taken: list[NDArray[np.float64]] = []
    # Small groups first: a large one has many good places, a small one has few.
    for group in np.argsort(sizes, kind="stable"):
        if sizes[group] == 0:
            continue
        members = pixels[codes == group]
        anchor = _core(members)
        x, y = to_data(anchor)
        # Also in axes of three dimensions, whose own method wants a depth.
        text = Axes.text(
            ax,
            float(x),
            float(y),
            wrap(names[group], _WRAP),
            ha="center",
            va="center",
            fontsize=fontsize,
            fontweight="bold",
            color=readable(colors[group], ax),
            path_effects=[withStroke(linewidth=0.28 * fontsize, foreground=ground(ax))],
            zorder=_TEXT,
        )
        # What is written inside the axes must not move them.
        text.set_in_layout(False)
        extent = text.get_window_extent()
        half = np.array([0.5 * extent.width + 2.0, 0.5 * extent.height + 1.0])
        place = _best_place(
            anchor, half, members, density, taken, apart, np.asarray(ax.bbox.extents)
        )
        taken.append(np.concatenate([place - half, place + half]))
        x, y = to_data(place)
        text.set_position((float(x), float(y)))
        gap = np.maximum(np.abs(place - anchor) - half, 0.0)
        if np.hypot(*gap) > 0.6 * extent.height:
            line = to_data(np.stack([anchor, _edge_of_box(place, half, anchor)]))
            ax.add_artist(
                Line2D(*line.T, color=readable(colors[group], ax), linewidth=0.8, zorder=_LINE)
            )


def _shrinkage(ax: Axes, names: Sequence[str], fontsize: float) -> float:
    """Say how much smaller letters must be, that the names leave something of the picture."""
    letters = sum(min(len(name), 2 * _WRAP) for name in names)
    points_per_pixel = 72.0 / ax.figure.canvas.figure.dpi
    area = float(np.prod(ax.bbox.size)) * points_per_pixel**2
    share = letters * 0.7 * 1.4 * fontsize**2 / max(area, 1.0)
    return float(np.clip(np.sqrt(_MOST_OF_AXES / max(share, 1e-9)), _SMALLEST, 1.0))


class _Density:
    """How many points lie in a rectangle, from a summed-area table of a coarse grid."""

    def __init__(self, pixels: NDArray[np.float64]) -> None:
        self.low = pixels.min(axis=0)
        self.step = np.maximum((pixels.max(axis=0) - self.low) / _GRID, 1e-9)
        cells = np.minimum(((pixels - self.low) / self.step).astype(np.intp), _GRID - 1)
        counts = np.zeros((_GRID, _GRID))
        np.add.at(counts, (cells[:, 0], cells[:, 1]), 1.0)
        self.table = np.zeros((_GRID + 1, _GRID + 1))
        self.table[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)
        # What a cell in a dense part holds; a few piled-up points must not set the scale.
        occupied = counts[counts > 0]
        self.dense = float(np.percentile(occupied, 75))

    def count(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        """Points in the rectangle, its edges rounded to whole cells."""
        i0, j0 = np.clip(np.rint((low - self.low) / self.step), 0, _GRID).astype(np.intp)
        i1, j1 = np.clip(np.rint((high - self.low) / self.step), 0, _GRID).astype(np.intp)
        t = self.table
        return float(t[i1, j1] - t[i0, j1] - t[i1, j0] + t[i0, j0])

    def full(self, half: NDArray[np.float64]) -> float:
        """Points that a box of these half sizes hides where the points lie densely."""
        return self.dense * float(np.prod(2.0 * half / self.step))


def _core(members: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the middle of a group's densest part (a group may lie in several pieces)."""
    middle = np.median(members, axis=0)
    spread = np.ptp(members, axis=0).max()
    if spread == 0.0:
        return np.asarray(middle)
    # The peak of a blurred histogram says which piece is the main one.
    bins = 24
    low = members.min(axis=0)
    cells = np.minimum((members - low) / spread * bins, bins - 1).astype(np.intp)
    counts = np.zeros((bins + 6, bins + 6))
    np.add.at(counts, (cells[:, 0] + 3, cells[:, 1] + 3), 1.0)
    kernel = np.array([1.0, 3.0, 6.0, 7.0, 6.0, 3.0, 1.0])
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, mode="same")
    peak = np.array(np.unravel_index(counts.argmax(), counts.shape)) - 3
    near = np.abs(cells - peak).max(axis=1) <= 3
    return np.asarray(np.median(members[near], axis=0))


def _best_place(
    anchor: NDArray[np.float64],
    half: NDArray[np.float64],
    members: NDArray[np.float64],
    density: _Density,
    taken: list[NDArray[np.float64]],
    apart: float,
    bounds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Try places on rings around the anchor; the cheapest that covers no other label wins."""
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    best, best_cost = anchor, np.inf
    n_members, full = len(members), density.full(half)
    members = members[:: max(1, n_members // 2000)]
    for ring in range(_RINGS):
        if 0.5 * ring >= best_cost:
            break  # farther away, nothing can be cheaper
        # Rings are ellipses: a step sideways must clear the width of the text, not its height.
        reach = ring * half[1] + min(ring, 2) * 0.5 * np.array([half[0] - half[1], 0.0])
        for direction in directions[: 1 if ring == 0 else None]:
            # Inside the axes, unless the name is larger than they are.
            inside = np.minimum(anchor + reach * direction, bounds[2:] - half)
            place = np.maximum(inside, bounds[:2] + half)
            low, high = place - half, place + half
            outside = np.maximum(bounds[:2] - low, 0).sum() + np.maximum(high - bounds[2:], 0).sum()
            overlap = any((low < other[2:]).all() and (high > other[:2]).all() for other in taken)
            close = any(
                (low - apart < other[2:]).all() and (high + apart > other[:2]).all()
                for other in taken
            )
            own = float(((members > low) & (members < high)).all(axis=1).mean())
            others = max(density.count(low, high) - own * n_members, 0.0) / full
            cost = (
                0.5 * ring
                + _COST_OTHERS * min(others, 1.0)
                + _COST_OWN * max(own - 0.25, 0.0)
                + float(outside)
                + (1000.0 if overlap else _COST_CLOSE if close else 0.0)
            )
            if cost < best_cost:
                best, best_cost = place, cost
    return best


def _edge_of_box(
    place: NDArray[np.float64], half: NDArray[np.float64], towards: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where the line from the box's centre to a point leaves the box."""
    step = towards - place
    scale = np.min(half / np.maximum(np.abs(step), 1e-9))
    return np.asarray(place + step * min(scale, 1.0))
