"""Measure how umapcore's time and memory grow with the size of generated graphs.

``python -m benchmarks.scale VERTICES`` runs one size in this process and prints JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from benchmarks import graphs, report
from benchmarks.resident import resident_bytes
from umapcore import OptimizerSpec, simplicial_set_embedding

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
GROWTH_VERTICES = 100_000
EPOCHS = 200
#: Parameters changed one at a time; the others are 200 epochs, 2 dimensions, 5 negative samples.
CHANGES: dict[str, tuple[int, ...]] = {
    "n_epochs": (50, 100, 200, 500),
    "n_components": (1, 2, 3, 5, 10),
    "negative_sample_rate": (0, 1, 2, 5, 10),
}


def sizes(largest: int, n_threads: int) -> list[dict[str, Any]]:
    """Measure every size up to the largest, each in a separate process."""
    found = []
    for n in (size for size in SIZES if size <= largest):
        command = [sys.executable, "-m", "benchmarks.scale", str(n), "--threads", str(n_threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(report.rounded(found[-1]), flush=True)
    return found


def growth(n_threads: int) -> dict[str, list[dict[str, float]]]:
    """Measure the seconds of the optimisation while one parameter changes."""
    bench = graphs.load(f"generated{GROWTH_VERTICES}")
    found: dict[str, list[dict[str, float]]] = {}
    for parameter, values in CHANGES.items():
        found[parameter] = []
        for value in values:
            spec = OptimizerSpec(n_epochs=EPOCHS).replace(**{parameter: value})
            simplicial_set_embedding(
                bench.graph, spec, init="random", progress=False, stop_epoch=3, n_threads=n_threads
            )
            timings: dict[str, float] = {}
            simplicial_set_embedding(
                bench.graph, spec, init="random", progress=False, timings=timings,
                n_threads=n_threads,
            )  # fmt: skip
            found[parameter].append({"value": value, "seconds": timings["optimise"]})
        print(parameter, report.rounded(found[parameter]), flush=True)
    return found


def run_size(n: int, n_threads: int) -> dict[str, Any]:
    """Time each stage from a graph, with a spectral start, to its embedding."""
    spec = OptimizerSpec(n_epochs=EPOCHS)
    small = graphs.load("generated40000")
    simplicial_set_embedding(small.graph, spec, progress=False, stop_epoch=3, n_threads=n_threads)
    graph = graphs.load(f"generated{n}").graph
    before = resident_bytes("VmRSS", reset_peak=True)
    timings: dict[str, float] = {}
    simplicial_set_embedding(graph, spec, progress=False, timings=timings, n_threads=n_threads)
    more = resident_bytes("VmHWM") - before
    return {
        "n_vertices": n,
        "n_edges": int(graph.nnz),
        "threads": n_threads,
        "seconds": sum(timings.values()),
        "stages": timings,
        "bytes_above_the_graph": more,
        "allowed_bytes": 32 * int(graph.nnz) + 100 * n,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("vertices", type=int)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(run_size(options.vertices, options.threads)))
