"""Scatter plots of embeddings: AnnData in, matplotlib axes out. Needs ``umapcore[plot]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from umapcore.errors import bad_value, nearest
from umapcore.palette import group_colors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["umap"]

LegendPlace = Literal["right margin", "on data"]

NA_COLOR = "#d4d4d4"
_LEGEND_ROWS = 20
# Vector files of more points than this would be slow to open; text and axes stay vectors.
_RASTERIZE_ABOVE = 5_000


def umap(
    adata: AnnData,
    color: str | None = None,
    *,
    basis: str = "X_umap",
    components: tuple[int, int] = (0, 1),
    layer: str | None = None,
    ax: Axes | None = None,
    palette: Sequence[str] | Mapping[str, str] | None = None,
    cmap: str = "viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    na_color: str = NA_COLOR,
    size: float | None = None,
    alpha: float | None = None,
    legend_loc: LegendPlace | None = "right margin",
    title: str | None = None,
) -> Axes:
    """Draw an embedding as a scatter plot.

    Points are drawn in a shuffled order that is the same every time, so that no group hides
    another only because it comes last in the file.

    Parameters
    ----------
    adata
        Annotated data with an embedding in ``obsm``.
    color
        A column of ``obs`` or a name in ``var_names``. Text, categories and booleans are drawn as
        groups, numbers on a scale. None draws all points alike.
    basis
        Key of the embedding in ``obsm``, with or without the leading ``X_``.
    components
        The two columns of the embedding to draw.
    layer
        Layer to take a variable's values from; None takes ``X``.
    ax
        Axes to draw into; None makes a figure.
    palette
        Colours of the groups: a sequence in the order of the categories, or a mapping from
        category to colour. None takes ``uns['<color>_colors']`` where it fits, as scanpy writes
        it, else the package's own colours.
    cmap, vmin, vmax
        Colour map and its range for numbers; the range defaults to that of the finite values.
    na_color
        Colour of points without a value; they are drawn first.
    size, alpha
        Area of a point in square points, and opacity; None chooses both by the number of points.
    legend_loc
        ``'right margin'``, ``'on data'`` (names beside their groups) or None.
    title
        Title of the axes; None takes `color`.

    Returns
    -------
    The axes; the figure is ``ax.figure``.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        An unknown `basis`, `color` or `layer`, `components` beyond the embedding, or a palette
        that is too short.
    """
    _require_matplotlib()
    if legend_loc not in ("right margin", "on data", None):
        raise bad_value("legend_loc", legend_loc, "'right margin', 'on data' or None")
    points = _positions(adata, basis, components)
    values = None if color is None else _values(adata, color, layer)
    if ax is None:
        ax = _new_axes()

    style = _Style.for_points(len(points), size, alpha)
    if values is None:
        _scatter(ax, points, "#4c78a8", style)
    elif isinstance(values, _Groups):
        assert color is not None
        shades = _shades(adata, color, values, palette)
        _draw_groups(ax, points, values, shades, na_color, style)
    else:
        _draw_numbers(ax, points, values, cmap, (vmin, vmax), na_color, style)

    name = basis.removeprefix("X_").upper()
    _tidy(ax, [f"{name} {i + 1}" for i in components], title if title is not None else color)
    if isinstance(values, _Groups):
        if legend_loc == "right margin":
            _legend(ax, values, shades, na_color)
        elif legend_loc == "on data":
            _labels(ax, points, values, shades)
    return ax


@dataclass(frozen=True)
class _Groups:
    """A group for every point; code -1 is missing. Only groups that occur are named."""

    codes: NDArray[np.intp]
    names: list[str]
    #: Where each name stands among all categories, used or not.
    category: list[int]
    n_categories: int


@dataclass(frozen=True)
class _Style:
    size: float
    alpha: float
    rasterized: bool

    @classmethod
    def for_points(cls, n: int, size: float | None, alpha: float | None) -> _Style:
        # Where points must overlap, seeing through them shows how many there are.
        auto_size = float(np.clip(40_000 / max(n, 1), 0.4, 30.0))
        auto_alpha = float(np.clip(1.15 - 0.1 * np.log10(max(n, 1)), 0.5, 0.9))
        return cls(
            size=auto_size if size is None else size,
            alpha=auto_alpha if alpha is None else alpha,
            rasterized=n > _RASTERIZE_ABOVE,
        )


def _require_matplotlib() -> None:
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        msg = 'Plots need matplotlib: pip install "umapcore[plot]"'
        raise ImportError(msg) from error


def _positions(
    adata: AnnData, basis: str, components: tuple[int, int]
) -> NDArray[np.floating[Any]]:
    key = basis if basis in adata.obsm else f"X_{basis}"
    if key not in adata.obsm:
        hint = nearest(basis, adata.obsm.keys()) or " Run `umapcore.tl.umap` first."
        msg = f"Did not find .obsm[{basis!r}].{hint}"
        raise ValueError(msg)
    embedding = np.asarray(adata.obsm[key])
    if (
        len(components) != 2
        or not all(0 <= i < embedding.shape[1] for i in components)
        or embedding.shape[1] < 2
    ):
        allowed = f"two columns of an embedding with {embedding.shape[1]} (counted from 0)"
        raise bad_value("components", components, allowed)
    return embedding[:, list(components)]


def _values(adata: AnnData, color: str, layer: str | None) -> _Groups | NDArray[np.float64]:
    import pandas as pd

    if color in adata.obs.columns:
        column = adata.obs[color]
    elif color in adata.var_names:
        column = pd.Series(_variable(adata, color, layer))
    else:
        hint = nearest(color, [*adata.obs.columns, *adata.var_names[:50_000]])
        raise bad_value("color", color, f"None, a column of obs or a name in var_names.{hint}")
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    categorical = pd.Categorical(column)
    codes = np.asarray(categorical.codes, dtype=np.intp)
    used = np.unique(codes[codes >= 0])
    compact = np.searchsorted(used, codes)
    return _Groups(
        codes=np.where(codes >= 0, compact, -1),
        names=[str(categorical.categories[i]) for i in used],
        category=used.tolist(),
        n_categories=len(categorical.categories),
    )


def _variable(adata: AnnData, name: str, layer: str | None) -> NDArray[Any]:
    """Values of a variable in all cells, dense."""
    if layer is not None and layer not in adata.layers:
        layers = [key for key in adata.layers if isinstance(key, str)]
        raise bad_value("layer", layer, f"None or a key of layers.{nearest(layer, layers)}")
    first = np.flatnonzero(adata.var_names == name)[:1]
    chosen = adata[:, first]
    matrix = chosen.X if layer is None else chosen.layers[layer]
    if matrix is None:
        raise bad_value("color", name, "a column of obs, or adata needs X or a layer")
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix).ravel()


def _shades(
    adata: AnnData,
    color: str,
    groups: _Groups,
    palette: Sequence[str] | Mapping[str, str] | None,
) -> list[str]:
    from collections.abc import Mapping

    if isinstance(palette, Mapping):
        missing = [name for name in groups.names if name not in palette]
        if missing:
            raise bad_value("palette", palette, f"a mapping that has a colour for {missing[0]!r}")
        return [palette[name] for name in groups.names]
    if palette is not None and len(palette) < groups.n_categories:
        raise bad_value("palette", palette, f"at least {groups.n_categories} colours")
    if palette is None:
        stored = adata.uns.get(f"{color}_colors")
        fits = stored is not None and len(stored) >= groups.n_categories
        palette = [str(c) for c in stored] if fits else group_colors(groups.n_categories)
    return [palette[i] for i in groups.category]


def _new_axes() -> Axes:
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    return ax


def _scatter(ax: Axes, points: NDArray[np.floating[Any]], colors: Any, style: _Style) -> Any:
    if not len(points):
        return None
    return ax.scatter(
        points[:, 0],
        points[:, 1],
        s=style.size,
        c=colors,
        alpha=style.alpha,
        linewidths=0,
        rasterized=style.rasterized,
    )


def _draw_groups(
    ax: Axes,
    points: NDArray[np.floating[Any]],
    groups: _Groups,
    shades: list[str],
    na_color: str,
    style: _Style,
) -> None:
    from matplotlib.colors import to_rgba_array

    missing = groups.codes < 0
    _scatter(ax, points[missing], na_color, style)
    order = _shuffled(~missing)
    if len(order):
        _scatter(ax, points[order], to_rgba_array(shades)[groups.codes[order]], style)


def _draw_numbers(
    ax: Axes,
    points: NDArray[np.floating[Any]],
    values: NDArray[np.float64],
    cmap: str,
    limits: tuple[float | None, float | None],
    na_color: str,
    style: _Style,
) -> None:
    missing = np.isnan(values)
    _scatter(ax, points[missing], na_color, style)
    order = _shuffled(~missing)
    if not len(order):
        return
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    # matplotlib leaves points with infinite values out; they belong at the ends of the scale.
    drawn = _scatter(ax, points[order], np.clip(values[order], low, high), style)
    drawn.set_cmap(cmap)
    drawn.set_clim(
        low if limits[0] is None else limits[0], high if limits[1] is None else limits[1]
    )
    bar: Any = ax.figure.colorbar(drawn, ax=ax, shrink=0.6, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    # The points may be seen through; the scale that explains them may not.
    bar.solids.set_alpha(1.0)


def _shuffled(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    return np.random.default_rng(0).permutation(np.flatnonzero(chosen))


def _tidy(ax: Axes, axis_names: Sequence[str], title: str | None) -> None:
    """Take away what says nothing: ticks and frame. A UMAP's axes have no units."""
    ax.set_aspect("equal", adjustable="box")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_xlabel(axis_names[0], loc="left", color="0.45", fontsize="small")
    ax.set_ylabel(axis_names[1], loc="bottom", color="0.45", fontsize="small")
    if title:
        ax.set_title(title)


def _legend(ax: Axes, groups: _Groups, shades: list[str], na_color: str) -> None:
    from matplotlib.lines import Line2D

    entries = list(zip(groups.names, shades, strict=True))
    if (groups.codes < 0).any():
        entries.append(("missing", na_color))
    ax.legend(
        handles=[
            Line2D([], [], marker="o", linestyle="", markersize=6, color=shade, label=name)
            for name, shade in entries
        ],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize="small",
        ncols=-(-len(entries) // _LEGEND_ROWS),
        handletextpad=0.2,
    )


def _labels(
    ax: Axes, points: NDArray[np.floating[Any]], groups: _Groups, shades: list[str]
) -> None:
    from umapcore.pl_labels import label_groups

    # Places are chosen in pixels, so the layout must be final before.
    ax.figure.canvas.figure.draw_without_rendering()
    finite = np.isfinite(points).all(axis=1) & (groups.codes >= 0)
    if finite.any():
        label_groups(ax, points[finite], groups.codes[finite], groups.names, shades)
