"""Compare a user's call on CPU and GPU: ``python -m benchmarks.gpu.parts.cross_backend``.

The call is ``tl.umap`` of AnnData, or of an object with the same entries if anndata is not
installed. On the GPU it is repeated, since it is short.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from statistics import median
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import umapcore
from benchmarks.generated import generated
from benchmarks.gpu.goals import CALL, goal
from benchmarks.gpu.parts.differences import difference
from benchmarks.gpu.parts.results import Results, from_command_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse

SIZES = (10_000, 100_000, 1_000_000)
#: Calls by method.
CALLS = {"rapids": 3, "umap": 1}
#: Vertices of the warm-up graph, for which both methods compile and load all they need, also for
#: several threads.
WARM = 15_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results; return 1 if bits differ or the GPU was not used."""
    umapcore.settings.gpu_fallback = False
    return compare(from_command_line(__doc__, arguments))


def compare(results: Results, sizes: Sequence[int] = SIZES, warm: int = WARM) -> int:
    """Do the work of :func:`main`."""
    run, rows = results.steps.run, results.found.setdefault("sizes", [])
    small = cells(generated(warm).graph)
    for method in CALLS:
        run(f"warm-up, {method}", embed, small, method, n_epochs=10)
    for n in sizes:
        bench = run(f"making {n:,} vertices", generated, n)
        if bench is None:
            continue
        row: dict[str, Any] = {"n_vertices": n, "n_edges": int(bench.graph.nnz)}
        rows.append(row)
        layouts = []
        adata = cells(bench.graph)
        row["container"] = type(adata).__name__
        for method, calls in CALLS.items():
            done = run(f"{n:,} vertices, {method}", embed, adata, method, calls)
            if done is not None:
                layout, row[method] = done
                layouts.append(layout)
        if len(layouts) == 2:
            row["bits"] = difference(*layouts)
            row["times_as_fast"] = row["umap"]["seconds"] / row["rapids"]["seconds"]
            equal = "equal" if row["bits"]["equal"] else "DIFFERENT"
            print(f"          bits {equal}, {row['times_as_fast']:.2f} times as fast")
        if n == CALL[0] and "rapids" in row:
            told = f"tl.umap of {n:,} cells on the GPU: seconds"
            results.found["goal"] = goal(told, CALL[1], row["rapids"]["seconds"])
            print(f"          {told} {row['rapids']['seconds']:.3f}")
    compared = [row["bits"]["equal"] for row in rows if "bits" in row]
    return results.end(good=bool(compared) and all(compared))


def cells(graph: sparse.csr_array[Any, Any]) -> Any:
    """Return AnnData with a graph, or an object with the same entries."""
    params = {"connectivities_key": "connectivities", "distances_key": "distances", "params": {}}
    entries: dict[str, Any] = {
        "obsp": {"connectivities": graph}, "uns": {"neighbors": params}, "obsm": {}
    }  # fmt: skip
    n = graph.shape[0]
    if find_spec("anndata") is None:
        return SimpleNamespace(n_obs=n, obs={}, **entries)
    from anndata import AnnData

    return AnnData(shape=(n, 0), **entries)


def embed(
    adata: Any, method: str, calls: int = 1, n_epochs: int | None = None
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Lay out a graph from its spectral start some times, and time each stage."""
    seconds: list[float] = []
    for _ in range(calls):
        stages: dict[str, float] = {}
        began = time.perf_counter()
        umapcore.tl.umap(adata, method=method, maxiter=n_epochs, progress=False, timings=stages)
        seconds.append(time.perf_counter() - began)
    found = {"seconds": median(seconds), "calls": seconds, "stages": stages}
    return adata.obsm["X_umap"], found


if __name__ == "__main__":
    raise SystemExit(main())
