"""The programs that the suite compares, each run in its own process.

``python -m benchmarks.contenders NAME GRAPH --out FILE`` runs one and writes its times, its peak
memory and its embedding. Compilation is excluded: every program is warmed up on a small graph.

A *layout* contender gets a graph and start positions; only its optimisation is timed. A *whole*
contender gets what a user has, and everything up to the embedding is timed. A user has an AnnData
object with a graph; scranpy gets the neighbours from which the graph was computed.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import graphs
from benchmarks.baselines import rapids, umappp, uwot
from benchmarks.core_distance import round_trip_ns
from benchmarks.outcome import Outcome, Run
from benchmarks.resident import resident_bytes
from umapcore import OptimizerSpec

if TYPE_CHECKING:
    from collections.abc import Callable

#: Contenders by name: None if the contender can run, else a sentence that says why not.
Field = dict[str, str | None]


def layout_contenders(n_threads: int, graph: str | None = None) -> Field:
    """Return the programs that lay out a graph, and why some of them cannot run here.

    Parameters
    ----------
    n_threads
        Largest number of threads to use.
    graph
        Name of the graph; None means no particular graph.
    """
    threads = [1]
    while threads[-1] < n_threads:
        threads.append(min(2 * threads[-1], n_threads))
    field: Field = {f"umapcore {k}": None for k in threads}
    field["umapcore GPU"] = _gpu_problem()
    without = _not_installed("umap", "umap-learn")
    field |= {"umap-learn serial": without, "umap-learn parallel": without}
    field |= dict.fromkeys(uwot.names(n_threads), uwot.problem())
    field |= dict.fromkeys(_one_and_all("umappp", n_threads), umappp.problem(graph))
    field |= dict.fromkeys(rapids.NAMES, rapids.problem("cuml"))
    return field


def whole_contenders(n_threads: int, graph: str | None = None) -> Field:
    """Return the programs that embed an AnnData object, as :func:`layout_contenders` does."""
    field: Field = dict.fromkeys(_one_and_all("umapcore.tl.umap", n_threads))
    field["umapcore.tl.umap GPU"] = _gpu_problem()
    field["scanpy.tl.umap"] = _not_installed("scanpy", "scanpy")
    field |= dict.fromkeys(_one_and_all("scranpy.run_umap", n_threads), umappp.problem(graph))
    field["rapids_singlecell.tl.umap"] = rapids.problem("rapids_singlecell")
    return field


def is_ours(name: str) -> bool:
    """Return whether a contender is umapcore, which is fast enough to run several times."""
    return name.startswith("umapcore")


def prepare(name: str, graph: str, data: str | None, negative_sample_rate: int = 5) -> Run:
    """Prepare a contender for a graph, including its compilation."""
    if ".tl." in name or ".run_" in name:
        import anndata

        return _whole(name, anndata.read_h5ad(graphs.data_folder(data) / f"{graph}.h5ad"))
    bench = graphs.load(graph, data=data)
    spec = OptimizerSpec(n_epochs=bench.n_epochs, negative_sample_rate=negative_sample_rate)
    program = name.split()[0]
    if program == "umapcore":
        return _layout(name, bench, spec)
    if program == "umap-learn":
        return _umap_learn(name, bench, spec)
    if program == "uwot":
        return uwot.layout(name, bench, spec)
    if program == "umappp":
        return umappp.layout(name, bench, spec, data)
    if program == "cuML":
        return rapids.layout(name, bench, spec)
    msg = f"contender {name!r} is unknown"
    raise ValueError(msg)


def _one_and_all(program: str, n_threads: int) -> list[str]:
    return [f"{program} {k}" for k in dict.fromkeys((1, n_threads))]


def _not_installed(package: str, name: str) -> str | None:
    return None if find_spec(package) else f"{name} is not installed."


def _gpu_problem() -> str | None:
    from umapcore.device.select import gpu_problem

    return gpu_problem()


def _umap_learn(name: str, bench: graphs.BenchGraph, spec: OptimizerSpec) -> Run:
    from benchmarks.baselines.umap_learn import umap_learn

    a, b = spec.curve()

    def once() -> Outcome:
        embedding, seconds = umap_learn(
            bench, a=a, b=b, seed=spec.seed, n_epochs=spec.n_epochs,
            negative_sample_rate=spec.negative_sample_rate, parallel="parallel" in name,
        )  # fmt: skip
        return Outcome(embedding, {"optimise": seconds})

    return once


def _layout(name: str, bench: graphs.BenchGraph, spec: OptimizerSpec) -> Run:
    from umapcore import simplicial_set_embedding

    where = name.split()[1]

    def once(stop: int | None = None) -> Outcome:
        timings: dict[str, float] = {}
        embedding = simplicial_set_embedding(
            bench.graph, spec, init=bench.start, progress=False, timings=timings, stop_epoch=stop,
            **({"method": "rapids"} if where == "GPU" else {"n_threads": int(where)}),
        )  # fmt: skip
        return Outcome(embedding, timings)

    once(3)
    return once


def _whole(name: str, adata: Any) -> Run:
    program, _, where = name.partition(" ")
    if program == "scranpy.run_umap":
        return umappp.whole(name, adata)
    if program == "rapids_singlecell.tl.umap":
        return rapids.whole(adata)
    timings: dict[str, float] = {}
    function: Callable[..., Any]
    if program == "umapcore.tl.umap":
        import umapcore

        function, options = umapcore.tl.umap, {"progress": False, "timings": timings}
        options |= {"method": "rapids"} if where == "GPU" else {"n_threads": int(where)}
    else:
        import scanpy

        function, options = scanpy.tl.umap, {}

    def embed(cells: Any) -> Outcome:
        began = time.perf_counter()
        function(cells, **options)
        seconds = time.perf_counter() - began
        return Outcome(cells.obsm["X_umap"], {**timings, "whole": seconds})

    embed(adata[:300].copy())
    if program == "umapcore.tl.umap":
        embed(adata)  # large graphs use different kernels
    return lambda: embed(adata)


def main(arguments: list[str] | None = None) -> int:
    """Run one contender and write its time, memory and embedding."""
    parser = argparse.ArgumentParser(prog="benchmarks.contenders", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("graph")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--negatives", type=int, default=5)
    parser.add_argument("--data", help="folder of the AnnData files (or $UMAPCORE_DATA)")
    parser.add_argument("--out", type=Path, required=True, help="an .npz file")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    run = prepare(options.name, options.graph, options.data, options.negatives)
    several = is_ours(options.name) and options.name.split()[1] not in ("1", "GPU")
    distances = [round_trip_ns()] if several else []
    before = resident_bytes("VmRSS", reset_peak=True)
    outcomes = [run() for _ in range(options.repeats)]
    more = resident_bytes("VmHWM") - before
    if several:
        distances.append(round_trip_ns())
    elsewhere = [found.more_bytes for found in outcomes if found.more_bytes is not None]
    np.savez(
        options.out,
        embedding=outcomes[-1].embedding,
        stages=json.dumps([found.seconds for found in outcomes]),
        more_bytes=max(elsewhere) if elsewhere else more,
        round_trips_ns=np.array(distances),
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
