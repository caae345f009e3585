"""AnnData on disk, .h5ad, .zarr and .h5mu: open without X, and copy with new elements."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from umapcore._kit.file_names import check_file_name
from umapcore.errors import did_you_mean
from umapcore.files import zarr_store
from umapcore.files.atomic_write import atomic_write, there_already
from umapcore.files.parts import Parts, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from anndata import AnnData

FileFormat = Literal["h5ad", "zarr"]

#: Groups by which an AnnData object is recognised.
_NEEDED = {"obs", "uns"}
# Bytes that HDF5 may need in addition to the new elements.
_SPARE_BYTES = 1 << 20


def format_of(path: Path) -> FileFormat:
    """Return the format of what is at `path`; if nothing is there, the name decides.

    A folder, or a name that ends in ``.zarr``, is zarr; everything else is HDF5: h5ad or h5mu.
    """
    if path.exists():
        return "zarr" if path.is_dir() else "h5ad"
    return "zarr" if path.suffix == ".zarr" else "h5ad"


def part_of(path: Path) -> tuple[Path, str]:
    """Part a path as mudata takes it, ``x.h5mu/rna``, into the file and the group in it.

    Returns
    -------
    The file, and ``mod/rna``; for other paths the path, and an empty string.
    """
    for parent in path.parents:
        if parent.suffix == ".h5mu" and parent.is_file():
            return parent, f"mod/{path.relative_to(parent).as_posix().removeprefix('mod/')}"
    return path, ""


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
    check_file_name(target)
    check_source(source)
    source = part_of(source)[0]
    if (source.suffix == ".h5mu") != (target.suffix == ".h5mu"):
        msg = f"{target}: must end in .h5mu if the input, {source}, does, and only then."
        raise ValueError(msg)
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


def check_source(source: Path) -> None:
    """Refuse a path at which there is nothing to read."""
    if str(source) == "-":
        msg = "-: standard input cannot be read; give the name of a file."
        raise FileNotFoundError(msg)
    if not part_of(source)[0].exists():
        msg = f"{source}: no such file."
        raise FileNotFoundError(msg)


def check_target(target: Path, *, overwrite: bool, source: Path | None = None) -> None:
    """Refuse a path that cannot be written, or that holds something that must be kept.

    Raises
    ------
    FileNotFoundError, FileExistsError, PermissionError
        The message says what prevents writing.
    """
    if target.name == "-":
        msg = "-: standard output cannot be written to; give the name of a file."
        raise ValueError(msg)
    check_file_name(target)
    if not target.parent.is_dir():
        msg = f"{target.parent}: no such folder to write into."
        raise FileNotFoundError(msg)
    if not os.access(target.parent, os.W_OK):
        msg = f"{target.parent}: this folder cannot be written to."
        raise PermissionError(msg)
    if target.exists() and not overwrite:
        same = source is not None and target.samefile(source)
        raise there_already(target, *(["the input itself"] if same else []))


@contextmanager
def open_file(path: Path, *, graphs_on_disk: bool = False) -> Iterator[AnnData]:
    """Open an .h5ad or .h5mu file, or a zarr store, without loading ``X``.

    Parameters
    ----------
    path
        The file, the folder of a zarr store, or ``x.h5mu/rna`` for one modality. Of an .h5mu file
        itself, what the modalities share is read.
    graphs_on_disk
        Whether large sparse matrices of `obsp` stay on disk too.

    Yields
    ------
    An object whose ``X`` and ``raw.X`` stay on disk until the block ends. `obs`, `var`, `obsm`,
    `varm`, `obsp` and `uns` are in memory. `layers` and `varp` are left out, and so are parts that
    cannot be read and that a layout can do without; a warning names them.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no AnnData object at `path`, or a damaged one; the message names the part.
    ImportError
        For a zarr store, when zarr is not installed.
    """
    check_source(path)
    with _root(path) as root:
        try:
            parts = Parts(path, root, part_of(path)[1], graphs_on_disk=graphs_on_disk)
            adata = read_file(path) if parts.is_old() else parts.open()
        except (ImportError, ValueError):
            raise
        except Exception as error:  # a damaged file can raise anything
            msg = f"{path}: cannot be read: {reason(error)}"
            raise ValueError(msg) from error
        try:
            yield adata
        except OSError as error:
            # HDF5's own errors name no file; they come when values are read.
            if error.filename is None and type(error) is OSError and str(path) not in str(error):
                msg = f"{path}: cannot be read: {reason(error)}"
                raise OSError(msg) from error
            raise


def read_file(path: Path) -> AnnData:
    """Read a complete .h5ad file or zarr store into memory."""
    import anndata

    if format_of(path) == "zarr":
        zarr_store.import_zarr()
    try:
        return (anndata.read_h5ad if format_of(path) == "h5ad" else anndata.read_zarr)(path)
    except Exception as error:  # a damaged file can raise anything
        msg = f"{path}: cannot be read completely: {reason(error)}"
        if notes := " ".join(getattr(error, "__notes__", ())):
            msg += f" ({notes})"
        raise ValueError(msg) from error


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

    check_source(path)
    with _root(path) as root:
        parts = Parts(path, root, part_of(path)[1])
        read = read_elem
        if not parts.is_old():
            obs, obsm = parts.table("obs"), root.get("obsm", {})
        else:
            whole = read_file(path)
            obs, obsm, read = whole.obs, whole.obsm, lambda found: found
        name = key if key in obsm else f"X_{key}"
        if name not in obsm:
            msg = f"{path}: did not find .obsm[{key!r}].{did_you_mean(key, obsm.keys())}"
            raise ValueError(msg)
        try:
            found = read(obsm[name])
        except Exception as error:
            raise parts.damaged("obsm", name, error) from error
        return anndata.AnnData(obs=obs[[]], obsm={"X_umap": found})


@contextmanager
def _root(path: Path) -> Iterator[Any]:
    """Open the group that holds the parts of an AnnData object."""
    import h5py

    file, inner = part_of(path)
    if format_of(file) == "zarr":
        root = zarr_store.open_group(file, "r")
        _check_root(path, root, "zarr store")
        yield root
        return
    if not h5py.is_hdf5(file):
        what = "an empty file" if file.stat().st_size == 0 else "not an HDF5 file"
        msg = f"{path}: {what}, so not an .h5ad file."
        raise ValueError(msg)
    try:
        opened = h5py.File(file, "r")
    except OSError as error:
        msg = f"{path}: cannot be opened: {reason(error)}"
        raise OSError(msg) from error
    with opened as root:
        if inner and inner not in root:
            known = ", ".join(root.get("mod", ()))
            msg = f"{path}: the file has no such modality; it has {known}."
            raise ValueError(msg)
        root = root[inner] if inner else root
        _check_root(path, root, "HDF5 file")
        yield root


def _check_root(path: Path, root: Any, kind: str) -> None:
    """Refuse a file or store that holds something else."""
    try:
        is_anndata = set(root.keys()) >= _NEEDED
    except Exception as error:  # a damaged file can raise anything
        msg = f"{path}: cannot be read: {reason(error)}"
        raise ValueError(msg) from error
    if not is_anndata:
        article = "an" if kind[0] == "H" else "a"
        msg = f"{path}: {article} {kind}, but without an AnnData object in it."
        raise ValueError(msg)


def write_with(
    source: Path, target: Path, elements: Mapping[str, Any], *, overwrite: bool = True
) -> None:
    """Copy a file or store and insert elements into the copy.

    Everything else stays unchanged, and ``X`` is neither loaded nor encoded again. If source and
    target have different formats, however, everything is read and written.

    Parameters
    ----------
    source, target
        Paths; they may be the same. The target appears only when it is complete. A source of
        ``x.h5mu/rna`` inserts into that modality of the copied file.
    elements
        What to insert, by its path: ``{"obsm/X_umap": …, "uns/umap": …}``. Existing elements are
        replaced.
    overwrite
        Whether an existing target is replaced.

    Raises
    ------
    FileExistsError
        When the target exists at the end, and `overwrite` is false.
    OSError
        When the target cannot be written; it is then unchanged.
    """
    source, inner = part_of(source)
    # HDF5 does not fail cleanly on a full disk: it crashes the process.
    needed = _size(source) + sum(_bytes(value) for value in elements.values()) + _SPARE_BYTES
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        msg = (
            f"{target}: {needed / 1e6:,.1f} MB are needed there, but {free / 1e6:,.1f} MB are free."
        )
        raise OSError(msg)
    fmt = format_of(target)
    with atomic_write(target, overwrite=overwrite) as beside:
        if fmt != format_of(source):
            _rewrite(source, beside, fmt, elements)
        elif fmt == "zarr":
            _copy_folder(source, beside)
            zarr_store.insert(beside, elements, inner)
        else:
            shutil.copyfile(source, beside)
            _reserve(beside, needed)
            if not _insert(beside, elements, inner):
                _rewrite(source, beside, fmt, elements)


def _reserve(path: Path, size: int) -> None:
    """Enlarge a file, so that HDF5 never meets a full disk; it drops what it does not use."""
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a folder; unlike with `copytree`, the copy of a read-only one can be written to."""
    for place, _, names in os.walk(source, followlinks=True):
        folder = target / os.path.relpath(place, source)
        folder.mkdir()
        for name in names:
            shutil.copyfile(os.path.join(place, name), folder / name)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _bytes(value: Any) -> int:
    if hasattr(value, "indptr"):  # a sparse matrix
        return sum(int(part.nbytes) for part in (value.data, value.indices, value.indptr))
    return int(getattr(value, "nbytes", 0))


def _insert(path: Path, elements: Mapping[str, Any], inner: str) -> bool:
    """Insert elements into an HDF5 file; return False if its layout is too old for that."""
    import h5py

    try:
        with h5py.File(path, "r+") as file:
            root = file[inner] if inner else file
            parents = {place.partition("/")[0] for place in elements}
            if not all(isinstance(root.get(name, root), h5py.Group) for name in parents):
                return False
            zarr_store.insert_into(root, elements)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        msg = f"what is computed cannot be inserted: {reason(error)}"
        raise OSError(None, msg, str(path)) from error
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
