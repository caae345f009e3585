"""A plot: its parameters, all checked, and the panels that they ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import bad_type, bad_value, did_you_mean
from umapcore.pl import decorations, figure, options
from umapcore.pl.edges import Edges
from umapcore.pl.legend import SMALLEST, LegendBox, draw_legend
from umapcore.pl.palette import shades
from umapcore.pl.points import Canvas
from umapcore.pl.positions import Embedding, choose_panels
from umapcore.pl.scales import Scale, scales
from umapcore.pl.style import RASTER_ABOVE, axes_size, on_dark
from umapcore.pl.values import Groups, Numbers, read_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

# Largest width of a legend beside the points, relative to a new panel or to given axes, and width
# and height of one that is on them.
_BESIDE, _BESIDE_IN_AXES, _INSIDE = 0.85, 0.46, (0.45, 0.9)
# Height of a legend beside the points: letters of whole pixels need up to a tenth more room.
_DOWN = 0.92
# What is tried until all names are in the legends: height, relative to the usual one of a panel,
# and the smallest letters in points.
_TRIES = ((1.0, 5.8), (1.4, 5.2), (2.3, SMALLEST))
_POINTS_PER_INCH = 72.0


@dataclass(frozen=True)
class Panel:
    """What one panel shows."""

    color: str | None
    #: Columns of the embedding.
    columns: tuple[int, ...]
    title: str | None
    marker: Any
    values: Groups | Numbers | None
    #: Colours of the groups.
    shades: list[str]
    scale: Scale | None


@dataclass(frozen=True)
class Drawing:
    """A plot whose parameters are all checked."""

    embedding: Embedding
    panels: list[Panel]
    marks: options.Marks
    legend: options.LegendStyle
    frame: options.Frame
    edges: Edges | None
    raster: bool
    #: The points to show; None for all.
    mask: NDArray[np.bool_] | None
    #: What the points without a group are called.
    rest: str

    @classmethod
    def read(
        cls,
        adata: AnnData,
        color: Any,
        given: Mapping[str, Any],
        embedding: Embedding,
        ax: Axes | None = None,
    ) -> Drawing:
        """Check everything that :func:`umapcore.pl.umap` is given, and read the values.

        Raises
        ------
        ValueError, TypeError
            The message says what is allowed.
        """
        from matplotlib.axes import Axes

        if ax is not None and not isinstance(ax, Axes):
            raise bad_type("ax", ax, "axes of matplotlib or None")
        panels = choose_panels(given, _colors(color), embedding, ax)
        count = len(panels)
        if ax is not None and count > 1:
            what = f"{count} colors" if len(_colors(color)) == count else f"{count} panels"
            msg = f"ax was given with {what}: it takes one, or leave ax out."
            raise ValueError(msg)
        marks = options.Marks.read(given, len(embedding.values))
        markers = options.markers(given["marker"], count)
        in_space = any(len(columns) == 3 for _, columns in panels)
        if in_space and marks.outline is not None:
            raise bad_value("add_outline", True, "False for a picture of three dimensions")
        raster = _raster(given["raster"], embedding, marks, markers, in_space=in_space)
        mask = _mask(adata, given["mask_obs"])
        values = _values(adata, [name for name, _ in panels], given, mask)
        found_scales = scales([v if isinstance(v, Numbers) else None for v in values], given)
        titles = _titles(given["title"], [name for name, _ in panels])
        dark = on_dark(ax)
        return cls(
            embedding=embedding,
            panels=[
                Panel(
                    color=name,
                    columns=columns,
                    title=titles[i],
                    marker=markers[i],
                    values=values[i],
                    shades=shades(adata, name, found, given["palette"], dark=dark)
                    if name is not None and isinstance(found := values[i], Groups)
                    else [],
                    scale=found_scales[i],
                )
                for i, (name, columns) in enumerate(panels)
            ],
            marks=marks,
            legend=options.LegendStyle.read(given),
            frame=options.Frame.read(given),
            edges=Edges.read(adata, given),
            raster=raster,
            mask=mask,
            rest="missing" if given["groups"] is None and mask is None else "other",
        )

    def draw(self, ax: Axes | None = None, box: LegendBox | None = None) -> list[Axes]:
        """Draw all panels, into a new figure if there are no axes yet.

        Parameters
        ----------
        ax
            Axes for the only panel.
        box
            Its legend, if it has been fitted before.
        """
        if ax is not None:
            size = axes_size(ax)
            box = self.fit(self.panels[0], size, grows=False) if box is None else box
            self._panel(self.panels[0], ax, box, size[0])
            if box is not None and self.legend.beside:
                figure.settle(ax)
            self._names_on_data([ax])
            return [ax]
        first = self.embedding.values[:, self.panels[0].columns]
        count = len(self.panels)
        wide, high = figure.panel_size(first, count)
        for taller, smallest in _TRIES if self.legend.beside else [(1.0, SMALLEST)]:
            place = wide, taller * high
            boxes = [self.fit(panel, place, smallest) for panel in self.panels]
            if all(box is None or box.whole for box in boxes):
                break
        beside = [box.width for box in boxes if box is not None and self.legend.beside]
        total = wide + max(beside, default=0.0) / _POINTS_PER_INCH
        columns = figure.panels_in_a_row(count, self.frame, total)
        axes = figure.new_axes([len(panel.columns) for panel in self.panels], columns, place)
        for each, panel, box in zip(axes, self.panels, boxes, strict=True):
            self._panel(panel, each, box, wide)
        figure.make_room(axes, columns, self.frame)
        self._names_on_data(axes)
        return axes

    def fit(
        self,
        panel: Panel,
        size: tuple[float, float],
        smallest: float = SMALLEST,
        *,
        grows: bool = True,
    ) -> LegendBox | None:
        """Fit the names of the groups beside or into a panel; None if there are none to write.

        Parameters
        ----------
        panel
            The panel.
        size
            Its width and height in inches.
        smallest
            The smallest letters to try, in points.
        grows
            Whether the figure can become wider for the legend.
        """
        groups = panel.values
        if not isinstance(groups, Groups) or self.legend.place is None or self.legend.on_data:
            return None
        names = list(groups.names)
        if self.legend.na_in_legend and (groups.codes < 0).any():
            names.append(self.rest)
        if not names:
            return None
        across, down = _INSIDE
        if self.legend.beside:
            across, down = (_BESIDE if grows else _BESIDE_IN_AXES), _DOWN
        width, height = across * size[0] * _POINTS_PER_INCH, down * size[1] * _POINTS_PER_INCH
        return LegendBox.fit(names, width, height, self.legend, smallest)

    def at(self, positions: NDArray[np.floating[Any]]) -> Drawing:
        """Return the same picture of other positions of the points, shape (n, columns)."""
        return replace(self, embedding=replace(self.embedding, values=positions))

    def _panel(self, panel: Panel, ax: Axes, box: LegendBox | None, width: float) -> None:
        """Draw one panel of a width in inches, all but names on the data."""
        points = self.embedding.values[:, panel.columns]
        canvas = Canvas.on(ax, points, self.marks, panel.marker, raster=self.raster)
        if self.edges is not None:
            self.edges.draw(ax, points)
        if isinstance(panel.values, Groups):
            canvas.groups(panel.values, panel.shades)
            if box is not None:
                looks = [(shade, panel.marker) for shade in (*panel.shades, canvas.na_color)]
                draw_legend(ax, box, looks, self.legend)
        elif isinstance(panel.values, Numbers) and panel.scale is not None:
            drawn = canvas.numbers(panel.values.values, panel.scale)
            if self.frame.colorbar_loc is not None:
                decorations.color_bar(ax, drawn, self.frame.colorbar_loc, panel.scale.unit)
        else:
            canvas.plain(self.mask)
        names = self.embedding.axis_names(panel.columns)
        decorations.tidy(ax, names, panel.title, self.frame.frameon, width)

    def _names_on_data(self, axes: Sequence[Axes]) -> None:
        if not self.legend.on_data:
            return
        letters = self.legend.letters
        for ax, panel in zip(axes, self.panels, strict=True):
            if isinstance(panel.values, Groups):
                points = self.embedding.values[:, panel.columns]
                decorations.names_on_data(ax, points, panel.values, panel.shades, **letters)


def _colors(color: Any) -> list[str | None]:
    if color is None or isinstance(color, str):
        return [color]
    allowed = "None, a name, or a sequence of at least one"
    try:
        colors = list(color)
    except TypeError:
        raise bad_type("color", color, allowed) from None
    if not colors:
        raise bad_value("color", color, allowed)
    for each in colors:
        if each is not None and not isinstance(each, str):
            raise bad_type("color", each, "None, a column of obs or a name in var_names")
    return colors


def _titles(title: Any, colors: Sequence[str | None]) -> list[str | None]:
    if title is None:
        return list(colors)
    titles = [title] if isinstance(title, str) or not np.iterable(title) else list(title)
    if len(titles) != len(colors):
        raise bad_value("title", title, f"as many titles as there are panels, {len(colors)}")
    for each in titles:
        if each is not None and not isinstance(each, (str, Number)):
            raise bad_type("title", each, "text, or a list of one for each panel")
    return [None if each is None else str(each) for each in titles]


def _raster(
    raster: Any,
    embedding: Embedding,
    marks: options.Marks,
    markers: list[Any],
    *,
    in_space: bool,
) -> bool:
    """Return whether points are counted in pixels."""
    single = marks.of_single_points + (["marker"] if any(m is not None for m in markers) else [])
    if raster is None:
        return len(embedding.values) > RASTER_ABOVE and not single and not in_space
    if options.flag("raster", raster) and in_space:
        raise bad_value("raster", raster, "False or None for a picture of three dimensions")
    if raster and single:
        msg = f"raster=True draws no single points: leave out {', '.join(single)}, or raster."
        raise ValueError(msg)
    return bool(raster)


def _mask(adata: AnnData, mask: Any) -> NDArray[np.bool_] | None:
    """Return the points to show, from truth values or from the name of a column of them."""
    if mask is None:
        return None
    allowed = f"{adata.n_obs} truth values, one for each observation, or a column of obs with them"
    if isinstance(mask, str):
        if mask not in adata.obs.columns:
            hint = did_you_mean(mask, map(str, adata.obs.columns))
            raise bad_value("mask_obs", mask, allowed, hint)
        mask = adata.obs[mask]
    try:
        found = np.asarray(mask)
    except ValueError:
        raise bad_type("mask_obs", mask, allowed) from None
    if found.dtype == object and all(isinstance(each, (bool, np.bool_)) for each in found.ravel()):
        found = found.astype(bool)
    if found.dtype != bool or found.shape != (adata.n_obs,):
        raise bad_value("mask_obs", mask, allowed)
    return found


def _values(
    adata: AnnData,
    colors: Sequence[str | None],
    given: Mapping[str, Any],
    mask: NDArray[np.bool_] | None,
) -> list[Groups | Numbers | None]:
    """Return the values of each panel, of the chosen points and groups only."""
    source = {name: given[name] for name in ("layer", "use_raw", "gene_symbols")}
    for name, what in (("layer", "a key of layers"), ("gene_symbols", "a column of var")):
        if source[name] is not None and not isinstance(source[name], str):
            raise bad_type(name, source[name], f"None or {what}")
    if source["use_raw"] is not None:
        options.flag("use_raw", source["use_raw"])
    read = {
        name: None if name is None else read_values(adata, name, **source)
        for name in dict.fromkeys(colors)
    }
    groups = given["groups"]
    if groups is not None:
        wanted = [groups] if isinstance(groups, str) or not np.iterable(groups) else list(groups)
        names = [str(name) for name in wanted]
        columns = [values for values in read.values() if isinstance(values, Groups)]
        known = [name for values in columns for name in values.names]
        for name in names:
            if columns and name not in known:
                raise bad_value("groups", groups, "names of groups", did_you_mean(name, known))
        read = {
            name: values.only(names) if isinstance(values, Groups) else values
            for name, values in read.items()
        }
    if mask is not None:
        read = {
            name: values if values is None else values.masked(mask) for name, values in read.items()
        }
    return [read[name] for name in colors]
