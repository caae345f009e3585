"""``umapcore embed``: read a file with a neighbour graph, write it with an embedding."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import add_output_options, add_running_options, count
from umapcore.cli.reporting import flat

if TYPE_CHECKING:
    import argparse

# Option of the command line for each parameter of the library.
_OPTIONS = {
    "min_dist": "--min-dist",
    "spread": "--spread",
    "n_components": "--n-components",
    "n_epochs": "--maxiter",
    "alpha": "--alpha",
    "gamma": "--gamma",
    "negative_sample_rate": "--negative-sample-rate",
    "density_weight": "--density-weight",
    "density_fraction": "--density-fraction",
    "density_shift": "--density-shift",
    "seed": "--random-state",
    "memory_limit": "--memory-limit",
    "n_neighbors": "--n-neighbors",
    "n_pcs": "--n-pcs",
    "use_rep": "--use-rep",
    "metric": "--metric",
    "accuracy": "--accuracy",
    "neighbors_key": "--neighbors-key",
    "preprocess": "--preprocess",
}

# Option, type, default, name of the value and help of each parameter of the layout.
_LAYOUT: tuple[tuple[str, Any, Any, str, str], ...] = (
    ("--min-dist", float, 0.5, "X", "from 0 to spread"),
    ("--spread", float, 1.0, "X", "above 0"),
    ("--a", float, None, "X", "curve parameter, with --b, instead of the two above"),
    ("--b", float, None, "X", "curve parameter, with --a"),
    ("--n-components", int, 2, "N", "dimensions"),
    ("--maxiter", int, None, "N", "epochs (default: 500 up to 10000 cells, else 200)"),
    ("--alpha", float, 1.0, "X", "step size of the first epoch"),
    ("--gamma", float, 1.0, "X", "weight of the repulsion"),
    ("--negative-sample-rate", int, 5, "N", "negative samples for each firing edge"),
    ("--density-weight", float, 0.0, "X",
     "above 0: preserve local densities (densMAP); umap-learn uses 2"),
    ("--density-fraction", float, 0.3, "X",
     "share of the epochs, at the end, that preserve densities"),
    ("--density-shift", float, 0.1, "X",
     "added to the variance of the log radii in the embedding"),
    ("--init-pos", str, "spectral", "START", "spectral, random, paga, or a key of obsm"),
    ("--random-state", int, 0, "N", "seed"),
)  # fmt: skip


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    embed = commands.add_parser(
        "embed",
        parents=[shared],
        help="embed the neighbour graph of an .h5ad file or a zarr store",
        description="Embed the neighbour graph of an .h5ad or .h5mu file or a .zarr store, and "
        "write the file with the embedding in it. If it has no graph, one is made. Everything else "
        "stays unchanged. The output appears only when it is complete. Example, from counts to a "
        "picture: umapcore embed counts.h5ad -o cells.h5ad --preprocess --plot cells.png",
    )
    _add_files(embed)
    _add_neighbors(embed)
    _add_layout(embed)
    _add_picture(embed)
    _add_running(embed)
    embed.set_defaults(run=run, refuse=embed.error)


def _add_files(embed: argparse.ArgumentParser) -> None:
    files = embed.add_argument_group("files")
    files.add_argument(
        "input",
        type=Path,
        metavar="IN",
        help="an .h5ad file, a zarr store or an .h5mu file; cells.h5mu/rna for one modality",
    )
    add_output_options(
        files,
        "path to write: a zarr store if its name ends in .zarr, else an .h5ad file; .h5mu if IN is",
        "replace OUT, picture and movie if they exist; OUT may then be IN itself",
    )
    files.add_argument(
        "--neighbors-key", metavar="KEY", help="key of the graph in uns (default: neighbors)"
    )
    files.add_argument(
        "--key-added", metavar="KEY", help="write obsm[KEY] and uns[KEY] (default: X_umap, umap)"
    )


def _add_neighbors(embed: argparse.ArgumentParser) -> None:
    graph = embed.add_argument_group("graph", "for files without a graph; it is written to OUT too")
    graph.add_argument(
        "--n-neighbors",
        type=int,
        metavar="N",
        help="size of a neighbourhood, including the cell itself (default: 15)",
    )
    graph.add_argument(
        "--use-rep",
        metavar="KEY",
        help="a key of obsm, or X (default: X with up to 50 variables, else X_pca)",
    )
    graph.add_argument(
        "--n-pcs", type=int, metavar="N", help="use the first N columns (default: all)"
    )
    graph.add_argument("--metric", metavar="NAME", help="distance (default: euclidean)")
    graph.add_argument(
        "--accuracy",
        type=float,
        metavar="X",
        help="share of the true neighbours that an approximate search, used for many cells, aims "
        "at; 1: search exactly (default: 0.99)",
    )
    graph.add_argument(
        "--preprocess",
        action="store_true",
        help="X holds counts: scale all cells to the same depth, take log(1 + x), compute 50 "
        "principal components of all variables, and make the graph from them. X stays as it is",
    )


def _add_layout(embed: argparse.ArgumentParser) -> None:
    layout = embed.add_argument_group("layout")
    for option, kind, default, metavar, text in _LAYOUT:
        shown = text if default is None else f"{text} (default: %(default)s)"
        layout.add_argument(option, type=kind, default=default, metavar=metavar, help=shown)


def _add_picture(embed: argparse.ArgumentParser) -> None:
    picture = embed.add_argument_group("picture")
    picture.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the embedding: .png, .pdf or .svg"
    )
    picture.add_argument(
        "--color",
        action="extend",
        nargs="+",
        metavar="NAME",
        help="columns of obs or genes to colour by, one panel each; the movie uses the first",
    )
    picture.add_argument(
        "--movie", type=Path, metavar="FILE", help="show how the layout develops: .gif or .mp4"
    )
    picture.add_argument(
        "--movie-every",
        type=count,
        metavar="K",
        help="epochs between frames (default: chosen for about 50 frames)",
    )


def _add_running(embed: argparse.ArgumentParser) -> None:
    running = embed.add_argument_group("running")
    add_running_options(running)
    running.add_argument(
        "--memory-limit",
        metavar="SIZE",
        help="most memory on the CPU, such as 6GB: for a larger graph, files in TMPDIR are used "
        "(default: what the system can give)",
    )
    running.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="save the run to FILE regularly; if FILE exists, continue from it, with the same "
        "bits. It is removed when OUT is written",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command with the parsed arguments."""
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.neighbors.record import check_search
    from umapcore.settings import memory_size

    layout = {
        name: getattr(args, name)
        for name in (
            "min_dist", "spread", "n_components", "alpha", "gamma", "negative_sample_rate", "a",
            "b", "density_weight", "density_fraction", "density_shift",
        )
    }  # fmt: skip
    try:
        # Check the options themselves before a large file is read.
        OptimizerSpec(n_epochs=args.maxiter, seed=args.random_state, **layout)
        memory_size("memory_limit", args.memory_limit)
        check_search(None, args.accuracy)
    except (ValueError, TypeError) as error:
        args.refuse(_in_options(str(error)))

    picture = None
    if args.plot is None and args.movie is None and args.color:
        args.refuse("--color needs --plot FILE or --movie FILE")
    if args.plot is not None:
        if args.n_components == 1:
            args.refuse("--plot needs --n-components of at least 2")
        from umapcore.pl.save import Picture

        try:
            picture = Picture(args.plot, tuple(args.color or ()))
        except ValueError as error:
            args.refuse(f"--plot: {error}")

    movie = None
    if args.movie is None and args.movie_every is not None:
        args.refuse("--movie-every needs --movie FILE")
    if args.movie is not None:
        if args.n_components == 1:
            args.refuse("--movie needs --n-components of at least 2")
        from umapcore.pl.movie_file import MovieFile

        try:
            movie = MovieFile(args.movie, args.color[0] if args.color else None, args.movie_every)
        except ValueError as error:
            args.refuse(f"--movie: {error}")

    names = ("n_neighbors", "use_rep", "n_pcs", "metric", "accuracy")
    graph = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    from umapcore.cli.embed_file import embed_file

    done = embed_file(
        args.input,
        args.output,
        overwrite=args.overwrite,
        picture=picture,
        movie=movie,
        checkpoint=args.checkpoint,
        neighbors=graph,
        preprocess=args.preprocess,
        maxiter=args.maxiter,
        init_pos=args.init_pos,
        random_state=args.random_state,
        method=args.method,
        neighbors_key=args.neighbors_key,
        key_added=args.key_added,
        n_threads=args.threads,
        memory_limit=args.memory_limit,
        progress=args.progress,
        **layout,
    )
    n, d = done.shape
    order = (
        "read",
        "preprocess",
        "neighbours",
        "graph",
        "density",
        "start",
        "plan",
        "optimise",
        "draw",
        "write",
    )
    stages = {stage: done.timings[stage] for stage in order if stage in done.timings}
    said = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
    compiling = done.timings.get("compiling", 0.0)
    once = f"; {compiling:.2f} s of it compiling, once for this processor" if compiling else ""
    print(flat(f"{args.output}: obsm[{done.key!r}], {n:,} x {d}"))
    if done.continued is not None:
        print(flat(f"{args.checkpoint}: continued after {done.continued:,} epochs, and removed"))
    if picture is not None:
        print(flat(f"{args.plot}: the picture"))
    if movie is not None:
        print(flat(f"{args.movie}: the movie"))
    print(f"{sum(stages.values()):.2f} s ({said}){once}")


def _in_options(message: str) -> str:
    """Replace the names of the library's parameters by those of the options."""
    for name, option in _OPTIONS.items():
        message = re.sub(rf"\b{name}\b", option, message)
    return message
