"""densMAP: how well umapcore and umap-learn preserve densities.

``python -m benchmarks.density`` needs umap-learn and the data sets; it writes
``benchmarks/results/density.json``. Both programs lay out the same graphs from the same start,
with and without densities, for the same number of epochs. The measures are

- *radii*: the correlation, over vertices, of the log radius in the data with that in the
  embedding. A radius is the mean squared distance to a vertex's neighbours, weighted by
  memberships. In the embedding, the neighbours are the 15 nearest there, with their own weights,
  as in the densMAP paper (Narayan, Berger and Cho 2021) and umap-learn's ``output_dens``;
- *along edges*: the same along the edges of the graph, which is what is optimised;
- loss and recall, as in the other benchmarks (``umapcore.measures.quality``).

Seconds are those of the layout alone, on one thread. For umap-learn they exclude the radii of the
data, which a Python loop computes, but include a kernel that it compiles in every call.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
from scipy import sparse

import umapcore
from benchmarks import report
from benchmarks.graphs import N_NEIGHBORS, scaled_start
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of
from umapcore.measures.quality import effective_loss, neighbor_recall
from umapcore.neighbors.exact import exact_knn

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETS = ("cbmc8k", "pendigits11k", "letter20k")
WEIGHT = 2.0


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.density", description=__doc__)
    parser.add_argument("--data", default=os.environ.get("UMAPCORE_DATA"))
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=report.RESULTS / "density.json")
    args = parser.parse_args(arguments)
    if not args.data:
        parser.error("--data FOLDER or $UMAPCORE_DATA is needed")
    cases = [_case(Path(args.data) / f"{name}.h5ad", args.seeds) for name in args.sets]
    report.write_json(
        args.out,
        {"load": report.load_average(), "density_weight": WEIGHT, "cases": cases},
    )
    print(table(cases))


def table(cases: list[dict[str, Any]]) -> str:
    """Return the cases as a table of means over seeds."""
    measures = ("radii", "along edges", "loss", "recall", "seconds")
    rows = [
        [case["name"], name, *(f"{np.mean([run[m] for run in runs]):.3f}" for m in measures)]
        for case in cases
        for name, runs in case["runs"].items()
    ]
    return report.table(("data", "layout", *measures), rows)


def _case(path: Path, n_seeds: int) -> dict[str, Any]:
    adata = anndata.read_h5ad(path)
    graph = prepare_graph(adata.obsp["connectivities"])
    distances = sparse.csr_array(adata.obsp["distances"])
    start = scaled_start(adata.obsm["X_pca"][:, :2])
    plain = OptimizerSpec(n_epochs=OptimizerSpec(density_weight=WEIGHT).epochs_for(len(start)))
    dense = plain.replace(density_weight=WEIGHT)
    judge = _Judge(graph, distances, plain)
    runs: dict[str, list[dict[str, float]]] = {}
    for spec in (plain, dense):  # compiles
        for lay_out in (_ours, _theirs):
            lay_out(graph, distances, start, spec.replace(n_epochs=11))
    for seed in range(n_seeds):
        for name, spec in (("plain", plain), ("densMAP", dense)):
            specified = spec.replace(seed=seed)
            for program, lay_out in (("umapcore", _ours), ("umap-learn", _theirs)):
                embedding, seconds = lay_out(graph, distances, start, specified)
                found = judge(embedding) | {"seconds": seconds}
                runs.setdefault(f"{program} {name}", []).append(found)
                print(path.stem, program, name, seed, found, flush=True)
    return {
        "name": path.stem,
        "n_vertices": len(start),
        "n_epochs": plain.n_epochs,
        "runs": runs,
    }


class _Judge:
    """Measure layouts of one graph."""

    def __init__(self, graph: Any, distances: Any, spec: OptimizerSpec) -> None:
        self._graph, self._curve = graph, spec.curve()
        self._radii = density_of(graph, distances, spec).radii

    def __call__(self, embedding: NDArray[np.float32]) -> dict[str, float]:
        a, b = self._curve
        knn = exact_knn(embedding, N_NEIGHBORS)
        own = umapcore.fuzzy_simplicial_set(knn.indices, knn.distances)
        squared = _squared(embedding, own)
        along = _squared(embedding, self._graph)
        phi = 1.0 / (1.0 + a * along**b)
        return {
            "radii": self._correlation(own, own.data, squared),
            "along edges": self._correlation(self._graph, phi, along),
            "loss": effective_loss(self._graph, embedding, a=a, b=b).total,
            "recall": neighbor_recall(self._graph, embedding),
        }

    def _correlation(self, graph: Any, weights: Any, squared: Any) -> float:
        n = graph.shape[0]
        heads = np.repeat(np.arange(n), np.diff(graph.indptr))
        radii = np.bincount(heads, weights * squared, n) / np.bincount(heads, weights, n)
        return float(np.corrcoef(self._radii, np.log(1e-8 + radii))[0, 1])


def _squared(embedding: NDArray[np.float32], graph: Any) -> NDArray[np.float64]:
    heads = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    differences = embedding[heads].astype(np.float64) - embedding[graph.indices]
    squared: NDArray[np.float64] = (differences**2).sum(axis=1)
    return squared


def _ours(
    graph: Any, distances: Any, start: NDArray[np.float32], spec: OptimizerSpec
) -> tuple[NDArray[np.float32], float]:
    timings: dict[str, float] = {}
    embedding = umapcore.simplicial_set_embedding(
        graph, spec, init=start, distances=distances, n_threads=1, progress=False, timings=timings
    )
    return embedding, timings["optimise"]


def _theirs(
    graph: Any, distances: Any, start: NDArray[np.float32], spec: OptimizerSpec
) -> tuple[NDArray[np.float32], float]:
    from umap import layouts, umap_

    dense = spec.density_weight > 0
    a, b = spec.curve()
    larger = distances.maximum(distances.T)
    options = {
        "lambda": spec.density_weight,
        "frac": spec.density_fraction,
        "var_shift": spec.density_shift,
        "n_neighbors": N_NEIGHBORS,
        "graph_dists": sparse.dok_array(larger) if dense else None,
    }
    seconds = [0.0]
    lay_out = layouts.optimize_layout_euclidean

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        result = lay_out(*args, **kwargs)
        seconds[0] = time.perf_counter() - began
        return result

    umap_.optimize_layout_euclidean = timed
    try:
        embedding, _ = umap_.simplicial_set_embedding(
            None, sparse.coo_matrix(graph), spec.n_components, spec.alpha, a, b, spec.gamma,
            spec.negative_sample_rate, spec.n_epochs, start.copy(),
            np.random.RandomState(spec.seed), "euclidean", {}, dense, options, False,
        )  # fmt: skip
    finally:
        umap_.optimize_layout_euclidean = lay_out
    return np.asarray(embedding), seconds[0]


if __name__ == "__main__":
    main()
