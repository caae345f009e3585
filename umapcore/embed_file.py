"""Embed an .h5ad file into another: everything else in the file stays as it was."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

# What HDF5 may need beside the embedding itself.
_SPARE_BYTES = 1 << 20


@dataclass(frozen=True)
class Embedded:
    """What :func:`embed_file` did."""

    path: Path
    key: str
    shape: tuple[int, ...]
    timings: dict[str, float] = field(repr=False)


def embed_file(
    source: Path, target: Path, *, overwrite: bool = False, **parameters: Any
) -> Embedded:
    """Embed the graph of an .h5ad file and write the file with the embedding in it.

    ``X`` is neither loaded nor encoded anew: the target begins as a copy of the source. It
    appears under its name only when it is complete.

    Parameters
    ----------
    source, target
        Paths; they may be the same with `overwrite`.
    overwrite
        Whether an existing target may be replaced.
    parameters
        Those of :func:`umapcore.tl.umap`.

    Raises
    ------
    FileNotFoundError, FileExistsError, OSError
        When a file cannot be read or written, or would be overwritten.
    ValueError, TypeError
        As :func:`umapcore.tl.umap`.
    """
    # A link is followed, so that the file behind it is replaced and not the link.
    target = target.resolve()
    _check_paths(source, target, overwrite=overwrite)

    from umapcore.compile_time import counted_compiling
    from umapcore.tl import umap

    began = time.perf_counter()
    adata = _open(source)
    opened = time.perf_counter()
    timings: dict[str, float] = {}
    try:
        with counted_compiling(timings):
            umap(adata, timings=timings, **parameters)
    finally:
        if adata.file.is_open:
            adata.file.close()
    timings["read"] = timings.get("read", 0.0) + opened - began

    began = time.perf_counter()
    key_added = parameters.get("key_added")
    key_obsm, key_uns = ("X_umap", "umap") if key_added is None else (key_added, key_added)
    embedding = adata.obsm[key_obsm]
    write_with_embedding(source, target, key_obsm, key_uns, embedding, adata.uns[key_uns])
    timings["write"] = timings.get("write", 0.0) + time.perf_counter() - began
    return Embedded(path=target, key=key_obsm, shape=embedding.shape, timings=timings)


def write_with_embedding(
    source: Path,
    target: Path,
    key_obsm: str,
    key_uns: str,
    embedding: NDArray[np.float32],
    params: dict[str, Any],
) -> None:
    """Copy an .h5ad file and put ``obsm[key_obsm]`` and ``uns[key_uns]`` into the copy.

    Raises
    ------
    OSError
        When the target cannot be written; it is then as it was before.
    """
    # HDF5 on a full disk does not fail cleanly: it can take the process down.
    needed = source.stat().st_size + embedding.nbytes + _SPARE_BYTES
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        msg = (
            f"{target}: {needed / 1e6:,.1f} MB are needed there and {free / 1e6:,.1f} MB are free."
        )
        raise OSError(msg)
    with complete_or_absent(target) as beside:
        shutil.copyfile(source, beside)
        if not _insert(beside, key_obsm, key_uns, embedding, params):
            _rewrite(source, beside, key_obsm, key_uns, embedding, params)


def _check_paths(source: Path, target: Path, *, overwrite: bool) -> None:
    if not source.exists():
        msg = f"{source}: no such file."
        raise FileNotFoundError(msg)
    if source.is_dir():
        msg = f"{source}: is a folder; an .h5ad file is needed."
        raise IsADirectoryError(msg)
    if target.is_dir():
        msg = f"{target}: is a folder; give the name of a file to write."
        raise IsADirectoryError(msg)
    if not target.parent.is_dir():
        msg = f"{target.parent}: no such folder to write into."
        raise FileNotFoundError(msg)
    if not os.access(target.parent, os.W_OK):
        msg = f"{target.parent}: this folder cannot be written to."
        raise PermissionError(msg)
    if target.exists() and not overwrite:
        same = "the input itself" if target.samefile(source) else "there already"
        msg = f"{target}: is {same}; --overwrite allows to replace it."
        raise FileExistsError(msg)


def _open(path: Path) -> AnnData:
    import anndata
    import h5py

    if not h5py.is_hdf5(path):
        msg = f"{path}: not an HDF5 file, so not an .h5ad file."
        raise ValueError(msg)
    with h5py.File(path, "r") as file:
        if not {"obs", "uns"} <= file.keys():
            msg = f"{path}: an HDF5 file, but without an AnnData object in it."
            raise ValueError(msg)
    return anndata.read_h5ad(path, backed="r")


@contextmanager
def complete_or_absent(target: Path) -> Iterator[Path]:
    """Give a path beside `target` that takes its name when all went well, and else vanishes."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield beside
        if target.exists():
            shutil.copymode(target, beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, target)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _insert(
    path: Path,
    key_obsm: str,
    key_uns: str,
    embedding: NDArray[np.float32],
    params: dict[str, Any],
) -> bool:
    """Put the embedding into a file; False where the file's layout is too old for that."""
    import h5py
    from anndata.io import write_elem

    with h5py.File(path, "r+") as file:
        if not all(isinstance(file.get(name), h5py.Group) for name in ("obsm", "uns")):
            return False
        write_elem(file["obsm"], key_obsm, embedding)
        write_elem(file["uns"], key_uns, dict(params))
    return True


def _rewrite(
    source: Path,
    path: Path,
    key_obsm: str,
    key_uns: str,
    embedding: NDArray[np.float32],
    params: dict[str, Any],
) -> None:
    import anndata

    adata = anndata.read_h5ad(source)
    adata.obsm[key_obsm] = embedding
    adata.uns[key_uns] = params
    adata.write_h5ad(path, compression="gzip")
