"""``umapcore plot``: draw the embedding of a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from umapcore.cli.parser import add_output_options, count
from umapcore.cli.reporting import flat

#: Options that are parameters of `pl.umap` under the same names.
_STYLE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--basis", {"default": "X_umap", "metavar": "KEY",
     "help": "key of the embedding in obsm (default: %(default)s)"}),
    ("--components", {"type": int, "nargs": "+", "metavar": "I",
     "help": "columns of the embedding, counted from 0 (default: the first ones)"}),
    ("--dims", {"type": int, "choices": (2, 3),
     "help": "dimensions of the picture (default: 3 for an embedding of three columns, else 2)"}),
    ("--groups", {"nargs": "+", "action": "extend", "metavar": "NAME",
     "help": "show these groups only; the other points are grey"}),
    ("--palette", {"nargs": "+", "metavar": "COLOUR",
     "help": "a colour map, or the colours of the groups in order (default: those in uns)"}),
    ("--cmap", {"metavar": "NAME", "help": "colour map for numbers (default: matplotlib's)"}),
    ("--vmin", {"metavar": "X", "help": "lower end of the colour scale; p1: the first percentile"}),
    ("--vmax", {"metavar": "X", "help": "upper end of the colour scale; p99: a percentile"}),
    ("--size", {"type": float, "metavar": "X",
     "help": "area of a point in square points (default: by their number)"}),
    ("--alpha", {"type": float, "metavar": "X", "help": "opacity (default: by their number)"}),
    ("--gene-symbols", {"metavar": "COLUMN", "help": "column of var with the genes' names"}),
    ("--use-raw", {"action": argparse.BooleanOptionalAction,
     "help": "take genes from raw (default: if there is one)"}),
    ("--sort-order", {"action": "store_true", "help": "draw large numbers above small ones"}),
    ("--add-outline", {"action": "store_true", "help": "draw a border around groups of points"}),
    ("--edges", {"action": "store_true", "help": "draw the edges of the graph"}),
    ("--neighbors-key", {"metavar": "KEY",
     "help": "entry of uns that names the graph of --edges (default: neighbors)"}),
    ("--legend-fontsize", {"type": float, "metavar": "X",
     "help": "size of the groups' names in points (default: by their number)"}),
    ("--ncols", {"type": count, "metavar": "N",
     "help": "panels in a row (default: 4, or fewer beside wide legends)"}),
)  # fmt: skip


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    plot = commands.add_parser(
        "plot",
        parents=[shared],
        help="draw the embedding of a file",
        description="Draw the embedding of an .h5ad or .h5mu file or a .zarr store, coloured by "
        "columns of obs or by genes. The input is only read. Example: umapcore plot cells.h5ad "
        "-o cells.png --color cell_type --legend-loc 'on data'",
    )
    plot.add_argument(
        "input", type=Path, metavar="IN", help="an .h5ad or .h5mu file, or a zarr store"
    )
    add_output_options(plot, "picture to write: .png, .pdf or .svg", "replace OUT if it exists")
    plot.add_argument(
        "--color",
        action="extend",
        nargs="+",
        metavar="NAME",
        help="columns of obs or genes to colour by, one panel each",
    )
    plot.add_argument(
        "--title", action="extend", nargs="+", help="titles of the panels (default: the colours)"
    )
    plot.add_argument(
        "--legend-loc",
        metavar="PLACE",
        default="right margin",
        help="place of the groups' names: 'right margin', 'on data', 'none', or a place within the "
        "axes as matplotlib names it, such as 'upper right' (default: %(default)s)",
    )
    for option, more in _STYLE:
        plot.add_argument(option, **more)
    plot.add_argument(
        "--dpi", type=count, default=160, metavar="N", help="dots per inch (default: %(default)s)"
    )
    plot.set_defaults(run=run, refuse=plot.error)


def run(args: argparse.Namespace) -> None:
    """Run the command with the parsed arguments."""
    from umapcore.files.anndata_files import check_target, open_file
    from umapcore.files.atomic_write import atomic_write
    from umapcore.pl.save import Picture

    colors = args.color or [None]
    if args.title is not None and len(args.title) != len(colors):
        args.refuse(f"--title: {len(args.title)} titles for {len(colors)} panels")
    try:
        picture = Picture(args.output, tuple(args.color or ()))
    except ValueError as error:
        args.refuse(f"-o: {error}")
    target = args.output.resolve()
    check_target(target, overwrite=args.overwrite)
    with open_file(args.input) as adata:
        from umapcore.pl.scatter import require_matplotlib, umap

        require_matplotlib()
        import matplotlib as mpl

        # This backend needs no window and no display.
        mpl.use("agg")
        import matplotlib.pyplot as plt

        options = {name: getattr(args, name) for name in map(_parameter, dict(_STYLE))}
        for end in ("vmin", "vmax"):
            options[end] = _number(options[end])
        if options["palette"] is not None and len(options["palette"]) == 1:
            (options["palette"],) = options["palette"]
        axes: Any = umap(adata, colors, title=args.title, legend_loc=args.legend_loc, **options)
        figure = axes[0].figure.canvas.figure
        with atomic_write(target, overwrite=args.overwrite) as beside:
            figure.savefig(beside, format=picture.format, dpi=args.dpi)
        plt.close(figure)
    print(flat(f"{args.output}: the picture, {adata.n_obs:,} points"))


def _parameter(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _number(text: str | None) -> float | str | None:
    """Return a limit as a number; percentiles such as 'p99' stay as they are."""
    try:
        return text if text is None else float(text)
    except ValueError:
        return text
