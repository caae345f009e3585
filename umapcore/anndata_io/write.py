"""Write results to an AnnData object, or a similar one: all of them, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import bad_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_ABSENT = object()
#: What an object must have. MuData has it, and so has AnnData that is backed or read lazily.
_NEEDED = ("obs", "obsm", "obsp", "uns")


def write_transaction(adata: AnnData, entries: Sequence[tuple[str, str, Any]]) -> None:
    """Write entries in order; after any failure, an interrupt included, undo those written.

    Parameters
    ----------
    adata
        Receives the entries. A view becomes a full object, as after any write to it.
    entries
        Attribute ('obs', 'obsm', 'obsp', 'uns', 'varm'), key and value of each.
    """
    if is_view(adata):
        # The first write exchanges all attributes of a view for those of a full object. It
        # changes nothing in what they were, so that putting them back makes it the view it was.
        before = dict(vars(adata))
        try:
            _write(adata, entries)
        except BaseException:
            vars(adata).clear()
            vars(adata).update(before)
            raise
        return
    replaced = [
        (attribute, key, getattr(adata, attribute).get(key, _ABSENT))
        for attribute, key, _ in entries
    ]
    try:
        _write(adata, entries)
    except BaseException:
        for attribute, key, value in replaced:
            mapping = getattr(adata, attribute)
            if value is not _ABSENT:
                mapping[key] = value
            elif key in mapping:
                del mapping[key]
        raise


def _write(adata: AnnData, entries: Sequence[tuple[str, str, Any]]) -> None:
    for attribute, key, value in entries:
        getattr(adata, attribute)[key] = value


def check_object(adata: Any, name: str = "adata") -> None:
    """Refuse an object that has no embedding or graph of observations.

    Raises
    ------
    TypeError
        The message names the parameter and what is allowed.
    """
    n_obs = getattr(adata, "n_obs", None)
    if not isinstance(n_obs, (int, np.integer)) or not all(hasattr(adata, a) for a in _NEEDED):
        allowed = "an AnnData object, as anndata.read_h5ad returns it, or another with n_obs, "
        raise bad_type(name, adata, allowed + "obs, obsm, obsp and uns, such as MuData")


def check_target(adata: Any, key_added: Any, neighbors_key: str, *, copy: bool) -> None:
    """Refuse an object or a key to which the embedding cannot be written.

    Raises
    ------
    ValueError, TypeError
        The message says what is allowed.
    """
    check_object(adata)
    loads = hasattr(adata, "to_memory")
    if is_view(adata) and _is_backed(adata) and not copy:
        msg = "adata is a view of an object that is backed by a file, which cannot be written to: "
        msg += "use copy=True, or adata.to_memory()." if loads else "read it into memory."
        raise ValueError(msg)
    if copy and not loads and (_is_backed(adata) or not hasattr(adata, "copy")):
        # MuData in a file can only be copied to another file.
        why = "is backed by a file: read it into memory" if _is_backed(adata) else "has no copy()"
        msg = f"adata, of type {type(adata).__name__}, cannot be copied, as it {why}."
        raise ValueError(msg)
    if key_added is None:
        return
    allowed = "None or a name without '/'"
    if not isinstance(key_added, str):
        raise bad_type("key_added", key_added, allowed)
    if not key_added or "/" in key_added:
        msg = f"key_added={key_added!r} cannot be saved: key_added must be {allowed}."
        raise ValueError(msg)
    if key_added == neighbors_key:
        msg = f"key_added={key_added!r} would overwrite the neighbours in .uns[{key_added!r}]."
        raise ValueError(msg)


def copied(adata: AnnData) -> AnnData:
    """Return a copy in memory; an object that is backed by a file is loaded."""
    if _is_backed(adata):
        return adata.to_memory(copy=True)
    try:
        return adata.copy()
    except (AttributeError, NotImplementedError):  # arrays on disk cannot be copied
        return adata.to_memory(copy=True)


def is_view(adata: Any) -> bool:
    """Return whether an object shows a part of another one."""
    return bool(getattr(adata, "is_view", False))


def _is_backed(adata: Any) -> bool:
    return bool(getattr(adata, "isbacked", False))
