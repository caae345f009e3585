"""Compare a user's call on CPU and GPU: ``python -m benchmarks.gpu.parts.cross_backend``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import umapcore
from benchmarks.generated import generated
from benchmarks.gpu.parts.differences import difference
from benchmarks.gpu.parts.results import Results, from_command_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse

SIZES = (10_000, 100_000, 1_000_000)
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
    small = generated(warm).graph
    for method in ("rapids", "umap"):
        run(f"warm-up, {method}", embed, small, method, n_epochs=10)
    for n in sizes:
        bench = run(f"making {n:,} vertices", generated, n)
        if bench is None:
            continue
        row: dict[str, Any] = {"n_vertices": n, "n_edges": int(bench.graph.nnz)}
        rows.append(row)
        layouts = []
        for method in ("rapids", "umap"):
            done = run(f"{n:,} vertices, {method}", embed, bench.graph, method)
            if done is not None:
                layout, row[method] = done
                layouts.append(layout)
        if len(layouts) == 2:
            row["bits"] = difference(*layouts)
            row["times_as_fast"] = row["umap"]["seconds"] / row["rapids"]["seconds"]
            equal = "equal" if row["bits"]["equal"] else "DIFFERENT"
            print(f"          bits {equal}, {row['times_as_fast']:.2f} times as fast")
    compared = [row["bits"]["equal"] for row in rows if "bits" in row]
    return results.end(good=bool(compared) and all(compared))


def embed(
    graph: sparse.csr_array[Any, Any], method: str, n_epochs: int | None = None
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Lay out a graph from its spectral start, and time each stage."""
    spec = umapcore.OptimizerSpec(seed=0, n_epochs=n_epochs)
    stages: dict[str, float] = {}
    began = time.perf_counter()
    layout = umapcore.simplicial_set_embedding(
        graph, spec, init="spectral", method=method, progress=False, timings=stages
    )
    return layout, {"seconds": time.perf_counter() - began, "stages": stages}


if __name__ == "__main__":
    raise SystemExit(main())
