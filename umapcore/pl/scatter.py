"""``umapcore.pl.umap``: the parameters, and the picture that they ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Number
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from umapcore.errors import bad_type, bad_value, did_you_mean
from umapcore.pl import decorations, figure, options
from umapcore.pl.edges import Edges
from umapcore.pl.legend import SMALLEST, LegendBox, draw_legend
from umapcore.pl.palette import shades
from umapcore.pl.points import Canvas
from umapcore.pl.positions import Embedding, choose_panels, read_embedding
from umapcore.pl.scales import Scale, scales
from umapcore.pl.style import RASTER_ABOVE, axes_size, on_dark
from umapcore.pl.values import Groups, Numbers, read_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

Limit = float | str | None
# Largest width of a legend beside the points, relative to a new panel or to given axes, and width
# and height of one that is on them.
_BESIDE, _BESIDE_IN_AXES, _INSIDE = 0.85, 0.46, (0.45, 0.9)
# What is tried until all names are in the legends: height, relative to the usual one of a panel,
# and the smallest letters in points.
_TRIES = ((1.0, 5.8), (1.4, 5.2), (2.0, SMALLEST))
_POINTS_PER_INCH = 72.0


def umap(
    adata: AnnData,
    color: str | Sequence[str | None] | None = None,
    *,
    basis: str = "X_umap",
    components: str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]] | None = None,
    dimensions: Sequence[int] | Sequence[Sequence[int]] | None = None,
    dims: Literal[2, 3] | None = None,
    projection: Literal["2d", "3d"] | None = None,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
    groups: str | Sequence[str] | None = None,
    mask_obs: ArrayLike | str | None = None,
    palette: Any = None,
    cmap: str | Colormap | None = None,
    vmin: Limit | Callable[[Any], float] | Sequence[Any] = None,
    vmax: Limit | Callable[[Any], float] | Sequence[Any] = None,
    vcenter: Limit | Callable[[Any], float] | Sequence[Any] = None,
    norm: Normalize | Sequence[Normalize | None] | None = None,
    na_color: Any = None,
    size: float | ArrayLike | None = None,
    alpha: float | ArrayLike | None = None,
    marker: Any = None,
    raster: bool | None = None,
    sort_order: bool = False,
    add_outline: bool = False,
    outline_width: tuple[float, float] = (0.3, 0.05),
    outline_color: tuple[Any, Any] | None = None,
    edges: bool = False,
    edges_width: float = 0.1,
    edges_color: Any = "grey",
    neighbors_key: str | None = None,
    legend_loc: str | None = "right margin",
    legend_fontsize: float | str | None = None,
    legend_fontweight: int | str | None = None,
    legend_fontoutline: float | None = None,
    na_in_legend: bool = True,
    colorbar_loc: str | None = "right",
    title: str | Sequence[str] | None = None,
    frameon: bool | None = None,
    ax: Axes | None = None,
    ncols: int | None = None,
    wspace: float | None = None,
    hspace: float | None = None,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    return_fig: bool | None = None,
    **more: Any,
) -> Axes | list[Axes] | Figure | None:
    """Draw an embedding as a scatter plot.

    The parameters are those of scanpy's ``sc.pl.umap``, and a few more. Points are drawn in a
    shuffled order that is the same every time. Otherwise a group could hide another one only
    because it comes last in the file. `adata` is only read. Names are written as they are: a
    dollar sign begins no formula.

    Parameters
    ----------
    adata
        Annotated data with an embedding in ``obsm``.
    color
        A column of ``obs`` or a name in ``var_names``; a sequence makes one panel for each. Text,
        categories and booleans are drawn as groups; numbers, dates and durations on a colour
        scale. None draws all points alike.
    basis
        Key of the embedding in ``obsm``, with or without the leading ``X_``.
    components
        The columns of the embedding to draw. Integers, as in ``(0, 2)``, are counted from 0. Text
        is counted from 1, as in scanpy: ``'1,3'``; ``'all'`` draws all pairs. Several, in a list,
        make a panel for each of them and each colour. None takes the first columns.
    dimensions
        The same as integers, counted from 0, where several make one panel for each of several
        colours.
    dims
        2, or 3 for a three-dimensional picture. None takes the number of `components` if given.
        Otherwise it means 3 for an embedding of exactly three columns (unless `ax` is 2-D),
        else 2.
    projection
        ``'2d'`` or ``'3d'``: scanpy's name for `dims`.
    layer
        Layer that holds a variable's values; None takes ``X``.
    use_raw
        Take variables from ``raw``. None does so if there is a ``raw`` and no `layer` is given;
        variables that ``raw`` lacks then come from ``X``.
    gene_symbols
        Column of ``var`` with other names of variables, for names that are not in ``var_names``.
    groups
        Names of the groups to show; all other points are drawn as if they had no value.
    mask_obs
        The points to show, as truth values or as the name of a column of ``obs`` that holds them;
        all other points are drawn as if they had no value.
    palette
        Colours of the groups: a mapping from category to colour, colours in the order of the
        categories, a cycler, or a colour map or its name. Colours are repeated if they are too
        few, with a warning in the log. None takes ``uns['<color>_colors']``, as scanpy writes it,
        if it fits, and otherwise the package's own colours.
    cmap
        Colour map for numbers, or its name; None takes the one that matplotlib is set to use,
        viridis. Also called `color_map`.
    vmin, vmax, vcenter
        Ends and centre of the scale of numbers, or a list of one for each panel: a number, a date
        or duration where the values are such, a percentile as in ``'p99'``, or a function of the
        values. The default range is that of the finite values; without `vcenter` the scale is
        linear, with it each half is.
    norm
        Norm of matplotlib's that takes the place of these, or a list of one for each panel.
    na_color
        Colour of points without a value, which are drawn below the others, and of all points if
        `color` is None; None takes a grey close to the background.
    size, alpha
        Area of a point in square points, and opacity, for all points or one for each; None
        chooses each by the number of points and the size of the axes.
    marker
        Marker of matplotlib's, or a list of one for each panel; None is a disc.
    raster
        Count points in pixels instead of drawing each one: their number sets the opacity, their
        mean the colour. None does so above 300,000 points, unless `size`, `alpha`, `marker` or
        another parameter of single points is given or the picture has three dimensions.
    sort_order
        Draw larger numbers above smaller ones, as scanpy does, instead of in a shuffled order.
    add_outline, outline_width, outline_color
        Draw a border around groups of points: its width and that of a gap in it, relative to a
        point's diameter; their colours, by default black and white.
    edges, edges_width, edges_color, neighbors_key
        Draw the edges of the graph that ``uns[neighbors_key]`` names (by default ``'neighbors'``):
        their width in points and their one colour. At most 2,000,000 edges can be drawn.
    legend_loc
        ``'right margin'``, ``'on data'`` (names beside their groups), a place within the axes as
        matplotlib names it (``'best'``, ``'upper right'`` …), or None.
    legend_fontsize, legend_fontweight, legend_fontoutline
        Size of the names' letters, weight, and width of an outline in points. By default,
        letters in a legend become smaller and lines are broken where the names are many or long.
        Names that still do not fit are cut.
    na_in_legend
        Name the points without a group in the legend, too.
    colorbar_loc
        Side of the axes where colour bars are: ``'right'``, ``'left'``, ``'top'``, ``'bottom'``;
        None draws none.
    title
        Title of the axes, one for each panel; None takes `color`, ``''`` means no title.
    frameon
        True draws a frame around the points, False removes the names of the axes, too.
    ax
        Axes to draw into, for a single panel; None makes a figure.
    ncols
        Panels in a row; None means 4, or fewer where wide legends are beside them.
    wspace, hspace
        More space between the panels, relative to their width and height.
    show
        True calls ``matplotlib.pyplot.show()`` and returns nothing.
    save
        File to write: a path, with an ending that matplotlib knows. True writes ``umap.pdf``, or
        another name by the `basis`.
    return_fig
        Return the figure instead of the axes.
    more
        `edgecolors`, `linewidths` and `rasterized`, as of matplotlib's ``scatter``.

    Returns
    -------
    The axes, or a list of axes if there are several panels or `color` is a sequence; the figure is
    ``ax.figure``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        For an unknown `basis`, `color` or `layer`, `components` beyond the embedding, unknown
        colours, and the like. Nothing has been drawn in that case.

    Examples
    --------
    >>> import umapcore as uc
    >>> ax = uc.pl.umap(adata, color="cell_type", legend_loc="on data")  # doctest: +SKIP
    >>> ax.figure.savefig("umap.pdf")  # doctest: +SKIP
    >>> uc.pl.umap(adata, color=["CD3E", "MS4A1"], cmap="magma", vmax="p99")  # doctest: +SKIP
    """
    given = dict(locals())
    given |= given.pop("more")
    adata, color, ax = (given.pop(name) for name in ("adata", "color", "ax"))
    require_matplotlib()
    chosen = options.named(umap, given)
    for name in ("obs", "obsm", "uns"):
        if not hasattr(adata, name):
            raise bad_type("adata", adata, "an AnnData object, as anndata.read_h5ad returns it")
    embedding = read_embedding(adata, chosen["basis"])
    picture = Picture.read(adata, color, chosen, embedding, ax)
    output = options.Output.read(chosen, embedding.name)
    # All parameters are checked: nothing below raises.
    axes = picture.draw(ax)
    one = len(axes) == 1 and (color is None or isinstance(color, str))
    finished: Axes | list[Axes] | Figure | None
    finished = figure.finish(axes[0] if one else axes, output)
    return finished


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
class Picture:
    """A picture whose parameters are all checked."""

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
    ) -> Picture:
        """Check everything that :func:`umap` is given, and read the values.

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

    def draw(self, ax: Axes | None = None) -> list[Axes]:
        """Draw all panels, into a new figure if there are no axes yet."""
        if ax is not None:
            self._panel(self.panels[0], ax, self._box(self.panels[0], ax), axes_size(ax)[0])
            self._names_on_data([ax])
            return [ax]
        first = self.embedding.values[:, self.panels[0].columns]
        count = len(self.panels)
        wide, high = figure.panel_size(first, count)
        for taller, smallest in _TRIES if self.legend.beside else [(1.0, SMALLEST)]:
            place = wide, taller * high
            boxes = [self._box(panel, place, smallest) for panel in self.panels]
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

    def at(self, positions: NDArray[np.floating[Any]]) -> Picture:
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

    def _box(
        self, panel: Panel, place: Axes | tuple[float, float], smallest: float = SMALLEST
    ) -> LegendBox | None:
        """Fit the names of the groups beside or into a panel; None if there are none to write."""
        groups = panel.values
        if not isinstance(groups, Groups) or self.legend.place is None or self.legend.on_data:
            return None
        names = list(groups.names)
        if self.legend.na_in_legend and (groups.codes < 0).any():
            names.append(self.rest)
        if not names:
            return None
        size = place if isinstance(place, tuple) else axes_size(place)
        across, down = _INSIDE
        if self.legend.beside:
            across, down = (_BESIDE if isinstance(place, tuple) else _BESIDE_IN_AXES), 1.0
        width, height = across * size[0] * _POINTS_PER_INCH, down * size[1] * _POINTS_PER_INCH
        return LegendBox.fit(names, width, height, self.legend, smallest)

    def _names_on_data(self, axes: Sequence[Axes]) -> None:
        if not self.legend.on_data:
            return
        for ax, panel in zip(axes, self.panels, strict=True):
            if isinstance(panel.values, Groups):
                points = self.embedding.values[:, panel.columns]
                decorations.names_on_data(ax, points, panel.values, panel.shades)


def require_matplotlib() -> None:
    """Raise an ImportError that says what to install if matplotlib is missing."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        msg = 'Plots need matplotlib: pip install "umapcore[plot]"'
        raise ImportError(msg) from error


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
            raise bad_value("mask_obs", mask, f"{allowed}.{hint}")
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
                raise bad_value("groups", groups, f"names of groups.{did_you_mean(name, known)}")
        read = {
            name: values.only(names) if isinstance(values, Groups) else values
            for name, values in read.items()
        }
    if mask is not None:
        read = {
            name: values if values is None else values.masked(mask) for name, values in read.items()
        }
    return [read[name] for name in colors]
