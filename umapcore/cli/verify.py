"""``umapcore verify``: check that a file's embedding follows from its graph and parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import add_running_options
from umapcore.cli.reporting import DIFFERENT, OK, TROUBLE, flat

if TYPE_CHECKING:
    import argparse


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    verify = commands.add_parser(
        "verify",
        parents=[shared],
        help="run a stored layout again and compare every bit",
        description="Run the layout of an .h5ad file or a .zarr store again, from the graph and "
        "the parameters in it, and report whether the stored embedding is reproduced bit for bit. "
        "The file is only read. The exit code is 0 when all that was checked is reproduced, 1 when "
        "it is not, 2 for an error.",
    )
    verify.add_argument("input", type=Path, metavar="FILE", help="an .h5ad file or a zarr store")
    verify.add_argument(
        "--key", metavar="KEY", help="embedding in obsm[KEY] and uns[KEY] (default: X_umap, umap)"
    )
    verify.add_argument(
        "--init-pos", metavar="KEY", help="key of the start positions in obsm, if it has changed"
    )
    verify.add_argument(
        "--from-coordinates",
        action="store_true",
        help="also search the neighbours again, in the coordinates that the graph was made from",
    )
    add_running_options(verify)
    verify.add_argument("--json", action="store_true", help="print JSON")
    verify.set_defaults(run=run, failed=TROUBLE)


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments."""
    from dataclasses import asdict

    from umapcore.files.anndata_files import open_file
    from umapcore.verification import verify

    with open_file(args.input) as adata:
        found = verify(
            adata,
            args.key,
            init_pos=args.init_pos,
            from_coordinates=args.from_coordinates,
            method=args.method,
            n_threads=args.threads,
            progress=args.progress,
        )
    print(json.dumps(asdict(found), indent=2) if args.json else flat(f"{args.input}: {found}"))
    return OK if found else DIFFERENT
