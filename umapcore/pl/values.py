"""Read the values that colour points: groups or numbers, from obs, X, layers or raw."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import in_memory
from umapcore._kit.stored import stored_column
from umapcore.errors import bad_type, bad_value, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from anndata import AnnData
    from numpy.typing import NDArray

# Most names that are searched for a similar one; more would take long.
_NAMES_TO_HINT = 50_000
#: Unit of numbers that are dates: days since 1970, as matplotlib counts them.
DATES = "date"
#: Units of durations, the longest first, in seconds.
UNITS = {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "seconds": 1.0}
# What pandas finds in a column of objects that is to be drawn on a scale.
_OBJECTS = {
    **dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), "number"),
    **dict.fromkeys(("date", "datetime", "datetime64"), DATES),
    **dict.fromkeys(("timedelta", "timedelta64"), "duration"),
    "period": "period",
}


@dataclass(frozen=True)
class Numbers:
    """A number for each point; NaN means missing."""

    values: NDArray[np.float64]
    #: None for plain numbers, :data:`DATES`, or the unit of durations, such as 'hours'.
    unit: str | None = None

    def masked(self, shown: NDArray[np.bool_]) -> Numbers:
        """Return the same with all other points missing."""
        return replace(self, values=np.where(shown, self.values, np.nan))


@dataclass(frozen=True)
class Groups:
    """A group for each point; code -1 means missing. Only groups that occur are named."""

    codes: NDArray[np.intp]
    names: list[str]
    #: Index of each name among all categories, used or not.
    category: list[int]
    n_categories: int

    def only(self, chosen: Collection[str]) -> Groups:
        """Return only the chosen groups; the points of all others count as missing."""
        return self._kept([i for i, name in enumerate(self.names) if name in chosen])

    def masked(self, shown: NDArray[np.bool_]) -> Groups:
        """Return the same with all other points missing."""
        left = replace(self, codes=np.where(shown, self.codes, -1))
        return left._kept(np.unique(left.codes[left.codes >= 0]).tolist())

    def _kept(self, kept: list[int]) -> Groups:
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
) -> Groups | Numbers:
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
        Column of `var` in which a variable is looked up that is not in the index.

    Returns
    -------
    Groups for text, categories and booleans; numbers for numbers, dates and durations.

    Raises
    ------
    ValueError, TypeError
        If there is no such name, or if its values can be neither.
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
    try:
        numbers = _numbers(column)
        return _groups(column) if numbers is None else numbers
    except (TypeError, ValueError) as error:
        msg = f"color={color!r} names values of type {column.dtype} that cannot be drawn: {error}."
        raise ValueError(msg) from error


def _numbers(column: Any) -> Numbers | None:
    """Return a column of numbers, dates or durations; None if it holds groups."""
    import pandas as pd

    types = pd.api.types
    kind = None
    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    if types.is_bool_dtype(column.dtype) or isinstance(column.dtype, pd.CategoricalDtype):
        return None
    if types.is_numeric_dtype(column.dtype):
        kind = "number"
    elif types.is_datetime64_any_dtype(column.dtype):
        kind = DATES
    elif types.is_timedelta64_dtype(column.dtype):
        kind = "duration"
    elif isinstance(column.dtype, pd.PeriodDtype):
        kind = "period"
    elif column.dtype == object and column.notna().any():
        kind = _OBJECTS.get(types.infer_dtype(column, skipna=True))
        if kind == "number":
            column = column.where(column.notna(), np.nan).astype(np.float64)
        elif kind == "duration":
            column = pd.to_timedelta(column)
        elif kind == "period":
            column = pd.Series(pd.PeriodIndex(column))
    if kind == "number":
        if types.is_complex_dtype(column.dtype):
            msg = "complex numbers have no order"
            raise TypeError(msg)
        return Numbers(np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan)))
    if kind == "duration":
        return _durations(column)
    if kind == "period":
        column, kind = column.dt.to_timestamp(), DATES
    return Numbers(days(column), DATES) if kind == DATES else None


def days(column: Any) -> NDArray[np.float64]:
    """Return dates as matplotlib's days since 1970; NaN where there is none."""
    from matplotlib import dates

    date2num: Any = dates.date2num

    if column.dtype != object:
        # With a time zone: what a clock there shows.
        column = column.dt.tz_localize(None)
        return np.asarray(date2num(column.to_numpy()), np.float64)
    known = column.notna().to_numpy()
    found = np.full(len(known), np.nan)
    # Time zones may differ within the column: what the clocks showed, as above.
    clocks = [
        each.replace(tzinfo=None) if isinstance(each, dt.datetime) else each
        for each in column[known]
    ]
    found[known] = date2num(np.array(clocks, "datetime64[us]"))
    return found


def _durations(column: Any) -> Numbers:
    """Return durations in the longest unit of which the longest of them is at least one."""
    passed = np.asarray(column.to_numpy() / np.timedelta64(1, "s"), np.float64)
    longest = float(np.nanmax(np.abs(passed), initial=0.0))
    unit = next((name for name, length in UNITS.items() if longest >= length), "seconds")
    return Numbers(passed / UNITS[unit], unit)


def _groups(column: Any) -> Groups:
    import pandas as pd

    categorical = pd.Categorical(column)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        # Text is sorted naturally: 'cluster 2' comes before 'cluster 10'.
        names = sorted(categorical.categories, key=_natural)
        categorical = categorical.reorder_categories(names)
    codes = np.asarray(categorical.codes, dtype=np.intp)
    used = np.unique(codes[codes >= 0])
    compact = np.searchsorted(used, codes)
    labels = categorical.categories
    if isinstance(labels, pd.DatetimeIndex) and (labels == labels.normalize()).all():
        labels = labels.strftime("%Y-%m-%d")  # without the time of day
    return Groups(
        codes=np.where(codes >= 0, compact, -1),
        names=[str(labels[i]) for i in used],
        category=used.tolist(),
        n_categories=len(labels),
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
        hint = did_you_mean(name, map(str, adata.obs.columns))
        raise bad_value("color", name, "None or a column of obs", hint)
    if layer is not None and layer not in adata.layers:
        layers = [key for key in adata.layers if isinstance(key, str)]
        hint = did_you_mean(str(layer), layers)
        raise bad_value("layer", layer, "None or a key of layers", hint)
    if use_raw and layer is not None:
        msg = f"use_raw={use_raw!r} and layer={layer!r} exclude each other: give one of the two."
        raise ValueError(msg)
    raw: Any = getattr(adata, "raw", None)
    if use_raw and raw is None:
        raise bad_value("use_raw", use_raw, "False or None where adata has no raw")
    # Unless the caller chose: try raw first, then adata.
    sources: list[Any] = [raw] if use_raw or (use_raw is None and layer is None) else []
    sources += [] if use_raw else [adata]
    sources = [source for source in sources if source is not None]
    names = [name, *_of_symbol(adata, sources, gene_symbols, name)]
    known: list[str] = []
    for source in sources:
        first = [i for each in names for i in np.flatnonzero(source.var_names == each)[:1]][:1]
        if not len(first):
            known += [str(known_name) for known_name in source.var_names[:_NAMES_TO_HINT]]
            continue
        if source is adata:
            # anndata cannot take a part of a part of a file.
            part = adata.is_view and adata.isbacked
            chosen = (adata.to_memory() if part else adata)[:, first]
            matrix = getattr(chosen, "X", None) if layer is None else chosen.layers[layer]
        else:  # a slice of a file-backed raw would return the whole matrix
            matrix = source.X[:, first]
        if matrix is None:
            raise bad_value("color", name, "a column of obs, or adata needs X or a layer")
        matrix = in_memory(matrix)
        return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix).ravel()
    if gene_symbols is not None:
        for source in [adata, *sources]:
            if gene_symbols in source.var.columns:
                known += map(str, source.var[gene_symbols].iloc[:_NAMES_TO_HINT])
    hint = did_you_mean(name, [*map(str, adata.obs.columns), *known])
    raise bad_value("color", name, "None, a column of obs or a name in var_names", hint)


def _of_symbol(adata: AnnData, sources: list[Any], column: str | None, symbol: str) -> list[str]:
    """Return the names of the variables that have this symbol, the one in `var` first."""
    if column is None:
        return []
    tables = [table for source in [adata, *sources] if column in (table := source.var).columns]
    if not tables:
        hint = did_you_mean(str(column), map(str, adata.var.columns))
        raise bad_value("gene_symbols", column, "None or a column of var", hint)
    return [
        str(found)
        for table in tables
        for found in table.index[(table[column].astype(str) == symbol).to_numpy()]
    ]
