"""Time layouts and searches for neighbours on the GPU machine's CPU, by threads.

Run as ``python -m benchmarks.gpu.parts.cpu``.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.generated import Generated, generated
from benchmarks.gpu.clock import spread
from benchmarks.gpu.parts.neighbours import search, some_points
from benchmarks.gpu.parts.results import Results, from_command_line
from benchmarks.gpu.runs import digest
from umapcore import OptimizerSpec
from umapcore._kit.threads import processors_to_use
from umapcore_numba.backend import NumbaBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

THREADS = (1, 2, 4, 8, 16)
RUNS = 3
#: Vertices of the warm-up graph, which is large enough for several threads.
WARM = 15_000


@dataclass(frozen=True)
class Workload:
    """A generated graph, and how many of a layout's epochs are run.

    Attributes
    ----------
    n_vertices
        Vertices of the graph.
    n_epochs
        Epochs of the planned layout.
    run
        Number of epochs that are run, from the first on; the first does nothing.
    """

    n_vertices: int
    n_epochs: int
    run: int


#: Points of the searches, as many as the first graph has vertices.
POINTS = 70_000
#: As large as fashion_mnist70k, and a million vertices.
WORKLOADS = (Workload(70_000, 200, 200), Workload(1_000_000, 200, 21))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results; return 1 if the bits depend on the number of threads."""
    return measure(from_command_line(__doc__, arguments))


def measure(
    results: Results,
    workloads: Sequence[Workload] = WORKLOADS,
    threads: Sequence[int] | None = None,
    n_points: int = POINTS,
) -> int:
    """Do the work of :func:`main`."""
    threads = thread_counts() if threads is None else threads
    results.found |= {"threads": list(threads), "workloads": []}
    results.steps.run("warm-up", warm_up, threads)
    first, *others = workloads
    same = layouts(results, [first], threads)
    same = searches(results, n_points, threads) and same
    same = layouts(results, others, threads) and same
    results.found["same_bits"] = same
    return results.end(good=same)


def searches(results: Results, n_points: int, threads: Sequence[int]) -> bool:
    """Time approximate searches; return whether their bits are the same."""
    points = some_points(n_points)
    rows: list[dict[str, Any]] = []
    results.found["searches"] = {"n_points": n_points, "by_threads": rows}
    for n in threads:
        row = results.steps.run(f"search, {n} threads", search_on_threads, points, n)
        if row is not None:
            rows.append(row)
            print(f"          {row['seconds']['median']:.3f} s")
    return len({row["digest"] for row in rows}) <= 1


def search_on_threads(points: NDArray[np.float32], n_threads: int) -> dict[str, Any]:
    """Time searches on `n_threads` threads; what they need has been compiled before."""
    seconds, digests = [], set()
    for _ in range(RUNS):
        began = time.perf_counter()
        knn, _ = search(NumbaBackend(), points, "approximate", n_threads=n_threads)
        seconds.append(time.perf_counter() - began)
        digests.add(hashlib.sha256(knn.indices.tobytes() + knn.distances.tobytes()).hexdigest())
    return {
        "threads": n_threads,
        "seconds": spread(seconds),
        "digest": " and ".join(sorted(digests)),
    }


def layouts(results: Results, workloads: Sequence[Workload], threads: Sequence[int]) -> bool:
    """Time layouts; return whether their bits are the same."""
    same = True
    for workload in workloads:
        bench = results.steps.run(
            f"making {workload.n_vertices:,} vertices", generated, workload.n_vertices
        )
        if bench is None:
            continue
        rows: list[dict[str, Any]] = []
        results.found["workloads"].append(
            {
                "graph": bench.name,
                "n_edges": int(bench.graph.nnz),
                "of_epochs": workload.n_epochs,
                "by_threads": rows,
            }
        )
        for n in threads:
            row = results.steps.run(f"{bench.name}, {n} threads", on_threads, bench, workload, n)
            if row is not None:
                rows.append(row)
                print(f"          {row['seconds_an_epoch']:.6f} s an epoch")
        same = same and len({row["digest"] for row in rows}) <= 1
    return same


def warm_up(threads: Sequence[int]) -> None:
    """Compile the kernels of the search, the plan and the layout."""
    search(NumbaBackend(), some_points(WARM), "approximate")
    backend, bench, spec = NumbaBackend(), generated(WARM), OptimizerSpec(seed=0, n_epochs=200)
    for n in {1, max(threads)}:
        plan = backend.plan(bench.graph, spec, n_threads=n)
        backend.begin(plan, bench.start, spec, n_threads=n).advance(1, 3)


def on_threads(bench: Generated, workload: Workload, n_threads: int) -> dict[str, Any]:
    """Time the plan and the epochs on `n_threads` threads, after a few warm-up epochs."""
    backend, spec = NumbaBackend(), OptimizerSpec(seed=0, n_epochs=workload.n_epochs)
    began = time.perf_counter()
    plan = backend.plan(bench.graph, spec, n_threads=n_threads)
    planning = time.perf_counter() - began
    backend.begin(plan, bench.start, spec, n_threads=n_threads).advance(1, 3)
    seconds, digests = [], set()
    for _ in range(RUNS):
        layout = backend.begin(plan, bench.start, spec, n_threads=n_threads)
        began = time.perf_counter()
        layout.advance(1, workload.run)
        seconds.append(time.perf_counter() - began)
        digests.add(digest(layout.positions()))
    timed = spread(seconds)
    return {
        "threads": n_threads,
        "plan_seconds": planning,
        "epochs_run": workload.run - 1,
        "seconds": timed,
        "seconds_an_epoch": timed["median"] / (workload.run - 1),
        "digest": " and ".join(sorted(digests)),
    }


def thread_counts() -> list[int]:
    """Return the numbers of threads up to the number of cores that this process may use."""
    cores, _ = processors_to_use()
    return [n for n in THREADS if n <= cores]


if __name__ == "__main__":
    raise SystemExit(main())
