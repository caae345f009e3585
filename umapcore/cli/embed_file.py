"""Embed the graph of a file into a copy; everything else in it stays unchanged."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import option_of
from umapcore.files.anndata_files import check_paths, check_target, open_file, write_with
from umapcore.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from anndata import AnnData

    from umapcore.pl.movie_file import MovieFile
    from umapcore.pl.save import Picture


@dataclass(frozen=True)
class Embedded:
    """What :func:`embed_file` did."""

    path: Path
    key: str
    shape: tuple[int, ...]
    timings: dict[str, float] = field(repr=False)
    #: Epochs that an earlier run had finished; None without an earlier run.
    continued: int | None = None


def embed_file(
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    picture: Picture | None = None,
    movie: MovieFile | None = None,
    checkpoint: Path | None = None,
    neighbors: Mapping[str, Any] | None = None,
    preprocess: bool = False,
    **parameters: Any,
) -> Embedded:
    """Embed the graph of an .h5ad file or a zarr store and write the file with the embedding.

    If there is no graph, it is made and written as well.

    ``X`` is neither loaded nor encoded again: the target begins as a copy of the source. It
    gets its name only when it is complete.

    Parameters
    ----------
    source, target
        Paths; they may be the same with `overwrite`. If their formats differ, everything is
        read and written.
    overwrite
        Whether an existing target, picture and movie may be replaced.
    picture, movie
        What to draw, and where; None draws nothing.
    checkpoint
        File that the run is saved to and continued from; removed when the target is written.
    neighbors
        Parameters of :func:`umapcore.pp.neighbors`, for a graph that is missing. An existing
        graph is never replaced; parameters for it are an error. Under a `neighbors_key` that
        does not exist, a graph is made only when there are parameters for it.
    preprocess
        Whether X holds counts, whose principal components the graph is made from and which are
        written too.
    parameters
        Those of :func:`umapcore.tl.umap`.

    Raises
    ------
    FileNotFoundError, FileExistsError, OSError
        When a file cannot be read or written, or would be overwritten.
    ValueError, TypeError
        As :func:`umapcore.tl.umap`.
    """
    # Follow a link, so that its target file is replaced and not the link.
    target = target.resolve()
    check_paths(source, target, overwrite=overwrite)
    drawings = [drawing for drawing in (picture, movie) if drawing is not None]
    for drawing in drawings:
        check_target(drawing.path.resolve(), overwrite=overwrite)
    _check_distinct([target, *(drawing.path for drawing in drawings)], checkpoint)

    from umapcore._kit.compile_time import counted_compiling
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.runs.checkpoint import Checkpoint
    from umapcore.runs.checkpoint_file import remove_state
    from umapcore.tl import umap

    timings: dict[str, float] = {}
    continued = None
    key_added = parameters.get("key_added")
    key_obsm, key_uns = ("X_umap", "umap") if key_added is None else (key_added, key_added)
    with ExitStack() as opened:
        began = time.perf_counter()
        adata = opened.enter_context(open_file(source, graphs_on_disk=True))
        timings["read"] = time.perf_counter() - began
        for drawing in drawings:
            drawing.check(adata)
        if movie is not None:
            weight = parameters.get("density_weight", 0.0)
            spec = OptimizerSpec(n_epochs=parameters.get("maxiter"), density_weight=weight)
            epochs = spec.epochs_for(adata.n_obs)
            parameters["snapshots"] = movie.snapshots(epochs)
        if checkpoint is not None:
            continued = _epoch_of(checkpoint)
            parameters["checkpoint"] = Checkpoint(checkpoint, keep=True)
        of_layout: dict[str, float] = {}
        with counted_compiling(of_layout):
            options = dict(neighbors or {}) | ({"preprocess": True} if preprocess else {})
            made = _make_graph(adata, options, parameters, timings)
            umap(adata, timings=of_layout, **parameters)
        for stage, seconds in of_layout.items():
            timings[stage] = timings.get(stage, 0.0) + seconds

        def draw_picture(path: Path) -> None:
            assert picture is not None
            picture.draw(adata, key_obsm, path)

        def draw_movie(path: Path) -> None:
            assert movie is not None
            movie.draw(adata, parameters["snapshots"], key_obsm, path)

        with (
            _drawn(picture, draw_picture, timings, overwrite=overwrite),
            _drawn(movie, draw_movie, timings, overwrite=overwrite),
        ):
            # Some systems cannot replace an open file.
            opened.close()
            began = time.perf_counter()
            embedding = adata.obsm[key_obsm]
            elements = {f"obsm/{key_obsm}": embedding, f"uns/{key_uns}": dict(adata.uns[key_uns])}
            elements |= {f"{parent}/{key}": getattr(adata, parent)[key] for parent, key in made}
            write_with(source, target, elements, overwrite=overwrite)
            timings["write"] = timings.get("write", 0.0) + time.perf_counter() - began
    if checkpoint is not None:
        # Only now is the result safe on disk.
        remove_state(checkpoint)
    return Embedded(target, key_obsm, embedding.shape, timings, continued)


def _make_graph(
    adata: AnnData,
    options: dict[str, Any],
    parameters: Mapping[str, Any],
    timings: dict[str, float],
) -> list[tuple[str, str]]:
    """Make the graph if the file has none; return what was added, as attribute and key."""
    key = parameters.get("neighbors_key") or "neighbors"
    if key in adata.uns:
        if options:
            given = ", ".join(map(option_of, options))
            msg = (
                f"There is a graph already, .uns[{key!r}], so that {given} would have no "
                "effect: leave it out, or name the new graph with --neighbors-key."
            )
            raise ValueError(msg)
        return []
    if parameters.get("neighbors_key") is not None and not options:
        return []  # probably a misspelt name: the layout reports it

    from umapcore.pp import neighbors

    shared = ("random_state", "method", "n_threads", "progress")
    options |= {name: parameters[name] for name in shared if name in parameters}
    had_pca = "X_pca" in adata.obsm
    if options.pop("preprocess", False):
        _preprocess(adata, options, timings)
    began = time.perf_counter()
    neighbors(adata, key_added=None if key == "neighbors" else key, **options)
    timings["neighbours"] = time.perf_counter() - began
    described = adata.uns[key]
    added = [("obsp", described[f"{name}_key"]) for name in ("distances", "connectivities")]
    if not had_pca and "X_pca" in adata.obsm:
        added += [("obsm", "X_pca"), ("varm", "PCs"), ("uns", "pca")]
    return [*added, ("uns", key)]


def _preprocess(adata: AnnData, options: dict[str, Any], timings: dict[str, float]) -> None:
    """Add principal components of counts, from which the graph is then made."""
    if "X_pca" in adata.obsm or "use_rep" in options:
        given = "--use-rep was given" if "use_rep" in options else ".obsm['X_pca'] is there already"
        msg = f"{given}, so that --preprocess would have no effect: leave one of the two out."
        raise ValueError(msg)
    from umapcore.anndata_io.counts import components_of_counts

    began = time.perf_counter()
    for parent, key, value in components_of_counts(adata, options.get("n_pcs")):
        getattr(adata, parent)[key] = value
    options["use_rep"] = "X_pca"
    timings["preprocess"] = time.perf_counter() - began


@contextmanager
def _drawn(
    drawing: Picture | MovieFile | None,
    draw: Callable[[Path], None],
    timings: dict[str, float],
    *,
    overwrite: bool,
) -> Iterator[None]:
    """Draw before the block runs; the file gets its name after the block."""
    if drawing is None:
        yield
        return
    with atomic_write(drawing.path.resolve(), overwrite=overwrite) as beside:
        began = time.perf_counter()
        draw(beside)
        timings["draw"] = timings.get("draw", 0.0) + time.perf_counter() - began
        yield


def _check_distinct(written: list[Path], checkpoint: Path | None) -> None:
    """Refuse the same path for two files."""
    paths = [path.resolve() for path in (*written, *([checkpoint] if checkpoint else []))]
    for path in paths:
        if paths.count(path) > 1:
            msg = f"{path}: is named for two of output, picture, movie and checkpoint."
            raise ValueError(msg)


def _epoch_of(checkpoint: Path) -> int | None:
    from umapcore.runs.checkpoint_file import read_state

    try:
        return read_state(checkpoint).epoch
    except (OSError, ValueError):  # no file, or one that the run will refuse
        return None
