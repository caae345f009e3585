"""Zarr stores: open them, and insert elements."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from umapcore.files.atomic_write import remove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MARKS = (".zgroup", "zarr.json")


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
        group = zarr.open_group(str(path), mode=mode, **options)
    except Exception as error:
        msg = f"{path}: not a zarr store that can be read: {error}"
        raise ValueError(msg) from error
    if not newer:
        group.visititems(lambda name, node: _refuse_pickles(path, name, node))
    return group


def insert(path: Path, elements: Mapping[str, Any], inner: str = "") -> None:
    """Insert elements into a store; their names are paths such as ``obsm/X_umap``."""
    group = open_group(path, "r+")
    consolidated = (path / ".zmetadata").exists() or _has_consolidated(path / "zarr.json")
    with without_notices():
        for place in elements:
            remove(path / inner / place)
        insert_into(group[inner] if inner else group, elements)
        if consolidated:
            import_zarr().consolidate_metadata(str(path))


def insert_into(root: Any, elements: Mapping[str, Any]) -> None:
    """Insert elements below a group of zarr or HDF5."""
    from anndata.io import write_elem

    for place, value in elements.items():
        parent, _, key = place.partition("/")
        if parent not in root:
            write_elem(root, parent, {})
        group = root[parent]
        write_elem(group, key, value)
        if parent == "obs":
            columns = [column for column in group.attrs["column-order"] if column != key]
            group.attrs["column-order"] = [*columns, key]


@contextmanager
def without_notices() -> Iterator[None]:
    """Suppress warnings of anndata and zarr about defaults that later releases will change."""
    with warnings.catch_warnings():
        for start in ("Writing zarr v2", "zarr v3 autosharding", "Consolidated metadata"):
            warnings.filterwarnings("ignore", message=start)
        yield


def _has_consolidated(metadata: Path) -> bool:
    if not metadata.is_file():
        return False
    return bool(json.loads(metadata.read_text(encoding="utf-8")).get("consolidated_metadata"))


def _refuse_pickles(path: Path, name: str, node: Any) -> None:
    """Refuse an array whose reading would run code that is stored in it; zarr 3 refuses it too."""
    if any(codec.codec_id == "pickle" for codec in getattr(node, "filters", None) or ()):
        msg = f"{path}: {name} is pickled. That could run any program, so it is not read."
        raise ValueError(msg)
