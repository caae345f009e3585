"""Run umappp (Lun), the UMAP of libscran, through scranpy.

It takes the neighbours from which a graph was computed, and computes the weights itself. With
``initialize_method="none"`` it starts at given positions; 0 epochs return them unchanged.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import graphs
from benchmarks.outcome import Outcome, Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.graphs import BenchGraph
    from umapcore import OptimizerSpec


def problem(graph: str | None = None) -> str | None:
    """Return a sentence that says why it cannot run here, or on this graph; None if it can."""
    if find_spec("scranpy") is None:
        return "scranpy is not installed."
    if graph is not None and graph not in graphs.DATA_SETS:
        return f"umappp takes neighbours and their distances, which {graph} has not."
    return None


def layout(name: str, bench: BenchGraph, spec: OptimizerSpec, data: str | None) -> Run:
    """Prepare for the neighbours and the start positions of a data set.

    The timing is that of the call minus that of the same call with 0 epochs, which computes the
    weights of the neighbours.
    """
    import anndata

    adata = anndata.read_h5ad(graphs.data_folder(data) / f"{bench.name}.h5ad")
    n_threads = int(name.split()[1])
    a, b = spec.curve()
    start = bench.start.astype(np.float64)
    options = {
        "initialize_method": "none",
        "initial_coordinates": start,
        "a": a,
        "b": b,
        "negative_sample_rate": float(spec.negative_sample_rate),
    }
    run = _prepared(adata, n_threads, options)
    n_epochs = spec.epochs_for(bench.n_vertices)

    def once() -> Outcome:
        unmoved, setup = run(0)
        if not np.array_equal(unmoved, start):
            msg = "umappp did not begin at the given positions"
            raise RuntimeError(msg)
        embedding, seconds = run(n_epochs)
        return Outcome(embedding, {"optimise": seconds - setup, "setup": setup})

    return once


def whole(name: str, adata: Any) -> Run:
    """Prepare to embed an object's neighbours, with scanpy's min_dist and umappp's own start."""
    n_threads, n = int(name.split()[1]), adata.n_obs
    run = _prepared(adata, n_threads, {"min_dist": 0.5})

    def once() -> Outcome:
        embedding, seconds = run(500 if n <= 10_000 else 200)
        return Outcome(embedding, {"whole": seconds})

    return once


def _prepared(adata: Any, n_threads: int, options: dict[str, Any]) -> Any:
    import knncolle
    import scranpy

    index, distance = _neighbours(adata)
    neighbours = knncolle.FindKnnResults(index, distance)

    def run(n_epochs: int) -> tuple[NDArray[np.float64], float]:
        began = time.perf_counter()
        found = scranpy.run_umap(
            neighbours, num_threads=n_threads, parallel_optimization=n_threads > 1,
            num_epochs=n_epochs, **options,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return np.ascontiguousarray(np.asarray(found).reshape(-1, 2)), seconds

    return run


def _neighbours(adata: Any) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """Return neighbours in order of distance, as many as every vertex has."""
    stored = adata.obsp["distances"].tocsr()
    n, k = stored.shape[0], int(np.diff(stored.indptr).min())
    index, distance = np.empty((n, k), np.uint32), np.empty((n, k))
    for i in range(n):
        row = slice(stored.indptr[i], stored.indptr[i + 1])
        order = np.argsort(stored.data[row], kind="stable")[:k]
        index[i], distance[i] = stored.indices[row][order], stored.data[row][order]
    return index, distance
