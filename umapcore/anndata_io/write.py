"""Write results to an AnnData object: all of them, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore.errors import bad_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_ABSENT = object()


def write_transaction(adata: AnnData, entries: Sequence[tuple[str, str, Any]]) -> None:
    """Write entries in order; after any failure, an interrupt included, undo those written.

    Parameters
    ----------
    adata
        Receives the entries. A view becomes a full object, as after any write to it.
    entries
        Attribute ('obs', 'obsm', 'obsp', 'uns', 'varm'), key and value of each.
    """
    before = [
        (attribute, key, getattr(adata, attribute).get(key, _ABSENT))
        for attribute, key, _ in entries
    ]
    try:
        for attribute, key, value in entries:
            getattr(adata, attribute)[key] = value
    except BaseException:
        # If it is still a view, nothing was written; writing back would turn it into an object.
        if not adata.is_view:
            for attribute, key, value in before:
                mapping = getattr(adata, attribute)
                if value is not _ABSENT:
                    mapping[key] = value
                elif key in mapping:
                    del mapping[key]
        raise


def check_target(adata: Any, key_added: Any, neighbors_key: str, *, copy: bool) -> None:
    """Refuse an object or a key to which the embedding cannot be written.

    Raises
    ------
    ValueError, TypeError
        The message says what is allowed.
    """
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        raise bad_type("adata", adata, "an AnnData object, as anndata.read_h5ad returns it")
    if adata.is_view and adata.isbacked and not copy:
        msg = (
            "adata is a view of an object that is backed by a file, which cannot be written to: "
            "use copy=True, or adata.to_memory()."
        )
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
    if adata.isbacked:
        return adata.to_memory(copy=True)
    try:
        return adata.copy()
    except (AttributeError, NotImplementedError):  # arrays on disk cannot be copied
        return adata.to_memory(copy=True)
