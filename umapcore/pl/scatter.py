"""``umapcore.pl.umap``: draw an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from umapcore.anndata_io.write import check_object
from umapcore.pl import figure, options
from umapcore.pl.drawing import Drawing
from umapcore.pl.positions import read_embedding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

Limit = float | str | None


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
        their width in points and their one colour. At most 1,000,000 edges can be drawn.
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
    check_object(adata)
    embedding = read_embedding(adata, chosen["basis"])
    drawing = Drawing.read(adata, color, chosen, embedding, ax)
    output = options.Output.read(chosen, embedding.name)
    # All parameters are checked: nothing below raises.
    axes = drawing.draw(ax)
    one = len(axes) == 1 and (color is None or isinstance(color, str))
    finished: Axes | list[Axes] | Figure | None
    finished = figure.finish(axes[0] if one else axes, output)
    return finished


def require_matplotlib() -> None:
    """Raise an ImportError that says what to install if matplotlib is missing."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        msg = 'Plots need matplotlib: pip install "umapcore[plot]"'
        raise ImportError(msg) from error
