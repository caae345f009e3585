"""Compare umapcore with its rivals in one run: ``python -m benchmarks [--graphs NAME …]``.

Every measurement runs in a separate process. Programs run in turn, so that other load on the
machine affects all of them. Rivals that cannot run here are left out, and the results say why:
uwot needs an ``Rscript`` on PATH or in ``UMAPCORE_RSCRIPT``; cuML and rapids-singlecell need a GPU.
Parts:

optimisation
    All programs get the same graph and the same start positions; only the optimisation is timed.
whole
    From an AnnData object with a graph to its embedding, with the defaults of ``tl.umap``.
scale
    umapcore alone on generated graphs of 1e4 to 1e6 vertices (``--largest`` for more), by stage;
    and how time grows with epochs, dimensions and negative samples.

The results give the quality of each embedding with its time. ``python -m benchmarks.pages`` makes
tables and plots of the results.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import contenders, cpu_lower_bound, graphs, report
from benchmarks.baselines import uwot
from benchmarks.metrics import figures, triplet_accuracy, trustworthiness
from benchmarks.scale import growth, sizes
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph
from umapcore.layout.plan import build_plan

RESULTS = report.RESULTS / "suite.json"
GRAPHS = (
    "cbmc8k", "pendigits11k", "letter20k", "mammoth50k", "shuttle58k", "fashion_mnist70k",
    "clusters15k", "hubs15k", "branching100k",
)  # fmt: skip
#: Parts, and the fields of the results that they write.
FIELDS = {
    "optimisation": ("rates", "optimisation"),
    "whole": ("whole",),
    "scale": ("scale", "growth"),
}
PARTS = tuple(FIELDS)
ROUNDS = 3
#: umapcore's runs in a round: one run is too short to time well.
OUR_REPEATS = 3


def main(arguments: list[str] | None = None) -> int:
    """Measure the chosen parts and write the results."""
    options = _options(arguments)
    n_threads = options.threads or os.cpu_count() or 1
    result: dict[str, Any] = {
        "threads": n_threads,
        "rounds": options.rounds,
        "rounds_with_rivals": min(options.rounds, options.rival_rounds),
        "repeats_of_umapcore_in_a_round": OUR_REPEATS,
        "versions": report.versions() | uwot.versions(),
        "load_average_before": report.load_average(),
        "skipped": {},
    }
    if "optimisation" in options.parts:
        result["rates"] = cpu_lower_bound.rates(OptimizerSpec())
    for part, field_of in (
        ("optimisation", contenders.layout_contenders),
        ("whole", contenders.whole_contenders),
    ):
        if part not in options.parts:
            continue
        result[part] = []
        names = []
        for name, problem in field_of(n_threads).items():
            unwanted = any(name.startswith(start) for start in options.without)
            if reason := "--without" if unwanted else problem:
                result["skipped"][name] = reason
                print(f"{name} is left out: {reason}")
            else:
                names.append(name)
        for graph in options.graphs:
            if part == "whole" and graph not in graphs.DATA_SETS:
                continue
            field = {name: field_of(n_threads, graph)[name] for name in names}
            case = compare(part, graph, [name for name in field if not field[name]], options)
            case["skipped"] = {
                name: problem
                for name, problem in field.items()
                if problem and name not in result["skipped"]
            }
            if part == "optimisation":
                case["floor"] = _floor(case, result["rates"], options.data)
            result[part].append(case)
            print(_table(part, case), flush=True)
    if "scale" in options.parts:
        result["scale"] = sizes(options.largest, n_threads)
        result["growth"] = growth(n_threads)
    if options.again:
        result = _put_into(json.loads(options.out.read_text(encoding="utf-8")), result, options)
    report.write_json(options.out, result)
    return 0


def _put_into(
    earlier: dict[str, Any], result: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Put the new parts into an earlier result, and note this under "again"."""
    run = {
        "parts": options.parts,
        "machine": report.machine(),
        "versions": result["versions"],
        "load_average_before": result["load_average_before"],
    }
    before = [
        {**old, "parts": parts}
        for old in earlier.get("again", [])
        if (parts := [part for part in old["parts"] if part not in options.parts])
    ]
    fields = {field for part in options.parts for field in FIELDS[part]}
    measured = {field: result[field] for field in fields}
    return {**earlier, **measured, "again": [*before, run]}


def compare(part: str, graph: str, names: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Run all contenders on one graph, in turn."""
    bench = graphs.load(graph, data=options.data)
    data = _representation(graph, options.data)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    quality: dict[str, dict[str, float]] = {}
    digests: dict[str, set[bytes]] = {name: set() for name in names}
    for number in range(options.rounds):
        for name in names:
            if number >= options.rival_rounds and not contenders.is_ours(name):
                continue
            repeats = OUR_REPEATS if contenders.is_ours(name) else 1
            embedding, measured = _in_process(name, graph, repeats, options)
            runs[name].append(measured)
            digests[name].add(embedding.tobytes())
            if name not in quality:
                quality[name] = _quality(bench, data, embedding)
    case: dict[str, Any] = {
        "graph": graph,
        "n_vertices": bench.n_vertices,
        "n_edges": int(bench.graph.nnz),
        "n_epochs": bench.n_epochs,
        "load_average_after": report.load_average(),
        "contenders": {
            name: _summary(part, runs[name]) | {"quality": quality[name]} for name in names
        },
    }
    ours = {digest for name in names if contenders.is_ours(name) for digest in digests[name]}
    case["all_of_umapcores_runs_have_the_same_bits"] = len(ours) == 1
    return case


def _floor(case: dict[str, Any], rates: dict[str, float], data: str | None) -> dict[str, Any]:
    """Compute the lower bound for one thread, and the ratio of the measured time to it."""
    bench = graphs.load(case["graph"], data=data)
    spec = OptimizerSpec(n_epochs=bench.n_epochs)
    least = cpu_lower_bound.floor(build_plan(prepare_graph(bench.graph), spec), spec, rates)
    median_of_one = case["contenders"]["umapcore 1"]["median"]
    return {
        **least,
        "times": median_of_one / least["seconds"],
        "times_strict": median_of_one / least["strict_seconds"],
    }


def _in_process(
    name: str, graph: str, repeats: int, options: argparse.Namespace
) -> tuple[Any, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.npz"
        command = [sys.executable, "-m", "benchmarks.contenders", name, graph]
        command += ["--repeats", str(repeats), "--out", str(out)]
        command += ["--data", options.data] if options.data else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with np.load(out) as stored:
            measured = {
                "stages": json.loads(str(stored["stages"])),
                "more_bytes": float(stored["more_bytes"]),
                "round_trips_ns": [float(ns) for ns in stored["round_trips_ns"]],
            }
            return stored["embedding"], measured


def _summary(part: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    counts = "optimise" if part == "optimisation" else "whole"
    stages = [stage for one in rounds for stage in one["stages"]]
    seconds = [stage[counts] for stage in stages]
    more = [one["more_bytes"] for one in rounds]
    trips = [ns for one in rounds for ns in one["round_trips_ns"]]
    return {
        "median": median(seconds),
        "best": min(seconds),
        "seconds": seconds,
        "stages": {key: median(stage[key] for stage in stages) for key in stages[0]},
        # Some processes cannot measure it, for example R in a chroot without /proc.
        "bytes_above_the_data": max((b for b in more if math.isfinite(b)), default=None),
    } | ({"round_trips_ns": trips} if trips else {})


def _quality(bench: graphs.BenchGraph, data: Any, embedding: Any) -> dict[str, float]:
    a, b = OptimizerSpec().curve()
    found = figures(bench.graph, embedding, a=a, b=b)
    quality = {key: getattr(found, key) for key in ("loss", "recall", "extent", "largest_centred")}
    if data is not None:
        quality["trustworthiness"] = trustworthiness(data, embedding)
        quality["triplets"] = triplet_accuracy(data, embedding)
    return quality


def _representation(graph: str, data: str | None) -> Any:
    if graph not in graphs.DATA_SETS:
        return None
    import h5py

    with h5py.File(graphs.data_folder(data) / f"{graph}.h5ad") as file:
        return file["obsm/X_pca"][:]


def _table(part: str, case: dict[str, Any]) -> str:
    title = f"\n{part}: {case['graph']}, {case['n_vertices']:,} vertices, {case['n_epochs']} epochs"
    return f"{title}\n{contender_table(case)}"


def contender_table(case: dict[str, Any]) -> str:
    """Return the table of one graph: time, ratio to the first program's, memory and quality."""
    found = case["contenders"]
    base = next(iter(found.values()))["median"]
    rows = []
    for name, run in found.items():
        quality, memory = run["quality"], run["bytes_above_the_data"]
        spread = f"{min(run['seconds']):.2f} to {max(run['seconds']):.2f}"
        optional = [
            f"{quality[key]:.3f}" if key in quality else ""
            for key in ("trustworthiness", "triplets")
        ]
        rows.append(
            [
                name, f"{run['median']:.3g} s", spread, f"{run['median'] / base:.2f}",
                "" if memory is None else f"{memory / 1e6:.0f} MB", f"{quality['loss']:.3f}",
                f"{quality['recall']:.3f}", f"{quality['extent']:.1f}", *optional,
            ]
        )  # fmt: skip
    first = next(iter(found))
    header = (
        "program", "median", "spread, s", f"of {first}", "memory", "loss", "recall", "extent",
        "trust", "triplets",
    )  # fmt: skip
    return report.table(header, rows)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--graphs", nargs="+", default=list(GRAPHS), metavar="NAME")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="NAME", help="prefixes of rivals to leave out"
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--threads", type=int, help="default: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rival-rounds", type=int, default=ROUNDS, help="rounds with rivals")
    parser.add_argument("--largest", type=int, default=1_000_000, help="vertices, part 'scale'")
    parser.add_argument("--data", help="folder of the AnnData files (or $UMAPCORE_DATA)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--again", action="store_true", help="put these parts into the results in --out"
    )
    options = parser.parse_args(arguments)
    if options.again and not options.out.is_file():
        parser.error(f"--again: there are no earlier results in {options.out}")
    return options
