"""The least that the optimisation could take on one thread of this processor.

Two terms, both from rates that are measured here, in isolation and in the caches:

arithmetic
    Every fire is one attraction and R repulsions. Their loops run over full groups of walkers
    that stay in the first-level cache: no scan, no gathering, no short last rounds.
bytes
    What an epoch has to read and write, at the rate of copies within the second-level cache:
    tail and rate of every edge; position of every tail, and its pull read and written; for every
    bucket, positions and pulls of all vertices read and written. Samples come from the pool, in
    the first-level cache, and count as arithmetic.

Nothing can overlap in this sum but what a processor overlaps within each term.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from umapcore_numba.forces import attract, find_samples, find_tails, repel
from umapcore_numba.lanes import LANES, POOL_STRIDE

if TYPE_CHECKING:
    from umapcore.plan import EdgePlan
    from umapcore.spec import OptimizerSpec

_REPEATS = 4000
_ROUNDS = 7
#: Floats of one of the two arrays that are copied: both fit into a second-level cache.
_COPIED = 1 << 16


def rates(spec: OptimizerSpec) -> dict[str, float]:
    """Seconds of an attraction and of a repulsion in two dimensions, and bytes copied a second."""
    a, b = spec.curve()
    rng = np.random.default_rng(0)
    scratch = np.empty(9 * LANES + POOL_STRIDE + 16, np.float32)
    scratch = scratch[-scratch.ctypes.data % 64 // 4 :]
    pulls = np.empty(2 * LANES, np.int32)
    found = {}
    for name, function in (("attraction", _attract_all), ("repulsion", _repel_all)):
        best = np.inf
        for _ in range(_ROUNDS):
            scratch[:] = rng.random(scratch.shape[0]) * 10
            began = time.perf_counter()
            function(_REPEATS, scratch, pulls, (0, 0), np.float32(b), np.float32(np.log2(a)))
            best = min(best, time.perf_counter() - began)
        found[f"seconds_an_{name}" if name == "attraction" else f"seconds_a_{name}"] = best / (
            _REPEATS * LANES
        )
    source, target = (np.ones(_COPIED, np.float32) for _ in range(2))
    best = np.inf
    for _ in range(200):
        began = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - began)
    found["bytes_a_second"] = 2 * source.nbytes / best
    return found


def floor(plan: EdgePlan, spec: OptimizerSpec, measured: dict[str, float]) -> dict[str, Any]:
    """Work out the least seconds of a layout in two dimensions on one thread."""
    epochs = plan.n_epochs - 1
    fires = float(plan.rates.astype(np.float64).sum() / 2.0**32 * epochs)
    arithmetic = fires * (
        measured["seconds_an_attraction"]
        + spec.negative_sample_rate * measured["seconds_a_repulsion"]
    )
    buckets = int((np.diff(plan.bucket_offsets) > 0).sum())
    moved = (
        8 * plan.n_edges * epochs
        + (8 + 16) * fires
        + (16 + 16) * plan.n_vertices * buckets * epochs
    )
    return {
        "fires": fires,
        "arithmetic_seconds": arithmetic,
        "bytes": moved,
        "bytes_seconds": moved / measured["bytes_a_second"],
        "seconds": arithmetic + moved / measured["bytes_a_second"],
    }


@numba.njit(error_model="numpy")
def _attract_all(repeats: Any, scratch: Any, pulls: Any, dims: Any, b: Any, log2_a: Any) -> None:
    y, other = scratch[: 2 * LANES], scratch[2 * LANES : 4 * LANES]
    squared, power = scratch[4 * LANES : 5 * LANES], scratch[5 * LANES : 6 * LANES]
    apart = scratch[6 * LANES : 8 * LANES]
    for _ in range(repeats):
        find_tails(dims, 2, y, other, apart, squared, power, LANES, b, log2_a)
        attract(
            dims, 2, y, apart, squared, power, pulls, LANES, np.float32(-1e-4), np.float32(4),
            np.float32(1024),
        )  # fmt: skip


@numba.njit(error_model="numpy")
def _repel_all(repeats: Any, scratch: Any, pulls: Any, dims: Any, b: Any, log2_a: Any) -> None:
    y, stand = scratch[: 2 * LANES], scratch[2 * LANES : 4 * LANES]
    squared, power = scratch[4 * LANES : 5 * LANES], scratch[5 * LANES : 6 * LANES]
    apart = scratch[6 * LANES : 8 * LANES]
    window = scratch[8 * LANES :]
    for _ in range(repeats):
        find_samples(dims, 2, stand, window, apart, squared, power, LANES, b, log2_a)
        repel(dims, 2, y, apart, squared, power, LANES, np.float32(1e-4), np.float32(4))
