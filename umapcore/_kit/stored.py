"""Read small values as other programs and files store them.

One text may be stored as text, bytes, a NumPy scalar, or an array or list of one (as writers from
R do); it may lie on disk or be a task of dask. "No value" is stored in as many ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umapcore._kit.arrays import in_memory
from umapcore._kit.checks import MOST, check_integer
from umapcore.errors import bad_type

#: What is written for "no value" where a format has no such value.
_NO_TEXT = frozenset({"", "None", "NA", "NULL", "NaN", "nan"})
#: Types of h5py and pandas for "no value", by name: neither package is imported for this.
_NO_VALUE = frozenset({"Empty", "NAType", "NaTType"})


def plain(value: Any) -> Any:
    """Return a stored value as Python's own objects where it is a single one.

    Returns
    -------
    Text, numbers and truth values as Python's, also from arrays and lists of one; dictionaries
    with such values; other arrays in memory; None for empty arrays. Anything else is unchanged.
    """
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        inner = [plain(each) for each in value]
        return inner[0] if len(inner) == 1 else inner or None
    if type(value).__name__ in _NO_VALUE:
        return None
    if hasattr(value, "compute") or hasattr(value, "shape"):
        value = in_memory(value)
    size = getattr(value, "size", None)
    if size == 0:
        return None
    if size == 1 and hasattr(value, "item"):
        item = value.item()
        # NumPy's long double has no counterpart in Python.
        return item if type(item) is type(value) else plain(item)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def plain_list(value: Any) -> list[Any]:
    """Return the values of a stored array or list, or of a single one; none of a dictionary."""
    found = plain(value)
    if found is None or isinstance(found, Mapping):
        return []
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        return [found]
    return [plain(each) for each in found]


def stored_text(value: Any, name: str, allowed: str) -> str | None:
    """Return a stored text, or None where there is none.

    Parameters
    ----------
    value
        As it is stored.
    name, allowed
        Where it is stored and what is allowed there, for the message.

    Raises
    ------
    TypeError
        For anything but one text.
    """
    found = plain(value)
    if _is_nothing(found):
        return None
    if not isinstance(found, str):
        raise bad_type(name, value, allowed)
    return found


def stored_integer(value: Any, name: str, least: int, most: int = MOST) -> int | None:
    """Return a stored integer, or None where there is none; NumPy's and whole floats count.

    Raises
    ------
    ValueError, TypeError
        For anything but one integer from `least` to `most`.
    """
    found = plain(value)
    return None if _is_nothing(found) else check_integer(name, found, least, most)


def stored_column(table: Any, name: str) -> Any:
    """Return a column of `obs` as a pandas series; AnnData that is read lazily has no data frame.

    Parameters
    ----------
    table
        Data frame, or anndata's table of columns on disk.
    name
        Name of the column.
    """
    if hasattr(table, "to_memory"):
        table = table[[name]].to_memory()
    return table[name]


def _is_nothing(value: Any) -> bool:
    if isinstance(value, str):
        return value in _NO_TEXT
    return value is None or (isinstance(value, float) and value != value)
