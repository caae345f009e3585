"""Several entries of an AnnData object written together, or none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_ABSENT = object()


def write_transaction(adata: AnnData, entries: Sequence[tuple[str, str, Any]]) -> None:
    """Write entries in order; whatever fails, an interrupt included, undoes those before.

    Parameters
    ----------
    adata
        Receives them. A view becomes an object of its own, as it does whenever something is
        written to it.
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
        # A view that is still one has not been written to; writing back would change that.
        if not adata.is_view:
            for attribute, key, value in before:
                mapping = getattr(adata, attribute)
                if value is not _ABSENT:
                    mapping[key] = value
                elif key in mapping:
                    del mapping[key]
        raise
