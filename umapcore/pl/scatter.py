"""``umapcore.pl.umap``: check the parameters and draw the panels."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from umapcore.errors import bad_type, bad_value, did_you_mean
from umapcore.pl import decorations
from umapcore.pl.points import Canvas
from umapcore.pl.style import RASTER_ABOVE, on_dark
from umapcore.pl.values import Groups, read_values, shades

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

LegendPlace = Literal["right margin", "on data"]
Limit = float | str | None

_LEGEND_PLACES = ("right margin", "on data", None)
_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
# Size of a panel in inches, without its legend or colour bar.
_PANEL, _PANEL_OF_SEVERAL = (5.4, 4.8), (4.1, 3.7)
_COLOR_BAR, _HEADING = 0.6, 0.5
# Bounds of a panel's height, relative to its default, whatever the shape of the points.
_SHAPES = (0.6, 1.3)


def umap(
    adata: AnnData,
    color: str | Sequence[str | None] | None = None,
    *,
    basis: str = "X_umap",
    components: Sequence[int] | None = None,
    dims: Literal[2, 3] | None = None,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
    groups: str | Sequence[str] | None = None,
    ax: Axes | None = None,
    ncols: int = 4,
    palette: str | Sequence[str] | Mapping[str, str] | None = None,
    cmap: str = "viridis",
    vmin: float | str | None = None,
    vmax: float | str | None = None,
    na_color: str | None = None,
    size: float | None = None,
    alpha: float | None = None,
    raster: bool | None = None,
    sort_order: bool = False,
    legend_loc: LegendPlace | None = "right margin",
    title: str | Sequence[str] | None = None,
) -> Axes | list[Axes]:
    """Draw an embedding as a scatter plot.

    Points are drawn in a shuffled order that is the same every time. Otherwise a group could hide
    another one only because it comes last in the file. `adata` is only read.

    Parameters
    ----------
    adata
        Annotated data with an embedding in ``obsm``.
    color
        A column of ``obs`` or a name in ``var_names``; a sequence makes one panel for each. Text,
        categories and booleans are drawn as groups, numbers on a colour scale. None draws all
        points alike.
    basis
        Key of the embedding in ``obsm``, with or without the leading ``X_``.
    components
        The columns of the embedding to draw, counted from 0; None takes the first ones.
    dims
        2, or 3 for a three-dimensional picture. None takes the number of `components` if given.
        Otherwise it means 3 for an embedding of exactly three columns (unless `ax` is 2-D),
        else 2.
    layer
        Layer that holds a variable's values; None takes ``X``.
    use_raw
        Take variables from ``raw``. None does so if there is a ``raw`` and no `layer` is given;
        variables that ``raw`` lacks then come from ``X``.
    gene_symbols
        Column of ``var`` with the variable names used in `color`; None means ``var_names``.
    groups
        Names of the groups to show; all other points are drawn as if they had no value.
    ax
        Axes to draw into, for a single panel; None makes a figure.
    ncols
        Panels in a row.
    palette
        Colours of the groups: a sequence in the order of the categories, a mapping from category
        to colour, or the name of a colour map. None takes ``uns['<color>_colors']``, as scanpy
        writes it, if it fits, and otherwise the package's own colours.
    cmap, vmin, vmax
        Colour map for numbers and its range. The default range is that of the finite values;
        ``'p99'`` means their 99th percentile.
    na_color
        Colour of points without a value, which are drawn below the others; None takes a grey
        close to the background.
    size, alpha
        Area of a point in square points, and opacity; None chooses each by the number of points
        and the size of the axes.
    raster
        Count points in pixels instead of drawing each one: their number sets the opacity, their
        mean the colour. None does so above 300,000 points, unless `size` or `alpha` is given or
        the picture has three dimensions.
    sort_order
        Draw larger numbers above smaller ones, as scanpy does, instead of in a shuffled order.
    legend_loc
        ``'right margin'``, ``'on data'`` (names beside their groups) or None.
    title
        Title of the axes, one for each panel; None takes `color`, ``''`` means no title.

    Returns
    -------
    The axes, or a list of axes if `color` is a sequence; the figure is ``ax.figure``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        For an unknown `basis`, `color` or `layer`, `components` beyond the embedding, a palette
        that is too short, and the like. Nothing has been drawn in that case.

    Examples
    --------
    >>> import umapcore as uc
    >>> ax = uc.pl.umap(adata, color="cell_type", legend_loc="on data")  # doctest: +SKIP
    >>> ax.figure.savefig("umap.pdf")  # doctest: +SKIP
    >>> uc.pl.umap(adata, color=["CD3E", "MS4A1"], cmap="magma", vmax="p99")  # doctest: +SKIP
    """
    require_matplotlib()
    if legend_loc not in _LEGEND_PLACES:
        raise bad_value("legend_loc", legend_loc, "'right margin', 'on data' or None")
    one = color is None or isinstance(color, str)
    colors = _colors(color)
    if ax is not None and len(colors) > 1:
        msg = f"ax was given with {len(colors)} colors: give one color, or leave ax out."
        raise ValueError(msg)
    if not isinstance(ncols, int) or ncols < 1:
        raise bad_value("ncols", ncols, "an integer of at least 1")
    titles = _titles(title, colors)
    points, axis_names = _positions(adata, basis, components, dims, ax)
    if raster is None:
        raster = len(points) > RASTER_ABOVE and size is None and alpha is None
        raster = raster and points.shape[1] == 2
    elif raster and points.shape[1] == 3:
        raise bad_value("raster", raster, "False or None for a picture of three dimensions")
    panels = []
    for name in colors:
        values = None
        if name is not None:
            values = read_values(
                adata, name, layer=layer, use_raw=use_raw, gene_symbols=gene_symbols
            )
        if isinstance(values, Groups) and groups is not None:
            values = values.only(groups)
        limits = (0.0, 1.0)
        if isinstance(values, np.ndarray):
            limits = _limits(values, vmin, vmax, cmap)
        panels.append(_Panel(name, values, limits))
    chosen = [
        shades(adata, panel.color, panel.values, palette, dark=on_dark(ax))
        if isinstance(panel.values, Groups) and panel.color is not None
        else []
        for panel in panels
    ]
    # All parameters are checked: nothing below raises.
    made = ax is None
    axes = [ax] if ax is not None else _new_axes(points, len(panels), ncols)
    for place, panel, colors_of, heading in zip(axes, panels, chosen, titles, strict=True):
        canvas = Canvas.on(place, points, size=size, alpha=alpha, raster=raster, na_color=na_color)
        if panel.values is None:
            canvas.plain()
        elif isinstance(panel.values, Groups):
            canvas.groups(panel.values, colors_of)
            if legend_loc == "right margin":
                rest = "missing" if groups is None else "other"
                decorations.legend(place, panel.values, colors_of, (rest, canvas.na_color))
        else:
            scale = canvas.numbers(panel.values, cmap, panel.limits, sort_order=sort_order)
            decorations.color_bar(place, scale)
        decorations.tidy(place, axis_names, heading)
    if made:
        make_room(axes, min(ncols, len(axes)))
    if legend_loc == "on data":
        for place, panel, colors_of in zip(axes, panels, chosen, strict=True):
            if isinstance(panel.values, Groups):
                decorations.names_on_data(place, points, panel.values, colors_of)
    return axes[0] if one else axes


@dataclass(frozen=True)
class _Panel:
    color: str | None
    values: Groups | NDArray[np.float64] | None
    limits: tuple[float, float]


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
    return colors


def _titles(title: str | Sequence[str] | None, colors: Sequence[str | None]) -> list[str | None]:
    if title is None:
        return list(colors)
    titles = [title] if isinstance(title, str) else list(title)
    if len(titles) != len(colors):
        raise bad_value("title", title, f"as many titles as there are panels, {len(colors)}")
    return list(titles)


def _positions(
    adata: AnnData,
    basis: str,
    components: Sequence[int] | None,
    dims: int | None,
    ax: Any,
) -> tuple[NDArray[np.floating[Any]], list[str]]:
    """Return positions, with as many columns as the picture has dimensions, and axis names."""
    key = basis if basis in adata.obsm else f"X_{basis}"
    if key not in adata.obsm:
        hint = did_you_mean(basis, adata.obsm.keys()) or " Run `umapcore.tl.umap` first."
        msg = f"Did not find .obsm[{basis!r}].{hint}"
        raise ValueError(msg)
    stored = adata.obsm[key]
    embedding = np.asarray(stored.toarray() if hasattr(stored, "toarray") else stored)
    if dims not in (None, 2, 3):
        raise bad_value("dims", dims, "2, 3 or None")
    width = embedding.shape[1]
    in_space = getattr(ax, "name", "") == "3d"
    if components is None:
        if dims is None:
            dims = 3 if in_space or (width == 3 and ax is None) else 2
        if dims > width:
            raise bad_value("dims", dims, f"at most {width}, the columns of .obsm[{key!r}]")
        components = range(dims)
    allowed = f"two or three columns of an embedding with {width} (counted from 0)"
    if isinstance(components, str) or len(components) not in ({2, 3} if dims is None else {dims}):
        raise bad_value("components", components, allowed)
    for component in components:
        if not isinstance(component, (int, np.integer)):
            raise bad_type("components", components, allowed)
        if not 0 <= component < width:
            raise bad_value("components", components, allowed)
    if ax is not None and (len(components) == 3) != in_space:
        msg = f"ax has {3 if in_space else 2} dimensions and the picture {len(components)}."
        raise ValueError(msg)
    name = key.removeprefix("X_")
    name = name.upper() if name.lower() in {"umap", "pca", "tsne"} else name
    return embedding[:, list(components)], [f"{name} {i + 1}" for i in components]


def _limits(
    values: NDArray[np.float64], vmin: Limit, vmax: Limit, cmap: str
) -> tuple[float, float]:
    """Return the ends of the colour scale."""
    import matplotlib as mpl

    if isinstance(cmap, str) and cmap not in mpl.colormaps:
        hint = did_you_mean(cmap, list(mpl.colormaps))
        raise bad_value("cmap", cmap, f"the name of a colour map of matplotlib.{hint}")
    finite = values[np.isfinite(values)]
    low = _limit("vmin", vmin, finite, 0.0)
    high = _limit("vmax", vmax, finite, 100.0)
    if low > high:
        raise bad_value("vmin", low, f"at most vmax, {high:g}")
    return low, high


def _limit(name: str, limit: Limit, finite: NDArray[np.float64], percentile: float) -> float:
    if isinstance(limit, str):
        match = _PERCENTILE.fullmatch(limit)
        if match is None or float(match[1]) > 100:
            raise bad_value(name, limit, "a number, None, or a percentile as in 'p99'")
        percentile = float(match[1])
    elif limit is not None:
        if not np.isfinite(limit):
            raise bad_value(name, limit, "finite")
        return float(limit)
    return float(np.percentile(finite, percentile)) if len(finite) else percentile / 100


def _new_axes(points: NDArray[np.floating[Any]], count: int, ncols: int) -> list[Axes]:
    """Make a figure whose panels have about the shape of the point cloud."""
    import matplotlib.pyplot as plt

    columns = min(ncols, count)
    rows = math.ceil(count / columns)
    wide, high = _PANEL if count == 1 else _PANEL_OF_SEVERAL
    flat = points.shape[1] == 2
    if flat:
        finite = points[np.isfinite(points).all(axis=1)]
        width, height = np.ptp(finite, axis=0) if len(finite) else (0.0, 0.0)
        high *= float(np.clip(height / width, *_SHAPES)) if width > 0 and height > 0 else 1.0
    figure = plt.figure(figsize=(columns * wide, rows * (high + _HEADING)), layout="constrained")
    projection = None if flat else "3d"
    return [figure.add_subplot(rows, columns, i + 1, projection=projection) for i in range(count)]


def make_room(axes: Sequence[Axes], columns: int) -> None:
    """Widen the figure so that legends and colour bars take no room from the panels."""
    figure: Any = axes[0].figure
    beside = [0.0] * columns
    bars = {id(place) for place in axes}
    has_bar = len([place for place in figure.axes if id(place) not in bars]) > 0
    for i, place in enumerate(axes):
        legend = place.get_legend()
        room = _COLOR_BAR if has_bar and legend is None else 0.1
        if legend is not None:
            room = legend.get_window_extent().width / figure.dpi + 0.2
        beside[i % columns] = max(beside[i % columns], room)
    figure.set_size_inches(figure.get_figwidth() + sum(beside), figure.get_figheight())
    # With a fixed aspect of the axes, the figure's layout needs several steps to settle.
    for _ in range(2):
        figure.get_layout_engine().execute(figure)
