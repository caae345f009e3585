"""Time UMAP's weights of given neighbours: umapcore and umap-learn in turn, in one process.

``python -m benchmarks.neighbors.weights`` needs umap-learn and the data sets; it writes
``benchmarks/results/neighbors_weights.json``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import report

if TYPE_CHECKING:
    from collections.abc import Callable

#: Data sets whose stored distances have 15 neighbours, each vertex first in its own row.
SETS = ("shuttle58k", "fashion_mnist70k")
K = 15
REPEATS = 7


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.neighbors.weights", description=__doc__)
    parser.add_argument("--data", default=os.environ.get("UMAPCORE_DATA"))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--out", type=Path, default=report.RESULTS / "neighbors_weights.json")
    args = parser.parse_args(arguments)
    if not args.data:
        parser.error("--data FOLDER or $UMAPCORE_DATA is needed")
    threads = sorted({1, min(2, os.cpu_count() or 1)})
    cases = [_case(Path(args.data) / f"{name}.h5ad", threads, args.repeats) for name in SETS]
    content = {"load": report.load_average(), "repeats": args.repeats, "cases": cases}
    report.write_json(args.out, content)
    rows = [
        [
            case["name"],
            count,
            f"{case['umap-learn'][str(count)]:.3f}",
            f"{case['umapcore'][str(count)]:.3f}",
            f"{case['umap-learn'][str(count)] / case['umapcore'][str(count)]:.1f}",
        ]
        for case in cases
        for count in threads
    ]
    print(report.table(("data", "threads", "umap-learn, s", "umapcore, s", "times"), rows))


def _case(path: Path, threads: list[int], repeats: int) -> dict[str, Any]:
    # If numba takes GNU OpenMP, its threads would spin while the other program is measured.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import anndata
    import numba
    from scipy import sparse
    from umap.umap_ import fuzzy_simplicial_set

    import umapcore

    stored = anndata.read_h5ad(path, backed="r").obsp["distances"]
    n = stored.shape[0]
    indices = np.ascontiguousarray(stored.indices.reshape(n, -1)[:, :K])
    distances = np.ascontiguousarray(stored.data.reshape(n, -1)[:, :K])

    def theirs(count: int) -> Any:
        numba.set_num_threads(count)
        shape = sparse.coo_matrix((n, 1))
        return fuzzy_simplicial_set(shape, K, None, None, knn_indices=indices, knn_dists=distances)[
            0
        ]

    def ours(count: int) -> Any:
        return umapcore.fuzzy_simplicial_set(indices, distances, n_threads=count)

    difference = float(abs(theirs(1).tocsr() - ours(1)).max())
    taken: dict[str, dict[str, list[float]]] = {"umap-learn": {}, "umapcore": {}}
    contenders: list[tuple[str, Callable[[int], Any]]] = [
        ("umap-learn", theirs),
        ("umapcore", ours),
    ]
    for _ in range(repeats):
        for count in threads:
            for name, run in contenders:
                began = time.perf_counter()
                run(count)
                taken[name].setdefault(str(count), []).append(time.perf_counter() - began)
    medians = {
        name: {count: statistics.median(times) for count, times in by_count.items()}
        for name, by_count in taken.items()
    }
    return {"name": path.stem, "n": n, "largest difference": difference, **medians}


if __name__ == "__main__":
    main()
