"""Read the values that colour points: groups or numbers, from obs, X, layers or raw."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.stored import plain_list, stored_column
from umapcore.errors import bad_type, bad_value, did_you_mean
from umapcore.logs import logger
from umapcore.pl.palette import group_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

# Most names that are searched for a similar one; more would take long.
_NAMES_TO_HINT = 50_000


@dataclass(frozen=True)
class Groups:
    """A group for each point; code -1 means missing. Only groups that occur are named."""

    codes: NDArray[np.intp]
    names: list[str]
    #: Index of each name among all categories, used or not.
    category: list[int]
    n_categories: int

    def only(self, chosen: Sequence[str]) -> Groups:
        """Return only the chosen groups; the points of all others count as missing."""
        if isinstance(chosen, str):
            chosen = [chosen]
        for name in chosen:
            if str(name) not in self.names:
                allowed = "names of groups." + did_you_mean(str(name), self.names)
                raise bad_value("groups", chosen, allowed)
        wanted = {str(name) for name in chosen}
        kept = [i for i, name in enumerate(self.names) if name in wanted]
        new = np.full(len(self.names) + 1, -1, dtype=np.intp)
        new[kept] = np.arange(len(kept))
        return Groups(
            codes=new[self.codes],
            names=[self.names[i] for i in kept],
            category=[self.category[i] for i in kept],
            n_categories=self.n_categories,
        )


def read_values(
    adata: AnnData,
    color: str,
    *,
    layer: str | None = None,
    use_raw: bool | None = None,
    gene_symbols: str | None = None,
) -> Groups | NDArray[np.float64]:
    """Return the values of a column of `obs` or, if there is none, of a variable.

    Parameters
    ----------
    adata
        Annotated data; it is only read.
    color
        Name of the column or variable.
    layer
        Layer that holds the variable's values.
    use_raw
        Take a variable from `raw`; None does so if there is a `raw` and no layer is given.
    gene_symbols
        Column of `var` in which the variable is looked up, instead of the index.

    Returns
    -------
    Groups for text, categories and booleans; float64 numbers for numbers; n_obs of them.

    Raises
    ------
    ValueError, TypeError
        If there is no such name.
    """
    import pandas as pd

    if not isinstance(color, str):
        raise bad_type("color", color, "a column of obs or a name in var_names")
    if color in adata.obs.columns:
        column = stored_column(adata.obs, color)
        if isinstance(column, pd.DataFrame):
            raise bad_value("color", color, "a column that occurs once in obs")
    else:
        column = pd.Series(_variable(adata, color, layer, use_raw, gene_symbols))
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.dt.strftime("%Y-%m-%d %H:%M")
    categorical = pd.Categorical(column)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        # Text is sorted naturally: 'cluster 2' comes before 'cluster 10'.
        names = sorted(categorical.categories, key=_natural)
        categorical = categorical.reorder_categories(names)
    codes = np.asarray(categorical.codes, dtype=np.intp)
    used = np.unique(codes[codes >= 0])
    compact = np.searchsorted(used, codes)
    return Groups(
        codes=np.where(codes >= 0, compact, -1),
        names=[str(categorical.categories[i]) for i in used],
        category=used.tolist(),
        n_categories=len(categorical.categories),
    )


def _natural(name: Any) -> list[tuple[int, int, str]]:
    """Return a sort key that compares numbers in text as numbers."""
    parts = re.split(r"(\d+)", str(name))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _variable(
    adata: AnnData,
    name: str,
    layer: str | None,
    use_raw: bool | None,
    gene_symbols: str | None,
) -> NDArray[Any]:
    """Return the values of a variable in all cells, dense."""
    if getattr(adata, "layers", None) is None:  # MuData has variables in its modalities only
        msg = str(bad_value("color", name, "None or a column of obs"))
        raise ValueError(msg + did_you_mean(name, map(str, adata.obs.columns)))
    if layer is not None and layer not in adata.layers:
        layers = [key for key in adata.layers if isinstance(key, str)]
        raise bad_value("layer", layer, f"None or a key of layers.{did_you_mean(layer, layers)}")
    if use_raw and layer is not None:
        msg = f"use_raw={use_raw!r} and layer={layer!r} exclude each other: give one of the two."
        raise ValueError(msg)
    if use_raw and adata.raw is None:
        raise bad_value("use_raw", use_raw, "False or None where adata has no raw")
    # Unless the caller chose: try raw first, then adata.
    sources = [adata.raw] if use_raw or (use_raw is None and layer is None) else []
    sources += [] if use_raw else [adata]
    known: list[str] = []
    for source in sources:
        if source is None:
            continue
        names = source.var_names if gene_symbols is None else _symbols(source, gene_symbols)
        first = np.flatnonzero(names == name)[:1]
        if not len(first):
            known += [str(known_name) for known_name in names[:_NAMES_TO_HINT]]
            continue
        if source is adata:
            chosen = source[:, first]
            matrix = chosen.X if layer is None else chosen.layers[layer]
        else:  # a slice of a file-backed raw would return the whole matrix
            matrix = source.X[:, first]
        if matrix is None:
            raise bad_value("color", name, "a column of obs, or adata needs X or a layer")
        matrix = matrix.compute() if hasattr(matrix, "compute") else matrix
        return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix).ravel()
    hint = did_you_mean(name, [*map(str, adata.obs.columns), *known])
    raise bad_value("color", name, f"None, a column of obs or a name in var_names.{hint}")


def _symbols(source: Any, column: str) -> Any:
    if column not in source.var.columns:
        hint = did_you_mean(column, map(str, source.var.columns))
        raise bad_value("gene_symbols", column, f"None or a column of var.{hint}")
    return source.var[column].astype(str).to_numpy()


def shades(
    adata: AnnData,
    color: str,
    groups: Groups,
    palette: str | Sequence[str] | Mapping[str, str] | None,
    *,
    dark: bool = False,
) -> list[str]:
    """Choose a colour for each group.

    Parameters
    ----------
    adata
        Annotated data, only read. It may hold ``uns['<color>_colors']``, as scanpy writes it.
    color
        Name of the column or variable that defines the groups.
    groups
        The groups.
    palette
        A mapping from name to colour, a sequence in the order of all categories, the name of a
        matplotlib colour map, or None.
    dark
        Whether the background is dark.

    Raises
    ------
    ValueError
        If the palette lacks a colour or contains an invalid one.
    """
    from matplotlib.colors import is_color_like

    if isinstance(palette, str):
        palette = _from_colormap(palette, groups.n_categories)
    if isinstance(palette, Mapping):
        missing = [name for name in groups.names if name not in palette]
        if missing:
            raise bad_value("palette", palette, f"a mapping that has a colour for {missing[0]!r}")
        found = [palette[name] for name in groups.names]
    else:
        if palette is not None and len(palette) < groups.n_categories:
            raise bad_value("palette", palette, f"at least {groups.n_categories} colours")
        if palette is None:
            palette = _stored(adata, color, groups.n_categories)
        if palette is None:
            palette = group_colors(groups.n_categories, dark=dark)
        found = [palette[i] for i in groups.category]
    for shade in found:
        if not is_color_like(shade):
            raise bad_value("palette", shade, "made of colours that matplotlib knows")
    return found


def _stored(adata: AnnData, color: str, n_categories: int) -> list[str] | None:
    """Return the colours that scanpy has stored, or None if they do not fit these categories."""
    from matplotlib.colors import is_color_like

    found = [str(shade) for shade in plain_list(adata.uns.get(f"{color}_colors"))]
    if len(found) < n_categories or not found:
        return None
    strange = [shade for shade in found if not is_color_like(shade)]
    if strange:
        logger.warning(
            "uns[%r] is not used: matplotlib does not know the colour %r",
            f"{color}_colors",
            strange[0],
        )
        return None
    return found


def _from_colormap(name: str, count: int) -> list[str]:
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap, to_hex

    if name not in mpl.colormaps:
        hint = did_you_mean(name, list(mpl.colormaps))
        raise bad_value("palette", name, f"colours or the name of a colour map.{hint}")
    cmap = mpl.colormaps[name]
    if isinstance(cmap, ListedColormap) and cmap.N < 256:
        if count > cmap.N:
            raise bad_value("palette", name, f"at least {count} colours")
        return [to_hex(cmap(i)) for i in range(count)]
    return [to_hex(cmap(value)) for value in np.linspace(0.0, 1.0, max(count, 1))]
