"""AnnData in zarr stores: open without X, and insert elements."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from umapcore.files.atomic_write import remove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from anndata import AnnData

_MARKS = (".zgroup", "zarr.json")
#: Groups by which an AnnData object is recognised: a file without them holds something else.
NEEDED = {"obs", "uns"}


def is_store(path: Path) -> bool:
    """Return whether a folder is a zarr store."""
    return any((path / mark).is_file() for mark in _MARKS)


def import_zarr() -> Any:
    """Import zarr, or raise an ImportError that says what to install."""
    try:
        import zarr
    except ImportError as error:
        msg = 'Reading and writing zarr stores needs zarr: pip install "umapcore[zarr]"'
        raise ImportError(msg) from error
    return zarr


def open_group(path: Path, mode: str) -> Any:
    """Open the root group of a store; raise a ValueError if there is none."""
    zarr = import_zarr()
    # Consolidated metadata would hide elements that are inserted later.
    newer = int(zarr.__version__.partition(".")[0]) >= 3
    options = {"use_consolidated": False} if newer else {}
    try:
        return zarr.open_group(str(path), mode=mode, **options)
    except Exception as error:
        msg = f"{path}: not a zarr store that can be read: {error}"
        raise ValueError(msg) from error


def check(path: Path, root: Any) -> None:
    """Refuse a store that holds no AnnData object."""
    if not set(root.keys()) >= NEEDED:
        msg = f"{path}: a zarr store, but without an AnnData object in it."
        raise ValueError(msg)


def open_store(path: Path) -> AnnData:
    """Open an AnnData object without its layers; `X` and ``raw.X`` stay on disk."""
    import anndata
    from anndata.io import read_elem

    group = open_group(path, "r")
    check(path, group)
    parts = {
        name: read_elem(group[name])
        for name in ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")
        if name in group
    }
    raw = group.get("raw")
    if raw is not None and "X" in raw:
        parts["raw"] = {"X": _on_disk(raw["X"]), "var": read_elem(raw["var"])}
    return anndata.AnnData(X=_on_disk(group.get("X")), **parts)


def insert(path: Path, elements: Mapping[str, Any]) -> None:
    """Insert elements into a store; their names are paths such as ``obsm/X_umap``."""
    from anndata.io import write_elem

    group = open_group(path, "r+")
    consolidated = (path / ".zmetadata").exists() or _has_consolidated(path / "zarr.json")
    with without_notices():
        for place, value in elements.items():
            parent, _, key = place.partition("/")
            remove(path / parent / key)
            write_elem(group[parent], key, value)
        if consolidated:
            import_zarr().consolidate_metadata(str(path))


@contextmanager
def without_notices() -> Iterator[None]:
    """Suppress warnings of anndata and zarr about defaults that later releases will change."""
    with warnings.catch_warnings():
        for start in ("Writing zarr v2", "zarr v3 autosharding", "Consolidated metadata"):
            warnings.filterwarnings("ignore", message=start)
        yield


def _on_disk(stored: Any) -> Any:
    """Return a matrix of a zarr store for AnnData without reading it; None if there is none."""
    from anndata.io import sparse_dataset

    encoding = "null" if stored is None else str(stored.attrs.get("encoding-type", ""))
    if encoding == "null":
        return None
    return sparse_dataset(stored) if encoding in {"csr_matrix", "csc_matrix"} else stored


def _has_consolidated(metadata: Path) -> bool:
    if not metadata.is_file():
        return False
    return bool(json.loads(metadata.read_text(encoding="utf-8")).get("consolidated_metadata"))
