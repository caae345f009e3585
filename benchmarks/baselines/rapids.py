"""Run cuML's optimisation alone, or rapids-singlecell's ``tl.umap``, on an NVIDIA GPU."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.outcome import Outcome, Run

if TYPE_CHECKING:
    from benchmarks.graphs import BenchGraph
    from umapcore import OptimizerSpec

#: Without a seed, cuML is faster and returns a different layout every time.
NAMES = ("cuML", "cuML seeded")


def problem(package: str) -> str | None:
    """Return a sentence that says why a package cannot run here; None if it can."""
    from umapcore.device.select import gpu_problem

    if find_spec(package) is None:
        return f"{package} is not installed."
    return gpu_problem()


def layout(name: str, bench: BenchGraph, spec: OptimizerSpec) -> Run:
    """Prepare to lay out a graph; graph and start positions are copied to the device first."""
    import cupy
    from cuml.manifold.umap import simplicial_set_embedding
    from cupyx.scipy import sparse

    graph = sparse.coo_matrix(sparse.csr_matrix(bench.graph))
    start = cupy.asarray(bench.start)
    a, b = spec.curve()

    def lay_out(n_epochs: int) -> Outcome:
        cupy.cuda.Device().synchronize()
        began = time.perf_counter()
        found = simplicial_set_embedding(
            # With a graph and a start, only the number of rows of the data is used.
            data=start, graph=graph, n_components=start.shape[1], initial_alpha=spec.alpha,
            a=a, b=b, gamma=spec.gamma, negative_sample_rate=spec.negative_sample_rate,
            n_epochs=n_epochs, init=start.copy(),
            random_state=spec.seed if "seeded" in name else None,
        )  # fmt: skip
        cupy.cuda.Device().synchronize()
        seconds = time.perf_counter() - began
        return Outcome(cupy.asnumpy(cupy.asarray(found)), {"optimise": seconds})

    lay_out(3)
    return lambda: lay_out(spec.epochs_for(bench.n_vertices))


def whole(adata: Any) -> Run:
    """Prepare to embed an AnnData object with a graph, with the epochs of the other programs."""
    import rapids_singlecell

    def embed(cells: Any) -> Outcome:
        n_epochs = 500 if adata.n_obs <= 10_000 else 200
        began = time.perf_counter()
        rapids_singlecell.tl.umap(cells, maxiter=n_epochs)
        seconds = time.perf_counter() - began
        return Outcome(np.asarray(cells.obsm["X_umap"]), {"whole": seconds})

    embed(adata[:300].copy())
    return lambda: embed(adata)
