"""AnnData on disk, .h5ad and .zarr: open without X, and copy with new elements."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from umapcore.errors import did_you_mean
from umapcore.files import zarr_store
from umapcore.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from anndata import AnnData

FileFormat = Literal["h5ad", "zarr"]

# Bytes that HDF5 may need in addition to the new elements.
_SPARE_BYTES = 1 << 20


def format_of(path: Path) -> FileFormat:
    """Return the format of what is at `path`; if nothing is there, the name decides.

    A folder, or a name that ends in ``.zarr``, is zarr; everything else is h5ad.
    """
    if path.exists():
        return "zarr" if path.is_dir() else "h5ad"
    return "zarr" if path.suffix == ".zarr" else "h5ad"


def check_paths(source: Path, target: Path, *, overwrite: bool) -> None:
    """Refuse a source that cannot be read, or a target that cannot or must not be written.

    Parameters
    ----------
    source, target
        Paths to read and to write; they may be the same with `overwrite`.
    overwrite
        Whether an existing target may be replaced.

    Raises
    ------
    FileNotFoundError, FileExistsError, OSError
        The message says what prevents reading or writing.
    """
    if not source.exists():
        msg = f"{source}: no such file."
        raise FileNotFoundError(msg)
    if source.is_dir() and not zarr_store.is_store(source):
        msg = f"{source}: is a folder; an .h5ad file or a zarr store is needed."
        raise IsADirectoryError(msg)
    if target.is_dir() and not zarr_store.is_store(target):
        msg = f"{target}: is a folder; give the name of a file or of a zarr store to write."
        raise IsADirectoryError(msg)
    if target.is_file() and target.suffix == ".zarr":
        msg = f"{target}: is a file; a zarr store is a folder and cannot replace it."
        raise NotADirectoryError(msg)
    check_target(target, overwrite=overwrite, source=source)
    # A store inside another would be copied into itself, or be deleted with the outer one.
    real_source, real_target = source.resolve(), target.resolve()
    for inner, outer in ((real_target, real_source), (real_source, real_target)):
        if outer in inner.parents:
            msg = f"{target}: input and output must not lie within one another."
            raise OSError(msg)


def check_target(target: Path, *, overwrite: bool, source: Path | None = None) -> None:
    """Refuse a path that cannot be written, or that holds something that must be kept.

    Raises
    ------
    FileNotFoundError, FileExistsError, PermissionError
        The message says what prevents writing.
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
        msg = f"{target}: is {what}; use --overwrite to replace it."
        raise FileExistsError(msg)


def open_file(path: Path) -> AnnData:
    """Open an .h5ad file or a zarr store without loading ``X``.

    Parameters
    ----------
    path
        The file, or the folder of a zarr store.

    Returns
    -------
    An object whose ``X`` and ``raw.X`` stay on disk. `obs`, `var`, `obsm`, `obsp` and `uns` are
    in memory. The `layers` of a zarr store are left out. Close ``adata.file`` if it is open.

    Raises
    ------
    ValueError
        When there is no AnnData object at `path`.
    ImportError
        For a zarr store, when zarr is not installed.
    """
    return zarr_store.open_store(path) if format_of(path) == "zarr" else _open_h5ad(path)


def read_file(path: Path) -> AnnData:
    """Read a complete .h5ad file or zarr store into memory."""
    import anndata

    if format_of(path) == "h5ad":
        return anndata.read_h5ad(path)
    zarr_store.import_zarr()
    return anndata.read_zarr(path)


def read_embedding(path: Path, key: str) -> AnnData:
    """Read only the names of the observations and an embedding.

    Parameters
    ----------
    path
        An .h5ad file or a zarr store.
    key
        Key in `obsm`, with or without the leading ``X_``.

    Returns
    -------
    An object with the embedding in ``obsm['X_umap']``, whatever its key in the file.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no such file or no such embedding in it.
    """
    import anndata
    from anndata.io import read_elem

    if not path.exists():
        msg = f"{path}: no such file."
        raise FileNotFoundError(msg)
    with _root(path) as root:
        if hasattr(root["obs"], "keys") and hasattr(root.get("obsm"), "keys"):
            obs, obsm, read = read_elem(root["obs"]), root["obsm"], read_elem
        else:  # the layout of files before anndata 0.7
            whole = read_file(path)
            obs, obsm, read = whole.obs, whole.obsm, lambda found: found
        name = key if key in obsm else f"X_{key}"
        if name not in obsm:
            msg = f"{path}: did not find .obsm[{key!r}].{did_you_mean(key, obsm.keys())}"
            raise ValueError(msg)
        return anndata.AnnData(obs=obs[[]], obsm={"X_umap": read(obsm[name])})


@contextmanager
def _root(path: Path) -> Iterator[Any]:
    """Open the root group of a file or store, which holds the parts of an AnnData object."""
    import h5py

    if format_of(path) == "zarr":
        root = zarr_store.open_group(path, "r")
        zarr_store.check(path, root)
        yield root
        return
    if not h5py.is_hdf5(path):
        msg = f"{path}: not an HDF5 file, so not an .h5ad file."
        raise ValueError(msg)
    with h5py.File(path, "r") as root:
        if not root.keys() >= zarr_store.NEEDED:
            msg = f"{path}: an HDF5 file, but without an AnnData object in it."
            raise ValueError(msg)
        yield root


def write_with(source: Path, target: Path, elements: Mapping[str, Any]) -> None:
    """Copy a file or store and insert elements into the copy.

    Everything else stays unchanged, and ``X`` is neither loaded nor encoded again. If source and
    target have different formats, however, everything is read and written.

    Parameters
    ----------
    source, target
        Paths; they may be the same. The target appears only when it is complete.
    elements
        What to insert, by its path: ``{"obsm/X_umap": …, "uns/umap": …}``. Existing elements are
        replaced.

    Raises
    ------
    OSError
        When the target cannot be written; it is then unchanged.
    """
    # HDF5 does not fail cleanly on a full disk: it can crash the process.
    needed = _size(source) + sum(_bytes(value) for value in elements.values()) + _SPARE_BYTES
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        msg = (
            f"{target}: {needed / 1e6:,.1f} MB are needed there, but {free / 1e6:,.1f} MB are free."
        )
        raise OSError(msg)
    fmt = format_of(target)
    with atomic_write(target) as beside:
        if fmt != format_of(source):
            _rewrite(source, beside, fmt, elements)
        elif fmt == "zarr":
            shutil.copytree(source, beside)
            zarr_store.insert(beside, elements)
        else:
            shutil.copyfile(source, beside)
            if not _insert(beside, elements):
                _rewrite(source, beside, fmt, elements)


def _open_h5ad(path: Path) -> AnnData:
    import anndata

    with _root(path):
        pass  # refuses a file without an AnnData object
    return anndata.read_h5ad(path, backed="r")


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _bytes(value: Any) -> int:
    if hasattr(value, "indptr"):  # a sparse matrix
        return sum(int(part.nbytes) for part in (value.data, value.indices, value.indptr))
    return int(getattr(value, "nbytes", 0))


def _insert(path: Path, elements: Mapping[str, Any]) -> bool:
    """Insert elements into an .h5ad file; return False if its layout is too old for that."""
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


def _rewrite(source: Path, path: Path, fmt: FileFormat, elements: Mapping[str, Any]) -> None:
    adata = read_file(source)
    for place, value in elements.items():
        parent, _, key = place.partition("/")
        getattr(adata, parent)[key] = value
    if fmt == "h5ad":
        adata.write_h5ad(path, compression="gzip")
        return
    zarr_store.import_zarr()
    with zarr_store.without_notices():
        adata.write_zarr(path)
