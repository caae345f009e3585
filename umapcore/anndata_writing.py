"""Several results into an AnnData object, or none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_ABSENT = object()


def write_all(adata: AnnData, results: Sequence[tuple[str, str, Any]]) -> None:
    """Write results or, whatever happens, nothing.

    Parameters
    ----------
    adata
        A view becomes an object of its own, as it does whenever something is written to it.
    results
        Triples of ``'obsm'``, ``'obs'`` or ``'uns'``, a key and a value.
    """
    if not results:
        return
    before = [(home, key, _found(getattr(adata, home), key)) for home, key, _ in results]
    try:
        for home, key, value in results:
            getattr(adata, home)[key] = value
    except BaseException:
        # A view that is still one has not been written to; writing back would change that.
        if not adata.is_view:
            for home, key, value in reversed(before):
                mapping = getattr(adata, home)
                if value is not _ABSENT:
                    mapping[key] = value
                elif key in mapping:
                    del mapping[key]
        raise


def _found(mapping: Any, key: str) -> Any:
    return mapping.get(key, _ABSENT)
