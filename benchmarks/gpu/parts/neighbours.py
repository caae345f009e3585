"""Searches for neighbours on the GPU: their bits beside the CPU's, and their times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu.parts.differences import difference
from umapcore.neighbors.record import ACCURACY
from umapcore_numba.backend import NumbaBackend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.neighbors.knn import KNN
    from umapcore_cupy.backend import CupyBackend

    Backend = CupyBackend | NumbaBackend

#: Points whose neighbours are compared, and those of the searches that are timed.
COMPARED = 20_000
TIMED = {"exact": 70_000, "approximate": 1_000_000}
_DIMENSIONS, _NEIGHBOURS, _CLUSTERS = 50, 15, 100


def compared(backend: CupyBackend) -> dict[str, Any]:
    """Search on both, and compare indices, distances and recall."""
    points, found = some_points(COMPARED), {}
    try:
        for kind in TIMED:
            there, here = search(backend, points, kind), search(NumbaBackend(), points, kind)
            found[kind] = {
                "indices": difference(there[0].indices, here[0].indices),
                "distances": difference(there[0].distances, here[0].distances),
                "recall": difference(*(np.array([[recall]]) for _, recall in (there, here))),
            }
    finally:
        backend.close()
    equal = all(part["equal"] for parts in found.values() for part in parts.values())
    return {"n_points": COMPARED, "equal": equal, **found}


def timed(backend: CupyBackend, kind: str) -> dict[str, Any]:
    """Time a search, the first of this size; what it needs has been compiled before."""
    points = some_points(TIMED[kind])
    began = time.perf_counter()
    try:
        _, recall = search(backend, points, kind)
        seconds = time.perf_counter() - began
        peak = backend.device.peak_bytes()
    finally:
        backend.close()
    print(f"          {seconds:.2f} s, recall {recall:.4f}")
    return {"n_points": TIMED[kind], "seconds": seconds, "recall": recall, "peak_bytes": peak}


def search(
    backend: Backend, points: NDArray[np.float32], kind: str, **options: Any
) -> tuple[KNN, float]:
    """Search by one of the kinds in `TIMED`; return neighbours and recall."""
    if kind == "exact":
        return backend.nearest(points, _NEIGHBOURS, "euclidean"), 1.0
    return backend.approximate(
        points, _NEIGHBOURS, "euclidean", accuracy=ACCURACY, seed=0, **options
    )


def some_points(n: int) -> NDArray[np.float32]:
    """Generate clusters; some points are there twice."""
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(_CLUSTERS, _DIMENSIONS)).astype(np.float32)
    points = rng.standard_normal((n, _DIMENSIONS), np.float32)
    points += centres[rng.integers(0, _CLUSTERS, n)]
    points[: n // 50] = points[n // 2 : n // 2 + n // 50]
    return points
