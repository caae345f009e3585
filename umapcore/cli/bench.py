"""``umapcore bench``: a short benchmark on this machine, of the user's own graph."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import count
from umapcore.cli.reporting import FAILED, OK, flat

if TYPE_CHECKING:
    import argparse

    from umapcore.measures.bench import Result, Row


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    bench = commands.add_parser(
        "bench",
        parents=[shared],
        help="measure the layout on this machine and compare it with other programs",
        description="Lay out one graph from one start with umapcore (on 1 thread up to all, and on "
        "the GPU if there is one), and with umap-learn and scanpy if they are installed. Print "
        "how long each took (medians; programs take turns; compiling is not counted), how good "
        "the layouts are, and whether all layouts of umapcore have the same bits. The exit code "
        "is 1 if they do not.",
    )
    bench.add_argument(
        "input",
        type=Path,
        nargs="?",
        metavar="IN",
        help="an .h5ad file or a zarr store with a graph (default: the bundled 8,617 cells)",
    )
    bench.add_argument(
        "--neighbors-key",
        default="neighbors",
        metavar="KEY",
        help="key of the graph in uns (default: %(default)s)",
    )
    bench.add_argument(
        "--maxiter",
        type=count,
        metavar="N",
        help="epochs (default: 500 up to 10000 cells, else 200)",
    )
    bench.add_argument(
        "--repeats",
        type=count,
        default=3,
        metavar="N",
        help="runs of each program (default: %(default)s)",
    )
    bench.add_argument(
        "--threads",
        type=count,
        nargs="+",
        metavar="N",
        help="numbers of threads for umapcore (default: 1, 2, 4 ... all)",
    )
    bench.add_argument(
        "--no-rivals", dest="rivals", action="store_false", help="measure umapcore alone"
    )
    bench.add_argument("--json", action="store_true", help="print JSON, with times of every run")
    bench.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments."""
    from umapcore.anndata_io.read import read_neighbors
    from umapcore.demo import load_cells
    from umapcore.files.anndata_files import open_file
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.measures.bench import bench, thread_counts

    threads = sorted(set(args.threads)) if args.threads else thread_counts()
    with ExitStack() as opened:
        given = args.input is not None
        adata = opened.enter_context(open_file(args.input)) if given else load_cells()
        graph, _, _ = read_neighbors(adata, args.neighbors_key)
        found = bench(
            graph,
            OptimizerSpec(n_epochs=args.maxiter),
            threads=threads,
            repeats=args.repeats,
            with_baselines=args.rivals,
            tell=_tell if args.verbose or sys.stderr.isatty() else lambda _: None,
        )
    name = "the bundled cells" if args.input is None else flat(str(args.input))
    print(json.dumps(as_json(found, name), indent=2) if args.json else table(found, name))
    return OK if found.same_bits else FAILED


def _tell(line: str) -> None:
    print(f"umapcore bench: {line}", file=sys.stderr)


def table(found: Result, name: str) -> str:
    """Format the result as a readable table."""
    from umapcore.info import cpu_name
    from umapcore.measures.bench import STAGES

    stages = [s for s in STAGES if any(row.stage(s) is not None for row in found.rows)]
    heads = ["", "seconds", *stages, "times as fast", "loss", "recall"]
    slowest = max(row.total for row in found.rows)
    lines = [heads]
    for row in found.rows:
        seconds = [row.total, *map(row.stage, stages)]
        times = f"{slowest / row.total:.1f}"
        quality = [f"{row.loss:.4f}", f"{row.recall:.3f}"]
        lines.append(
            [row.name, *("" if s is None else f"{s:.3f}" for s in seconds), times, *quality]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    runs = len(found.rows[0].runs)
    text = [
        f"{name}: {found.n_vertices:,} vertices, {found.n_edges:,} directed edges, "
        f"{found.n_epochs} epochs",
        f"{cpu_name()}; " + ("with a GPU" if found.no_gpu is None else f"no GPU: {found.no_gpu}"),
        f"one start for all: spectral, {found.start_seconds:.3f} s by umapcore, not counted below",
        f"median{'s' if runs > 1 else ''} of {runs} run{'s' if runs > 1 else ''}, by turns, "
        "without compiling",
        "",
    ]
    for line in lines:
        first, *others = zip(line, widths, strict=True)
        cells = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
        text.append("  ".join(cells).rstrip())
    text += ["", _bits(found)]
    return "\n".join(text)


def _bits(found: Result) -> str:
    ours = [row for row in found.rows if row.ours]
    runs = sum(len(row.runs) for row in ours)
    if found.same_bits:
        return f"The {runs} layouts by umapcore have the same bits."
    return f"The {runs} layouts by umapcore differ in their bits. This is a bug: please report it."


def as_json(found: Result, name: str) -> dict[str, Any]:
    """Return the result, with versions and machine, as objects that JSON can hold."""
    from umapcore.info import collect

    here = collect()
    return {
        "graph": {"name": name, "vertices": found.n_vertices, "directed_edges": found.n_edges},
        "n_epochs": found.n_epochs,
        "start_seconds": found.start_seconds,
        "same_bits": found.same_bits,
        "no_gpu": found.no_gpu,
        "programs": [_row(row) for row in found.rows],
        "machine": {key: here[key] for key in ("umapcore", "python", "packages", "cpu", "gpu")},
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "median_seconds": row.total,
        "runs": row.runs,
        "loss": row.loss,
        "recall": row.recall,
    }
