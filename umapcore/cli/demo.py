"""``umapcore demo``: the bundled cells, embedded and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import count

if TYPE_CHECKING:
    import argparse


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    demo = commands.add_parser(
        "demo",
        parents=[shared],
        help="embed the bundled cells and draw them",
        description="Embed the bundled data set (8,617 cord blood cells), print how long each "
        "stage took, and write umap.png and umapcore_demo.h5ad.",
    )
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder to write into, created if missing (default: the current one)",
    )
    demo.add_argument("--threads", type=count, metavar="N", help="threads (default: all)")
    demo.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Run the command with the parsed arguments."""
    from umapcore import demo

    demo.run(args.output, n_threads=args.threads)
