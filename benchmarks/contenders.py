"""The programs that the suite compares, each run in a process of its own.

``python -m benchmarks.contenders NAME GRAPH --out FILE`` runs one and writes its times, its peak
memory and its embedding. Compilation is excluded: every program is warmed up on a small graph.

A *layout* contender gets a graph and start positions, and only its optimisation counts. A *whole*
contender gets what a user has, an AnnData object with a graph (or, scranpy, the neighbours that
the graph was made of), and everything up to the embedding counts.
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
from benchmarks.resident import resident_bytes
from umapcore import OptimizerSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    #: Runs once; gives the embedding and the seconds of its stages, of which "optimise" or
    #: "whole" is what counts.
    Run = Callable[[], tuple[NDArray[Any], dict[str, float]]]


def layout_contenders(n_threads: int) -> list[str]:
    """Give the names of what can lay a graph out here."""
    threads = [1]
    while threads[-1] < n_threads:
        threads.append(min(2 * threads[-1], n_threads))
    names = [f"umapcore {k}" for k in threads]
    if _gpu_problem() is None:
        names.append("umapcore GPU")
    if find_spec("umap"):
        names += ["umap-learn serial", "umap-learn parallel"]
    return names


def whole_contenders(n_threads: int) -> list[str]:
    """Give the names of what can embed an AnnData object here."""
    names = ["umapcore.tl.umap 1"]
    if n_threads > 1:
        names.append(f"umapcore.tl.umap {n_threads}")
    if _gpu_problem() is None:
        names.append("umapcore.tl.umap GPU")
    if find_spec("scanpy"):
        names.append("scanpy.tl.umap")
    if find_spec("scranpy"):
        names += ["scranpy.run_umap 1", *([f"scranpy.run_umap {n_threads}"] * (n_threads > 1))]
    if find_spec("rapids_singlecell"):
        names.append("rapids_singlecell.tl.umap")
    return names


def is_ours(name: str) -> bool:
    """Whether a contender is umapcore, which is quick enough to be run several times."""
    return name.startswith("umapcore")


def prepare(name: str, graph: str, data: str | None, negative_sample_rate: int = 5) -> Run:
    """Make a contender ready for a graph, and compile what it compiles."""
    if name.startswith(("umapcore ", "umap-learn")):
        bench = graphs.load(graph, data=data)
        spec = OptimizerSpec(n_epochs=bench.n_epochs, negative_sample_rate=negative_sample_rate)
        return _layout(name, bench, spec)
    import anndata

    return _whole(name, anndata.read_h5ad(graphs.data_folder(data) / f"{graph}.h5ad"))


def _gpu_problem() -> str | None:
    from umapcore.dispatch import gpu_problem

    return gpu_problem()


def _layout(name: str, bench: graphs.BenchGraph, spec: OptimizerSpec) -> Run:
    if name.startswith("umap-learn"):
        from benchmarks.rivals import umap_learn

        a, b = spec.curve()

        def theirs() -> tuple[NDArray[Any], dict[str, float]]:
            embedding, seconds = umap_learn(
                bench, a=a, b=b, seed=spec.seed, n_epochs=spec.n_epochs,
                negative_sample_rate=spec.negative_sample_rate, parallel="parallel" in name,
            )  # fmt: skip
            return embedding, {"optimise": seconds}

        return theirs
    from umapcore import simplicial_set_embedding

    where = name.split()[1]

    def ours(stop: int | None = None) -> tuple[NDArray[Any], dict[str, float]]:
        timings: dict[str, float] = {}
        embedding = simplicial_set_embedding(
            bench.graph, spec, init=bench.start, progress=False, timings=timings, stop_epoch=stop,
            **({"method": "rapids"} if where == "GPU" else {"n_threads": int(where)}),
        )  # fmt: skip
        return embedding, timings

    ours(3)
    return ours


def _whole(name: str, adata: Any) -> Run:
    program, _, where = name.partition(" ")
    small = adata[:300].copy()

    def run(function: Callable[..., Any], **options: Any) -> Run:
        def once() -> tuple[NDArray[Any], dict[str, float]]:
            began = time.perf_counter()
            function(adata, **options)
            return adata.obsm["X_umap"], {"whole": time.perf_counter() - began}

        function(small, **options)
        return once

    if program == "umapcore.tl.umap":
        import umapcore

        options = {"method": "rapids"} if where == "GPU" else {"n_threads": int(where)}
        timings: dict[str, float] = {}
        once = run(umapcore.tl.umap, progress=False, timings=timings, **options)

        def with_stages() -> tuple[NDArray[Any], dict[str, float]]:
            embedding, seconds = once()
            return embedding, {**timings, **seconds}

        with_stages()
        return with_stages
    if program == "scanpy.tl.umap":
        import scanpy

        return run(scanpy.tl.umap)
    if program == "rapids_singlecell.tl.umap":
        import rapids_singlecell

        return run(rapids_singlecell.tl.umap)
    return _scranpy(adata, int(where))


def _scranpy(adata: Any, n_threads: int) -> Run:
    """Give scranpy (libscran's umappp) the neighbours, scanpy's min_dist and a start of its own."""
    import knncolle
    import scranpy

    stored = adata.obsp["distances"].tocsr()
    n, k = stored.shape[0], int(np.diff(stored.indptr).min())
    index, distance = np.empty((n, k), np.uint32), np.empty((n, k))
    for i in range(n):
        row = slice(stored.indptr[i], stored.indptr[i + 1])
        order = np.argsort(stored.data[row], kind="stable")[:k]
        index[i], distance[i] = stored.indices[row][order], stored.data[row][order]
    neighbours = knncolle.FindKnnResults(index, distance)

    def once() -> tuple[NDArray[Any], dict[str, float]]:
        began = time.perf_counter()
        found = scranpy.run_umap(
            neighbours, min_dist=0.5, num_threads=n_threads,
            parallel_optimization=n_threads > 1, num_epochs=500 if n <= 10_000 else 200,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return np.ascontiguousarray(np.asarray(found).reshape(-1, 2)), {"whole": seconds}

    return once


def main(arguments: list[str] | None = None) -> int:
    """Run one contender and write what it took."""
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
    before = resident_bytes("VmRSS", reset_peak=True)
    stages: list[dict[str, float]] = []
    embedding = np.empty(0)
    for _ in range(options.repeats):
        embedding, seconds = run()
        stages.append(seconds)
    more = resident_bytes("VmHWM") - before
    np.savez(options.out, embedding=embedding, stages=json.dumps(stages), more_bytes=more)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
