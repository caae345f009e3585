"""Digests of everything in an object, down to the bytes: has anything changed?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from anndata import AnnData

_ELEMENTS = ("obsm", "varm", "obsp", "varp", "layers")


def fingerprint(value: Any) -> str:
    """Digest of a value: types, dtypes, order of keys, and bytes, also of arrays inside."""
    digest = hashlib.sha256()
    _feed(value, digest)
    return digest.hexdigest()


def elements(adata: AnnData) -> dict[str, str]:
    """Digests of the parts of an object, by name."""
    found = {name: fingerprint(getattr(adata, name)) for name in ("X", "obs", "var")}
    for name in _ELEMENTS:
        found |= {f"{name}/{key}": fingerprint(x) for key, x in getattr(adata, name).items()}
    found |= {f"uns/{key}": fingerprint(x) for key, x in adata.uns.items()}
    found["raw"] = fingerprint(None if adata.raw is None else adata.raw.X)
    found["view"] = str(adata.is_view)
    return found


def _feed(value: Any, digest: Any) -> None:
    digest.update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
    if isinstance(value, pd.DataFrame):
        _feed(value.index, digest)
        for name, column in value.items():
            _feed(name, digest)
            _feed(column, digest)
    elif isinstance(value, pd.Categorical):
        _feed(value.codes, digest)
        _feed(value.categories, digest)
    elif isinstance(value, (pd.Series, pd.Index)):
        digest.update(str(value.dtype).encode())
        held = value.array
        _feed(held if isinstance(held, pd.Categorical) else np.asarray(value), digest)
    elif sparse.issparse(value):
        digest.update(f"{value.format}{value.shape}".encode())
        for part in ("data", "indices", "indptr", "row", "col", "offsets"):
            _feed(getattr(value, part, None), digest)
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        if value.dtype.kind == "O":
            for item in value.ravel():
                _feed(item, digest)
        else:
            digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _feed(key, digest)
            _feed(inner, digest)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _feed(inner, digest)
    else:
        digest.update(repr(value).encode())
