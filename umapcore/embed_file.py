"""Embed a file into another: everything else in it stays as it was."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from umapcore.anndata_files import check_paths, check_target, open_file, write_with
from umapcore.whole_path import complete_or_absent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anndata import AnnData

    from umapcore.pl.save import Picture


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
    picture: Picture | None = None,
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
        Whether an existing target and an existing picture may be replaced.
    picture
        What to draw, and where; None draws nothing.
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
    if picture is not None:
        check_target(picture.path.resolve(), overwrite=overwrite)

    from umapcore.compile_time import counted_compiling
    from umapcore.tl import umap

    began = time.perf_counter()
    adata = open_file(source)
    opened = time.perf_counter()
    timings: dict[str, float] = {}
    key_added = parameters.get("key_added")
    key_obsm, key_uns = ("X_umap", "umap") if key_added is None else (key_added, key_added)
    try:
        if picture is not None:
            picture.check(adata)
        with counted_compiling(timings):
            umap(adata, timings=timings, **parameters)
        timings["read"] = timings.get("read", 0.0) + opened - began
        with _drawn(picture, adata, key_obsm, timings):
            # Not all systems replace a file that is open.
            if adata.file.is_open:
                adata.file.close()
            began = time.perf_counter()
            embedding = adata.obsm[key_obsm]
            elements = {f"obsm/{key_obsm}": embedding, f"uns/{key_uns}": dict(adata.uns[key_uns])}
            write_with(source, target, elements)
            timings["write"] = timings.get("write", 0.0) + time.perf_counter() - began
    finally:
        if adata.file.is_open:
            adata.file.close()
    return Embedded(path=target, key=key_obsm, shape=embedding.shape, timings=timings)


@contextmanager
def _drawn(
    picture: Picture | None, adata: AnnData, basis: str, timings: dict[str, float]
) -> Iterator[None]:
    """Draw before the work in the block is done, and let the picture appear after it."""
    if picture is None:
        yield
        return
    with complete_or_absent(picture.path.resolve()) as beside:
        began = time.perf_counter()
        picture.draw(adata, basis, beside)
        timings["draw"] = time.perf_counter() - began
        yield
