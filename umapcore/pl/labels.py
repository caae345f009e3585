"""Place group names on a scatter plot, near their group, without overlap, hiding few points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.style import ground, readable, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# Costs of a position. Unit: the cost of a label one text height away from its group.
_COST_OTHERS = 6.0  # the label covers only the dense core of another group
_COST_OWN = 12.0  # the label hides its own group completely
_COST_CLOSE = 4.0  # the label is nearer to another one than `_APART`, in units of the font size
_APART = 0.5
# Letters in a line; longer names are wrapped.
_WRAP = 22
# Share of the axes that names may cover at full size, and the smallest factor of the font size.
_MOST_OF_AXES, _SMALLEST = 0.2, 0.6
_RINGS = 20
_DIRECTIONS = 16
_GRID = 96
# Drawing order: also above 3-D points, whose order matplotlib derives from their depth.
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
        Axes whose limits and position in the figure are final.
    points
        Positions in data coordinates, shape (n, 2). For 3-D axes they are already projected.
    codes
        Group of each point, shape (n,); negative for points without a group.
    names, colors
        One for each group.
    fontsize
        Font size in points.
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
    # Small groups first: they have few good positions, large groups have many.
    for group in np.argsort(sizes, kind="stable"):
        if sizes[group] == 0:
            continue
        members = pixels[codes == group]
        anchor = _core(members)
        x, y = to_data(anchor)
        # `Axes.text` also for 3-D axes, whose own method requires a depth.
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
        # Text inside the axes must not change the figure's layout.
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
    """Return the factor of the font size at which the names cover little of the picture."""
    letters = sum(min(len(name), 2 * _WRAP) for name in names)
    points_per_pixel = 72.0 / ax.figure.canvas.figure.dpi
    area = float(np.prod(ax.bbox.size)) * points_per_pixel**2
    share = letters * 0.7 * 1.4 * fontsize**2 / max(area, 1.0)
    return float(np.clip(np.sqrt(_MOST_OF_AXES / max(share, 1e-9)), _SMALLEST, 1.0))


class _Density:
    """Count points in rectangles with a summed-area table of a coarse grid."""

    def __init__(self, pixels: NDArray[np.float64]) -> None:
        self.low = pixels.min(axis=0)
        self.step = np.maximum((pixels.max(axis=0) - self.low) / _GRID, 1e-9)
        cells = np.minimum(((pixels - self.low) / self.step).astype(np.intp), _GRID - 1)
        counts = np.zeros((_GRID, _GRID))
        np.add.at(counts, (cells[:, 0], cells[:, 1]), 1.0)
        self.table = np.zeros((_GRID + 1, _GRID + 1))
        self.table[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)
        # Points in a cell of a dense part. A percentile: a few piled-up points must not matter.
        occupied = counts[counts > 0]
        self.dense = float(np.percentile(occupied, 75))

    def count(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
        """Count the points in a rectangle whose edges are rounded to whole cells."""
        i0, j0 = np.clip(np.rint((low - self.low) / self.step), 0, _GRID).astype(np.intp)
        i1, j1 = np.clip(np.rint((high - self.low) / self.step), 0, _GRID).astype(np.intp)
        t = self.table
        return float(t[i1, j1] - t[i0, j1] - t[i1, j0] + t[i0, j0])

    def full(self, half: NDArray[np.float64]) -> float:
        """Return how many points a box of these half sizes hides in a dense part."""
        return self.dense * float(np.prod(2.0 * half / self.step))


def _core(members: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the middle of a group's densest part (a group may lie in several pieces)."""
    middle = np.median(members, axis=0)
    spread = np.ptp(members, axis=0).max()
    if spread == 0.0:
        return np.asarray(middle)
    # The peak of a blurred histogram marks the main piece.
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
    """Return the cheapest position on rings around the anchor that covers no other label."""
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    best, best_cost = anchor, np.inf
    n_members, full = len(members), density.full(half)
    members = members[:: max(1, n_members // 2000)]
    for ring in range(_RINGS):
        if 0.5 * ring >= best_cost:
            break  # no position farther away can be cheaper
        # Rings are ellipses: a sideways step must clear the width of the text, not its height.
        reach = ring * half[1] + min(ring, 2) * 0.5 * np.array([half[0] - half[1], 0.0])
        for direction in directions[: 1 if ring == 0 else None]:
            # Keep the label inside the axes, unless it is larger than they are.
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
    """Return the point where the line from the box's centre to `towards` leaves the box."""
    step = towards - place
    scale = np.min(half / np.maximum(np.abs(step), 1e-9))
    return np.asarray(place + step * min(scale, 1.0))
