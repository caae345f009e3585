"""Place group names on a scatter plot: near their group, clear of each other, hiding few points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.style import Style, axes_size, ground, readable
from umapcore.pl.text import PLAIN, cut, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Costs of a position. Distances are in units of the font size.
_COST_AWAY, _COST_FAR = 0.3, 0.015  # distance between label and group, and its square
_COST_ASIDE = 0.1  # distance between the label and the middle of its group
_COST_OFF = np.array([0.5, 0.2])  # the label is off the middle by half its width, half its height
_COST_OTHERS = 8.0  # the label covers nothing but points of other groups
_COST_OWN = 12.0  # the label hides its own group completely
_COST_UNCLEAR = 6.0  # only points of other groups are at the label, and no line leads from it
_COST_LINE = 1.0  # a line leads from the label to its group
_COST_CROSSED_LABEL, _COST_CROSSED_LINE = 6.0, 2.0  # a line crosses another label, or line
_MOST_CROSSED = 20.0
_COST_CLOSE = 4.0  # the label is nearer to another one than `_APART`
_COST_OVERLAP = 60.0  # more than all of the above together
_APART = 0.5
# Share of a label on its own group that may cover others: single points do not matter.
_FEW = 0.1
# Share of a group that its label may hide.
_HIDDEN = 0.25
# Share of own points around a label that makes clear whose it is, and how far around it.
_CLEAR, _AROUND = 0.9, 1.0
# Letters in a line; longer names are wrapped.
_WRAP = 22
_FONTSIZE = 8.5
# Share of the axes that names may cover at full size, and the smallest factor of the font size.
_MOST_OF_AXES, _SMALLEST = 0.2, 0.45
# Names that are measured to choose the font size.
_SAMPLE = 40
# Candidate positions: distances from the middle of the group, in font sizes, and directions.
_RINGS = np.array([0.0, 0.5, 1, 1.5, 2, 3, 4, 5, 6.5, 8, 10, 12.5, 16, 20])
_ANGLES = 2 * np.pi * (np.arange(24) + 0.5 * (np.arange(len(_RINGS))[:, None] % 2)) / 24
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
# Candidate positions on points of the group.
_ON_GROUP = 48
# Candidates whose conflicts with other labels are computed at once.
_BLOCK = 32
_SWEEPS = 3
_GRID = 192
# Size of a cell of the grid of labels, in units of the font size, and the most cells in a row.
_CELL, _FINEST = 0.25, 1024
# Drawing order: also above 3-D points, whose order matplotlib derives from their depth.
_LINE, _TEXT = 1e5, 2e5


def label_groups(
    ax: Axes,
    points: NDArray[np.floating[Any]],
    codes: NDArray[np.integer[Any]],
    names: Sequence[str],
    colors: Sequence[str],
    *,
    fontsize: float | str | None = None,
    fontweight: float | str | None = None,
    fontoutline: float | None = None,
) -> None:
    """Write each group's name on its group, or beside it on empty ground, with a line to it.

    Parameters
    ----------
    ax
        Axes whose limits and position in the figure are final.
    points
        Positions in data coordinates, shape (n, 2). For 3-D axes they are already projected.
    codes
        Group of each point, shape (n,); negative for points without a group.
    names, colors
        One for each group. A name is plain text: ``$`` has no meaning.
    fontsize
        Font size in points, or by name; None means 8.5, and less for many or long names.
    fontweight
        Weight of the font; None means bold.
    fontoutline
        Width of the outline in points; None lets it follow the font size, 0 means none.
    """
    pixels = np.asarray(ax.transData.transform(points), dtype=np.float64)
    ends = np.cumsum(np.bincount(codes[codes >= 0], minlength=len(names)))
    # Points without a group come first.
    order = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
    members = np.split(order, ends[:-1])
    # Small groups first: they have few good positions, large groups have many.
    shown = [
        group
        for group in sorted(range(len(names)), key=lambda group: len(members[group]))
        if len(members[group]) and names[group].strip()
    ]
    if not shown:
        return
    texts = [
        _write(ax, names[group], readable(colors[group], ax), fontsize, fontweight)
        for group in shown
    ]
    if fontsize is None:
        _shrink(ax, texts)
    _outline(ax, texts, fontoutline)
    size = float(texts[0].get_fontsize()) * _per_point(ax)
    # Some room on all sides, because labels are compared on a grid.
    halves = 0.5 * _measure(ax, texts) + 0.6 * _CELL * size
    bounds = np.asarray(ax.bbox.extents)
    ink = _Ink(pixels, _radius(ax, len(pixels)))
    labels = [
        _candidates(pixels[members[group]], half, ink, size, bounds)
        for group, half in zip(shown, halves, strict=True)
    ]
    to_data = ax.transData.inverted().transform
    for text, label, best in zip(texts, labels, _choose(labels, bounds, size), strict=True):
        x, y = to_data(label.places[best])
        text.set_position((float(x), float(y)))
        line = label.lines[best].reshape(2, 2)
        if np.isfinite(line).all():
            _draw_line(ax, to_data(line), text)


def _write(
    ax: Axes, name: str, color: Any, fontsize: float | str | None, fontweight: float | str | None
) -> Text:
    from matplotlib.axes import Axes

    # `Axes.text` also for 3-D axes, whose own method requires a depth.
    text: Text = Axes.text(
        ax,
        0.0,
        0.0,
        wrapped(cut(name, 2 * _WRAP), _WRAP),
        ha="center",
        va="center",
        fontsize=_FONTSIZE if fontsize is None else fontsize,
        fontweight="bold" if fontweight is None else fontweight,
        color=color,
        zorder=_TEXT,
        **PLAIN,
    )
    # Text inside the axes must not change the figure's layout.
    text.set_in_layout(False)
    return text


def _shrink(ax: Axes, texts: Sequence[Text]) -> None:
    """Choose a smaller font when many or long names would cover much of the axes."""
    # A sample is enough, because measuring takes time.
    sizes = _measure(ax, texts[:: -(-len(texts) // _SAMPLE)])
    room = np.maximum(ax.bbox.size, 1.0)
    many = np.sqrt(_MOST_OF_AXES * room.prod() / (sizes.prod(axis=1).mean() * len(texts)))
    factor = float(np.clip(min(many, room[0] / sizes[:, 0].max()), _SMALLEST, 1.0))
    for text in texts:
        text.set_fontsize(factor * _FONTSIZE)


def _measure(ax: Axes, texts: Sequence[Text]) -> Floats:
    """Return width and height of texts in pixels."""
    from matplotlib.backends.backend_agg import RendererAgg

    # The same sizes, and with them the same positions, for every kind of file.
    make: Any = RendererAgg  # untyped
    renderer = make(1, 1, 72.0 * _per_point(ax))
    return np.array([text.get_window_extent(renderer).size for text in texts])


def _outline(ax: Axes, texts: Sequence[Text], width: float | None) -> None:
    from matplotlib.patheffects import AbstractPathEffect, withStroke

    if width is None:
        width = 0.28 * float(texts[0].get_fontsize())
    if width > 0:
        effects: list[AbstractPathEffect] = [withStroke(linewidth=width, foreground=ground(ax))]
        for text in texts:
            text.set_path_effects(effects)


def _draw_line(ax: Axes, ends: Floats, text: Text) -> None:
    from matplotlib.lines import Line2D

    width = 0.09 * float(text.get_fontsize())
    ax.add_artist(Line2D(*ends.T, color=text.get_color(), linewidth=width, zorder=_LINE))


def _per_point(ax: Axes) -> float:
    """Return the pixels in a point of 1/72 inch."""
    return float(ax.figure.canvas.figure.dpi) / 72.0


def _radius(ax: Axes, n: int) -> float:
    """Return the radius of the drawn points in pixels, if its size is the usual one."""
    style = Style.for_points(n, area=float(np.prod(axes_size(ax))))
    return 0.5 * float(np.sqrt(style.size)) * _per_point(ax)


class _Ink:
    """How much of a rectangle is covered by points: tables of sums over a grid."""

    def __init__(self, pixels: Floats, radius: float) -> None:
        self.radius = radius
        self.low = pixels.min(axis=0)
        self.step = max(float((pixels.max(axis=0) - self.low).max()) / _GRID, 1.0)
        self.shape = (((pixels.max(axis=0) - self.low) / self.step).astype(np.intp)) + 1
        counts = np.bincount(self._cells(pixels), minlength=int(self.shape.prod()))
        # Points that lie on each other are seen as few. A percentile: a few piles do not matter.
        dense = max(float(np.median(counts[counts > 0])), 1.0)
        ink = np.minimum(counts / dense, 1.0)
        # A point that is larger than a cell covers several.
        ink *= max(np.pi * radius**2 / self.step**2, 1.0)
        self.per_point = ink / np.maximum(counts, 1)
        self.all = self._table(ink)

    def _cells(self, pixels: Floats) -> NDArray[np.intp]:
        i, j = ((pixels - self.low) / self.step).astype(np.intp).T
        return np.asarray(i * self.shape[1] + j)

    def _table(self, ink: Floats) -> Floats:
        table = np.zeros(self.shape + 1)
        ink.reshape(self.shape).cumsum(axis=0).cumsum(axis=1, out=table[1:, 1:])
        return table

    def of(self, pixels: Floats) -> Floats:
        """Return the table of some of the points."""
        counts = np.bincount(self._cells(pixels), minlength=len(self.per_point))
        return self._table(counts * self.per_point)

    def within(self, table: Floats, low: Floats, high: Floats) -> Floats:
        """Sum a table over rectangles of shape (n, 2), whose edges are rounded to cells."""
        i0, j0 = np.clip(np.rint((low - self.low) / self.step), 0, self.shape).astype(np.intp).T
        i1, j1 = np.clip(np.rint((high - self.low) / self.step), 0, self.shape).astype(np.intp).T
        # Rounding of sums can leave a tiny negative rest.
        inside = table[i1, j1] - table[i0, j1] - table[i1, j0] + table[i0, j0]
        return np.asarray(np.maximum(inside, 0.0))

    def cells(self, half: Floats) -> float:
        """Return the number of cells in a rectangle of these half sizes."""
        return max(float(np.prod(2.0 * half / self.step)), 1.0)


@dataclass(frozen=True)
class _Label:
    """Candidate positions of a label, with costs that do not depend on other labels."""

    places: Floats
    #: Left, bottom, right, top of the label at each place.
    boxes: Floats
    #: The line from the group to each place, nan where none is needed.
    lines: Floats
    costs: Floats


def _candidates(members: Floats, half: Floats, ink: _Ink, size: float, bounds: Floats) -> _Label:
    """Propose positions for the label of a group: on its points, and on rings around it."""
    own = ink.of(members)
    some = members[:: -(-len(members) // _ON_GROUP)]
    middle, dense = _core(members, some, own, ink)
    # A sideways step must clear the width of the text, not its height.
    rings = middle + _DIRECTIONS * (_RINGS[:, None, None] * size + half)
    places = np.concatenate([middle[None], some, rings.reshape(-1, 2)])
    # Keep the label inside the axes, unless it is larger than they are.
    places = np.maximum(np.minimum(places, bounds[2:] - half), bounds[:2] + half)

    low, high = places - half, places + half
    # A line starts at that dense part of the group which is nearest to the label.
    gaps = _gap(places[:, None] - dense, half) / size
    start, gap = dense[gaps.argmin(axis=1)], gaps.min(axis=1)
    own_on, all_on = (
        ink.within(table, low - ink.radius, high + ink.radius) for table in (own, ink.all)
    )
    around = _AROUND * size
    own_near, all_near = (
        ink.within(table, low - around, high + around) for table in (own, ink.all)
    )
    others = np.minimum((all_on - own_on) / ink.cells(half + ink.radius), 1.0)
    few = _FEW * own_on / np.maximum(all_on, 1e-9)
    hidden = own_on / own[-1, -1]
    # Points below the label tell more than those beside it.
    share = (own_near + 3 * own_on) / np.maximum(all_near + 3 * all_on, 1e-9)
    unclear = np.maximum(_CLEAR - share, 0.0) / _CLEAR
    unclear[(all_on > 2 * own_on) & (others > 0.3 * _FEW)] += 0.5
    unclear[own_near < min(0.04 * ink.cells(half + around), 0.3 * own[-1, -1])] = 1.0
    unclear = np.minimum(unclear, 1.0)
    has_line = (gap > 0.4) & (_COST_UNCLEAR * unclear > _COST_LINE)
    step = np.abs(places - middle)
    costs = (
        _COST_AWAY * gap
        + _COST_FAR * gap**2
        + _COST_ASIDE * _gap(step, half) / size
        + np.minimum(step / half, 1.0) @ _COST_OFF
        + _COST_OTHERS * np.maximum(others - few, 0.0)
        + _COST_OWN * np.maximum(hidden - _HIDDEN, 0.0)
        + np.where(has_line, _COST_LINE, _COST_UNCLEAR * unclear)
        + np.maximum(bounds[:2] - low, 0).sum(axis=1)
        + np.maximum(high - bounds[2:], 0).sum(axis=1)
    )
    # It ends where it meets the edge of the label.
    step = places - start
    inside = np.min(half / np.maximum(np.abs(step), 1e-9), axis=1, keepdims=True)
    lines = np.concatenate([start, places - step * np.minimum(inside, 1.0)], axis=1)
    lines[~has_line] = np.nan
    return _Label(places, np.concatenate([low, high], axis=1), lines, costs)


def _gap(step: Floats, half: Floats) -> Floats:
    """Return the distance between points and boxes whose centres are `step` away."""
    return np.asarray(np.hypot(*np.moveaxis(np.maximum(np.abs(step) - half, 0.0), -1, 0)))


def _core(members: Floats, some: Floats, own: Floats, ink: _Ink) -> tuple[Floats, Floats]:
    """Find where a group is dense and among itself (it may lie in pieces, or be mixed).

    Returns
    -------
    The middle of its best part, shape (2,), and those of `some` where it is half as good.
    """
    reach = max(float(np.ptp(members, axis=0).max()) / 8.0, ink.step)
    here = ink.within(own, some - reach, some + reach)
    everything = ink.within(ink.all, some - reach, some + reach)
    good = here**2 / np.maximum(everything, 1e-9)
    near = (np.abs(members - some[good.argmax()]) <= reach).all(axis=1)
    return np.median(members[near], axis=0), some[good >= 0.5 * good.max()]


class _Covered:
    """How much of a rectangle is covered by labels: a table of sums over a grid."""

    def __init__(self, bounds: Floats, cell: float) -> None:
        self.low = bounds[:2]
        self.cell = max(cell, float((bounds[2:] - bounds[:2]).max()) / _FINEST)
        self.shape = np.ceil((bounds[2:] - bounds[:2]) / self.cell).astype(np.intp) + 1
        self.table = np.zeros(self.shape, np.int32)

    def edges(self, boxes: Floats) -> NDArray[np.int32]:
        """Return the nodes of the grid that are nearest to the edges of boxes of shape (n, 4)."""
        low = np.concatenate([self.low, self.low])
        last = np.concatenate([self.shape, self.shape]) - 1
        return np.asarray(np.clip(np.rint((boxes - low) / self.cell), 0, last), np.int32)

    def add(self, edges: NDArray[np.int32], sign: int) -> None:
        """Put one box, or with a `sign` of -1 take it away."""
        i0, j0, i1, j1 = edges
        rows = np.minimum(np.arange(self.shape[0] - i0, dtype=np.int32), i1 - i0)
        columns = np.minimum(np.arange(self.shape[1] - j0, dtype=np.int32), j1 - j0)
        self.table[i0:, j0:] += np.multiply.outer(sign * rows, columns)

    def within(self, edges: NDArray[np.int32]) -> NDArray[np.int32]:
        """Count the cells that are covered in each box."""
        i0, j0, i1, j1 = edges.T
        t = self.table
        return np.asarray(t[i1, j1] - t[i0, j1] - t[i1, j0] + t[i0, j0])


def _choose(labels: Sequence[_Label], bounds: Floats, size: float) -> list[int]:
    """Choose a position for each label, one after the other, and then again among the others."""
    covered = _Covered(bounds, _CELL * size)
    edges = [covered.edges(label.boxes) for label in labels]
    apart = _APART * size * np.array([-1.0, -1.0, 1.0, 1.0])
    around = [covered.edges(label.boxes + apart) for label in labels]
    # Labels that have no place yet are nan, and so are lines that are not needed.
    boxes, lines = np.full((2, len(labels), 4), np.nan)
    chosen = [-1] * len(labels)
    for _ in range(_SWEEPS):
        before = list(chosen)
        for i, label in enumerate(labels):
            if before[i] >= 0:
                covered.add(edges[i][before[i]], -1)
                boxes[i] = lines[i] = np.nan
            area = np.maximum(np.prod(edges[i][:, 2:] - edges[i][:, :2], axis=1), 1)
            overlap = covered.within(edges[i]) / area
            close = covered.within(around[i]) > 0
            costs = label.costs + _COST_OVERLAP * (overlap + (overlap > 0)) + _COST_CLOSE * close
            chosen[i] = best = _cheapest(label, costs, boxes, lines)
            covered.add(edges[i][best], 1)
            boxes[i], lines[i] = label.boxes[best], label.lines[best]
        if chosen == before:
            break
    return chosen


def _cheapest(label: _Label, costs: Floats, boxes: Floats, lines: Floats) -> int:
    """Return the cheapest candidate, with what lines cost that cross other labels or lines."""
    order = np.argsort(costs, kind="stable")
    best, best_cost = int(order[0]), np.inf
    for start in range(0, len(order), _BLOCK):
        some = order[start : start + _BLOCK]
        if costs[some[0]] >= best_cost:
            break  # no crossing makes a candidate cheaper
        its_boxes, its_lines = label.boxes[some], label.lines[some]
        ends = np.concatenate([its_boxes[:, :2], its_boxes[:, 2:], its_lines[:, :2]])
        low, high = np.nanmin(ends, axis=0), np.nanmax(ends, axis=0)
        near_boxes, near_lines = _near(boxes, low, high), _near(lines, low, high)
        crossed = _meet(its_lines, near_boxes).sum(axis=1)
        crossed += _meet(near_lines, its_boxes).sum(axis=0)
        cost = _COST_CROSSED_LABEL * crossed
        cost += _COST_CROSSED_LINE * _cross(its_lines, near_lines).sum(axis=1)
        total = costs[some] + np.minimum(cost, _MOST_CROSSED)
        cheapest = int(np.argmin(total))
        if total[cheapest] < best_cost:
            best, best_cost = int(some[cheapest]), float(total[cheapest])
    return best


def _near(ends: Floats, low: Floats, high: Floats) -> Floats:
    """Return those boxes or lines of shape (n, 4) that may meet a rectangle; none that is nan."""
    below, above = np.minimum(ends[:, :2], ends[:, 2:]), np.maximum(ends[:, :2], ends[:, 2:])
    return np.asarray(ends[((below <= high) & (above >= low)).all(axis=1)])


def _meet(lines: Floats, boxes: Floats) -> NDArray[np.bool_]:
    """Return which of n lines and k boxes have a point in common, (n, k): no axis separates."""
    x0, y0, x1, y1 = lines.T[:, :, None]
    left, bottom, right, top = boxes.T
    along_x, along_y = 0.5 * (x1 - x0), 0.5 * (y1 - y0)
    half_x, half_y = 0.5 * (right - left), 0.5 * (top - bottom)
    x, y = 0.5 * (x0 + x1) - 0.5 * (left + right), 0.5 * (y0 + y1) - 0.5 * (bottom + top)
    across = half_x * np.abs(along_y) + half_y * np.abs(along_x)
    return np.asarray(
        (np.abs(x) <= half_x + np.abs(along_x))
        & (np.abs(y) <= half_y + np.abs(along_y))
        & (np.abs(along_x * y - along_y * x) <= across)
    )


def _cross(lines: Floats, others: Floats) -> NDArray[np.bool_]:
    """Return which of n lines cross which of k others, (n, k), within both."""
    x0, y0, x1, y1 = lines.T[:, :, None]
    u0, v0, u1, v1 = others.T
    x, y, u, v, between_x, between_y = x1 - x0, y1 - y0, u1 - u0, v1 - v0, u0 - x0, v0 - y0
    whole = x * v - y * u
    along, along_other = between_x * v - between_y * u, between_x * y - between_y * x
    inside = (np.abs(along) < np.abs(whole)) & (np.abs(along_other) < np.abs(whole))
    return np.asarray(inside & (along * whole > 0) & (along_other * whole > 0))
