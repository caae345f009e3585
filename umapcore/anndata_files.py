"""AnnData on disk, .h5ad and .zarr: opened without X, and copied with something put in."""

from __future__ import annotations

import os
import shutil
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from umapcore.whole_path import complete_or_absent, remove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from anndata import AnnData

FileFormat = Literal["h5ad", "zarr"]

# What HDF5 may need beside the new elements themselves.
_SPARE_BYTES = 1 << 20
_ZARR_MARKS = (".zgroup", "zarr.json")
# Groups without which an AnnData cannot be told from anything else that these formats hold.
_NEEDED = {"obs", "uns"}


def format_of(path: Path) -> FileFormat:
    """Format of what is at `path`, or, where nothing is, of what its name asks for.

    A folder and a name that ends in ``.zarr`` are zarr, all else is h5ad.
    """
    if path.exists():
        return "zarr" if path.is_dir() else "h5ad"
    return "zarr" if path.suffix == ".zarr" else "h5ad"


def check_paths(source: Path, target: Path, *, overwrite: bool) -> None:
    """Refuse a source that cannot be read and a target that cannot, or must not, be written.

    Parameters
    ----------
    source, target
        What is read and what will be written; they may be the same with `overwrite`.
    overwrite
        Whether an existing target may be replaced.

    Raises
    ------
    FileNotFoundError, FileExistsError, OSError
        Saying what is in the way.
    """
    if not source.exists():
        msg = f"{source}: no such file."
        raise FileNotFoundError(msg)
    if source.is_dir() and not _is_zarr(source):
        msg = f"{source}: is a folder; an .h5ad file or a zarr store is needed."
        raise IsADirectoryError(msg)
    if target.is_dir() and not _is_zarr(target):
        msg = f"{target}: is a folder; give the name of a file or of a zarr store to write."
        raise IsADirectoryError(msg)
    if target.is_file() and target.suffix == ".zarr":
        msg = f"{target}: is a file; a zarr store is a folder and cannot replace it."
        raise NotADirectoryError(msg)
    check_target(target, overwrite=overwrite, source=source)
    # A store that lies in another would be copied into itself, or go with it.
    real_source, real_target = source.resolve(), target.resolve()
    for inner, outer in ((real_target, real_source), (real_source, real_target)):
        if outer in inner.parents:
            msg = f"{target}: input and output must not lie within one another."
            raise OSError(msg)


def check_target(target: Path, *, overwrite: bool, source: Path | None = None) -> None:
    """Refuse a path that cannot be written to, or where something is that must not go.

    Raises
    ------
    FileNotFoundError, FileExistsError, PermissionError
        Saying what is in the way.
    """
    if not target.parent.is_dir():
        msg = f"{target.parent}: no such folder to write into."
        raise FileNotFoundError(msg)
    if not os.access(target.parent, os.W_OK):
        msg = f"{target.parent}: this folder cannot be written to."
        raise PermissionError(msg)
    if target.exists() and not overwrite:
        same = source is not None and target.samefile(source)
        what = "the input itself" if same else "there already"
        msg = f"{target}: is {what}; --overwrite allows to replace it."
        raise FileExistsError(msg)


def open_file(path: Path) -> AnnData:
    """Open an .h5ad file or a zarr store without loading ``X``.

    Parameters
    ----------
    path
        The file, or the folder of a zarr store.

    Returns
    -------
    ``X`` and ``raw.X`` stay on disk; the `layers` of a zarr store are left out; `obs`, `var`,
    `obsm`, `obsp` and `uns` are in memory. Close ``adata.file`` if it is open.

    Raises
    ------
    ValueError
        When there is no AnnData object at `path`.
    ImportError
        Without zarr, for a zarr store.
    """
    return _open_zarr(path) if format_of(path) == "zarr" else _open_h5ad(path)


def read_file(path: Path) -> AnnData:
    """Read an .h5ad file or a zarr store whole."""
    import anndata

    if format_of(path) == "h5ad":
        return anndata.read_h5ad(path)
    _zarr()
    return anndata.read_zarr(path)


def write_with(source: Path, target: Path, elements: Mapping[str, Any]) -> None:
    """Copy a file or store and put elements into the copy.

    All else stays as it is, ``X`` is neither loaded nor encoded anew, unless source and target
    are of different formats: then everything is read and written.

    Parameters
    ----------
    source, target
        Paths; they may be the same. The target appears only when it is complete.
    elements
        What to put in, by its place: ``{"obsm/X_umap": …, "uns/umap": …}``. What is there
        already is replaced.

    Raises
    ------
    OSError
        When the target cannot be written; it is then as it was before.
    """
    # HDF5 on a full disk does not fail cleanly: it can take the process down.
    needed = _size(source) + sum(_bytes(value) for value in elements.values()) + _SPARE_BYTES
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        msg = (
            f"{target}: {needed / 1e6:,.1f} MB are needed there and {free / 1e6:,.1f} MB are free."
        )
        raise OSError(msg)
    fmt = format_of(target)
    with complete_or_absent(target) as beside:
        if fmt != format_of(source):
            _rewrite(source, beside, fmt, elements)
        elif fmt == "zarr":
            shutil.copytree(source, beside)
            _insert_zarr(beside, elements)
        else:
            shutil.copyfile(source, beside)
            if not _insert(beside, elements):
                _rewrite(source, beside, fmt, elements)


def _open_h5ad(path: Path) -> AnnData:
    import anndata
    import h5py

    if not h5py.is_hdf5(path):
        msg = f"{path}: not an HDF5 file, so not an .h5ad file."
        raise ValueError(msg)
    with h5py.File(path, "r") as file:
        if not file.keys() >= _NEEDED:
            msg = f"{path}: an HDF5 file, but without an AnnData object in it."
            raise ValueError(msg)
    return anndata.read_h5ad(path, backed="r")


def _open_zarr(path: Path) -> AnnData:
    import anndata
    from anndata.io import read_elem

    group = _zarr_group(path, "r")
    if not set(group.keys()) >= _NEEDED:
        msg = f"{path}: a zarr store, but without an AnnData object in it."
        raise ValueError(msg)
    parts = {
        name: read_elem(group[name])
        for name in ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")
        if name in group
    }
    raw = group.get("raw")
    if raw is not None and "X" in raw:
        parts["raw"] = {"X": _on_disk(raw["X"]), "var": read_elem(raw["var"])}
    return anndata.AnnData(X=_on_disk(group.get("X")), **parts)


def _on_disk(stored: Any) -> Any:
    """Matrix of a zarr store as AnnData takes it, without reading it; None where there is none."""
    from anndata.io import sparse_dataset

    encoding = "null" if stored is None else str(stored.attrs.get("encoding-type", ""))
    if encoding == "null":
        return None
    return sparse_dataset(stored) if encoding in {"csr_matrix", "csc_matrix"} else stored


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        msg = 'Reading and writing zarr stores needs zarr: pip install "umapcore[zarr]"'
        raise ImportError(msg) from error
    return zarr


def _zarr_group(path: Path, mode: str) -> Any:
    zarr = _zarr()
    # Consolidated metadata would hide what is put in beside them.
    newer = int(zarr.__version__.partition(".")[0]) >= 3
    options = {"use_consolidated": False} if newer else {}
    try:
        return zarr.open_group(str(path), mode=mode, **options)
    except Exception as error:
        msg = f"{path}: not a zarr store that can be read: {error}"
        raise ValueError(msg) from error


@contextmanager
def _without_notices() -> Iterator[None]:
    """Keep back what anndata and zarr say about defaults that will change in later releases."""
    with warnings.catch_warnings():
        for start in ("Writing zarr v2", "zarr v3 autosharding", "Consolidated metadata"):
            warnings.filterwarnings("ignore", message=start)
        yield


def _is_zarr(path: Path) -> bool:
    return any((path / mark).is_file() for mark in _ZARR_MARKS)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _bytes(value: Any) -> int:
    if hasattr(value, "indptr"):  # a sparse matrix
        return sum(int(part.nbytes) for part in (value.data, value.indices, value.indptr))
    return int(getattr(value, "nbytes", 0))


def _insert(path: Path, elements: Mapping[str, Any]) -> bool:
    """Put elements into an .h5ad file; False where its layout is too old for that."""
    import h5py
    from anndata.io import write_elem

    with h5py.File(path, "r+") as file:
        parents = {place.partition("/")[0] for place in elements}
        if not all(isinstance(file.get(name), h5py.Group) for name in parents):
            return False
        for place, value in elements.items():
            parent, _, key = place.partition("/")
            write_elem(file[parent], key, value)
    return True


def _insert_zarr(path: Path, elements: Mapping[str, Any]) -> None:
    from anndata.io import write_elem

    group = _zarr_group(path, "r+")
    consolidated = (path / ".zmetadata").exists() or _has_consolidated(path / "zarr.json")
    with _without_notices():
        for place, value in elements.items():
            parent, _, key = place.partition("/")
            remove(path / parent / key)
            write_elem(group[parent], key, value)
        if consolidated:
            _zarr().consolidate_metadata(str(path))


def _has_consolidated(metadata: Path) -> bool:
    import json

    if not metadata.is_file():
        return False
    return bool(json.loads(metadata.read_text(encoding="utf-8")).get("consolidated_metadata"))


def _rewrite(source: Path, path: Path, fmt: FileFormat, elements: Mapping[str, Any]) -> None:
    adata = read_file(source)
    for place, value in elements.items():
        parent, _, key = place.partition("/")
        getattr(adata, parent)[key] = value
    if fmt == "h5ad":
        adata.write_h5ad(path, compression="gzip")
        return
    _zarr()
    with _without_notices():
        adata.write_zarr(path)
