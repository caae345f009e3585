"""Embed a file into another: everything else in it stays as it was."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from umapcore.anndata_files import check_paths, open_file, write_with

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Embedded:
    """What :func:`embed_file` did."""

    path: Path
    key: str
    shape: tuple[int, ...]
    timings: dict[str, float] = field(repr=False)


def embed_file(
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    **parameters: Any,
) -> Embedded:
    """Embed the graph of an .h5ad file or a zarr store and write it with the embedding in it.

    ``X`` is neither loaded nor encoded anew: the target begins as a copy of the source. It
    appears under its name only when it is complete.

    Parameters
    ----------
    source, target
        Paths; they may be the same with `overwrite`. A target of another format than the
        source's is written anew.
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
    check_paths(source, target, overwrite=overwrite)

    from umapcore.compile_time import counted_compiling
    from umapcore.tl import umap

    began = time.perf_counter()
    adata = open_file(source)
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
    elements = {f"obsm/{key_obsm}": embedding, f"uns/{key_uns}": dict(adata.uns[key_uns])}
    write_with(source, target, elements)
    timings["write"] = timings.get("write", 0.0) + time.perf_counter() - began
    return Embedded(path=target, key=key_obsm, shape=embedding.shape, timings=timings)
