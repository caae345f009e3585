"""``umapcore compare``: whether the embeddings of two files are the same, and how different."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import count
from umapcore.cli.reporting import DIFFERENT, OK, TROUBLE

if TYPE_CHECKING:
    import argparse

    from umapcore.measures.comparison import Comparison


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    compare = commands.add_parser(
        "compare",
        parents=[shared],
        help="compare the embeddings of two files",
        description="Compare the embeddings of two files: bits, cells, differences, Procrustes "
        "disparity, common neighbours. The exit code is that of cmp and diff: 0 for the same cells "
        "in the same order with the same bits, 1 for a difference, 2 for an error.",
    )
    compare.add_argument("a", type=Path, metavar="A", help="an .h5ad file or a zarr store")
    compare.add_argument("b", type=Path, metavar="B", help="another")
    compare.add_argument(
        "--key",
        default="X_umap",
        help="key of the embedding in obsm (default: %(default)s)",
    )
    compare.add_argument(
        "--key-b", metavar="KEY", help="key of the embedding in B (default: as in A)"
    )
    compare.add_argument(
        "-k", type=count, default=15, metavar="N", help="neighbours (default: %(default)s)"
    )
    compare.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing, only set the exit code"
    )
    compare.add_argument("--json", action="store_true", help="print JSON")
    compare.set_defaults(run=run, failed=TROUBLE)


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments."""
    from dataclasses import asdict

    from umapcore.files.anndata_files import read_embedding
    from umapcore.measures.comparison import compare

    key_b = args.key if args.key_b is None else args.key_b
    a, b = read_embedding(args.a, args.key), read_embedding(args.b, key_b)
    found = compare(a, b, key="X_umap", k=args.k)
    if args.json:
        print(json.dumps({"a": str(args.a), "b": str(args.b), **asdict(found)}, indent=2))
    elif not args.quiet:
        print("\n".join(lines(found)))
    return OK if found.equal else DIFFERENT


def lines(found: Comparison) -> list[str]:
    """Format a comparison as readable text, one item per line."""
    cells = "the same, in the same order"
    if not found.same_cells:
        n, m = found.shapes[0][0], found.shapes[1][0]
        cells = f"{found.n_shared:,} of {n:,} in A and of {m:,} in B are in both"
    elif not found.same_order:
        cells = "the same, in another order"
    shapes = [
        f"{n:,} x {d} {dtype}" for (n, d), dtype in zip(found.shapes, found.dtypes, strict=True)
    ]
    items = {
        "bits": "equal" if found.equal else "different",
        "cells": cells,
        "shapes": shapes[0] if shapes[0] == shapes[1] else " and ".join(shapes),
        "cells that moved": _said(found.n_moved, f"{{:,}} of {found.n_shared:,}"),
        "largest difference": _said(found.largest_difference, "{:.6g}"),
        "Procrustes disparity": _said(found.procrustes, "{:.6f}  (0 same shape, 1 nothing alike)"),
        f"common neighbours, k = {found.k}": _said(found.neighbor_overlap, "{:.1%}"),
    }
    width = max(map(len, items))
    return [f"{item:<{width}}  {value}" for item, value in items.items()]


def _said(value: float | None, form: str) -> str:
    return "not comparable" if value is None else form.format(value)
