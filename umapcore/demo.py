"""``umapcore demo``: embed the bundled cells, print the times, draw the result."""

from __future__ import annotations

import time
from contextlib import contextmanager
from importlib import import_module
from importlib.resources import as_file, files
from importlib.util import find_spec
from typing import TYPE_CHECKING

from umapcore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from anndata import AnnData

PICTURE = "umap.png"
TABLE = "umapcore_demo.h5ad"
_STAGES = ("import", "read", "graph", "start", "plan", "optimise", "write")
# Written into the picture: a later run replaces only pictures that contain it.
_SOFTWARE = "umapcore demo"


def load_cells() -> AnnData:
    """Read the bundled data set: 8,617 cord blood cells with a neighbour graph.

    Returns
    -------
    An object with ``obsm['X_pca']``, the graph as scanpy stores it, ``obs['cell_type']``, and
    the origin of the data in ``uns['source']``.
    """
    import anndata

    with _bundled() as path:
        return anndata.read_h5ad(path)


def _bundled() -> AbstractContextManager[Path]:
    return as_file(files("umapcore") / "data" / "cbmc8k.h5ad")


def run(folder: Path, *, n_threads: int | None = None) -> None:
    """Embed the bundled cells twice and write ``umap.png`` and ``umapcore_demo.h5ad``.

    Parameters
    ----------
    folder
        Where to write; created if it does not exist.
    n_threads
        Threads of the first run, None for all; the second run uses one.

    Raises
    ------
    FileExistsError
        When ``umap.png`` already exists and was not written by this demo.
    OSError
        When `folder` cannot be created or written to.
    RuntimeError
        When the two runs differ in a bit.
    """
    from umapcore.files.anndata_files import write_with

    if folder.exists() and not folder.is_dir():
        msg = f"{folder}: is a file; a folder is needed."
        raise NotADirectoryError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    _spare_others(folder / PICTURE)

    first: dict[str, float] = {}
    with _timed(first, "import"):
        for module in ("anndata", "numba", "umapcore.tl"):
            import_module(module)
    with _timed(first, "read"):
        adata = load_cells()
    graph = adata.obsp["connectivities"]
    groups = adata.obs["cell_type"].nunique()
    _say(f"umapcore {__version__} demo: UMAP layout of a neighbour graph, on the CPU\n")
    _say(f"  cells    {adata.n_obs:,} of human cord blood (CITE-seq, GEO GSE100866)")
    _say(f"  graph    {graph.nnz:,} weights between neighbours, as scanpy.pp.neighbors stores them")
    _say(f"  labels   {groups} cell groups, used for the picture only\n")

    _embed(adata, n_threads, first)
    embedding = adata.obsm["X_umap"].copy()
    again: dict[str, float] = {}
    _embed(adata, 1, again)
    same = embedding.tobytes() == adata.obsm["X_umap"].tobytes()
    with _timed(first, "write"), _bundled() as path:
        elements = {"obsm/X_umap": embedding, "uns/umap": dict(adata.uns["umap"])}
        write_with(path, folder / TABLE, elements)

    _say_times(first, again, n_threads)
    if not same:
        msg = "The two runs gave different bits. This is a bug: please report it."
        raise RuntimeError(msg)
    _say("  Both runs gave the same bits.\n")
    _say(f"  wrote    {folder / TABLE}   obsm['X_umap'], {embedding.shape[0]:,} x 2 float32")
    if find_spec("matplotlib") is None:
        _say('  no picture; to draw it: pip install "umapcore[plot]"')
        return
    began = time.perf_counter()
    draw(adata, folder / PICTURE)
    _say(f"  wrote    {folder / PICTURE}   in {time.perf_counter() - began:.1f} s")


def draw(adata: AnnData, path: Path) -> None:
    """Draw the embedded cells, labelled by cell type, into a PNG file."""
    from matplotlib.figure import Figure

    from umapcore import pl
    from umapcore.files.atomic_write import atomic_write

    # A separate figure: it needs no window, no global state and no display.
    figure = Figure(figsize=(8.0, 6.4), dpi=160, layout="constrained")
    ax = figure.add_subplot()
    title = f"{adata.n_obs:,} cord blood cells"
    pl.umap(adata, color="cell_type", ax=ax, legend_loc="on data", title=title)
    with atomic_write(path) as beside:
        figure.savefig(beside, format="png", bbox_inches="tight", metadata={"Software": _SOFTWARE})
        _spare_others(path)  # one may have appeared meanwhile


@contextmanager
def _timed(stages: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - began


def _embed(adata: AnnData, n_threads: int | None, stages: dict[str, float]) -> None:
    from umapcore._kit.compile_time import counted_compiling
    from umapcore.tl import umap

    measured = {"compiling": 0.0}
    with counted_compiling(measured):
        umap(adata, n_threads=n_threads, timings=measured)
    for stage, seconds in measured.items():
        stages[stage] = stages.get(stage, 0.0) + seconds


def _say_times(first: dict[str, float], again: dict[str, float], n_threads: int | None) -> None:
    from umapcore._kit.precompiled.library import shipped
    from umapcore._kit.threads import thread_count

    threads = thread_count(n_threads)
    said = f"{threads} thread{'' if threads == 1 else 's'}"
    _say(f"  {'seconds':<10}{f'first run, {said}':>22}{'second run, 1 thread':>24}")
    for stage in _STAGES:
        _say_row(stage, first.get(stage), again.get(stage))
    _say_row("total", *(sum(run.get(stage, 0.0) for stage in _STAGES) for run in (first, again)))
    if first["compiling"] + again["compiling"] < 0.05:
        if shipped() is None:
            _say("\n  The kernels were compiled by an earlier run; these only loaded them.")
        else:
            _say("\n  The kernels are part of the installation; nothing was compiled.")
        return
    _say_row("compiling", first["compiling"], again["compiling"])
    _say(
        "\n  Compiling is part of the total. It is done once for a processor and kept on disk:"
        "\n  run the demo again to see what later runs take."
    )


def _say_row(name: str, *values: float | None) -> None:
    cells = ["" if value is None else f"{value:.2f}" for value in values]
    _say(f"  {name:<10}{cells[0]:>22}{cells[1]:>24}".rstrip())


def _spare_others(picture: Path) -> None:
    if picture.exists() and _SOFTWARE.encode() not in picture.read_bytes()[:2000]:
        msg = f"{picture}: already exists and is not from this demo; choose another folder with -o."
        raise FileExistsError(msg)


def _say(line: str) -> None:
    print(line, flush=True)
