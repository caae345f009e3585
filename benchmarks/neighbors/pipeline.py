"""From coordinates to the embedding in a process of its own, twice.

``python -m benchmarks.neighbors.pipeline POINTS.npy CONTENDER --rows ROWS.npy --out FILE.npz``.
Rivals of the search alone hand their neighbours to ``umapcore.pp.neighbors``.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

from benchmarks.neighbors import programs
from benchmarks.neighbors.process import task
from benchmarks.neighbors.programs import OURS, SCANPY, K
from benchmarks.resident import resident_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Steps that are timed; the last is the sum of the others.
STEPS = ("import", "neighbors", "umap", "whole")


def main(arguments: list[str] | None = None) -> int:
    """Measure a contender, judge its layout, and write its neighbours of some of the points."""
    points, rows, contender, options = task("pipeline", __doc__, arguments)
    before = resident_bytes("VmRSS", reset_peak=True)
    adata = anndata.AnnData(shape=(len(points), 0), obsm={"X_pca": points})
    steps = run(contender, adata)
    measured: dict[str, Any] = {
        "steps": {"first": steps},
        "first": steps["whole"],
        "warm": None,
        "bytes_above_the_data": resident_bytes("VmHWM") - before,
    }
    digests = [_digest(adata)]
    if steps["whole"] <= options.warm_at_most:
        del adata
        gc.collect()
        adata = anndata.AnnData(shape=(len(points), 0), obsm={"X_pca": points})
        measured["steps"]["warm"] = run(contender, adata)
        measured["warm"] = measured["steps"]["warm"]["whole"]
        digests.append(_digest(adata))
    measured["digests"] = sorted(set(digests))
    if len(rows):
        measured |= _judged(adata)
    np.savez(options.out, measured=json.dumps(measured), indices=neighbours_of(adata, rows))
    return 0


def run(contender: programs.Contender, adata: Any) -> dict[str, float]:
    """Compute neighbours and embedding, and return the seconds of each step."""
    began = time.perf_counter()
    if contender.program == SCANPY:
        import scanpy

        imported = time.perf_counter()
        scanpy.pp.neighbors(adata, n_neighbors=K, use_rep="X_pca")
        found = time.perf_counter()
        scanpy.tl.umap(adata)
    else:
        import umapcore

        if contender.program != OURS:
            programs.load(contender.program)
        imported = time.perf_counter()
        options: dict[str, Any] = {"n_threads": contender.threads}
        if contender.program == OURS:
            umapcore.pp.neighbors(adata, n_neighbors=K, use_rep="X_pca", **options)
        else:
            knn = programs.search(contender, adata.obsm["X_pca"])
            given = (knn.indices.astype(np.int32), knn.distances)
            umapcore.pp.neighbors(adata, n_neighbors=K, precomputed_knn=given, **options)
        found = time.perf_counter()
        umapcore.tl.umap(adata, progress=False, **options)
    ended = time.perf_counter()
    times = (imported - began, found - imported, ended - found, ended - began)
    return dict(zip(STEPS, times, strict=True))


def neighbours_of(adata: Any, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the stored neighbours of some observations, -1 where a row has fewer."""
    stored = adata.obsp["distances"].tocsr()[rows]
    counts = np.diff(stored.indptr)
    indices = np.full((len(rows), max(counts, default=1)), -1, np.int64)
    indices[np.arange(indices.shape[1]) < counts[:, None]] = stored.indices
    return indices


def _judged(adata: Any) -> dict[str, float]:
    """Return loss and recall of the layout on its own graph, as the other benchmarks do."""
    from benchmarks.metrics import figures
    from umapcore import OptimizerSpec

    a, b = OptimizerSpec().curve()
    graph = adata.obsp["connectivities"].tocsr()
    judged = figures(graph, np.asarray(adata.obsm["X_umap"]), a=a, b=b)
    return {"layout_loss": judged.loss, "layout_recall": judged.recall}


def _digest(adata: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(adata.obsm["X_umap"]).data).hexdigest()[:16]


if __name__ == "__main__":
    raise SystemExit(main())
