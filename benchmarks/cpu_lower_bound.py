"""Lower bound of the optimisation's time on one thread of this processor.

The bound is a sum over the parts of the work. The rate of each part is measured on this processor
while it does nothing else, with the best code that this project has for the part.

arithmetic
    Every fire is one attraction and R repulsions. Their loops run over full groups of walkers
    that stay in the first-level cache: no scan, no gathering, no short last rounds. Samples come
    from the pool, which is in the first-level cache, and count as arithmetic.
plan
    An epoch reads the tail and the rate of every edge, 8 bytes, in order. The rate is that of
    reading an array of this size repeatedly, since most plans are larger than a core's own cache.
tails
    Every fire reads the position of its tail and adds to its pull, 8 bytes each, at random places
    in arrays of the graph's size. Caches move whole lines, which is the limit here. The rate is
    measured with the plan's own tails.
sweeps
    In every bucket, positions and pulls of all vertices are read and written: 32 bytes per vertex,
    at the rate of a copy between arrays of this size.

The strict floor counts all bytes (of the tails only those that are used) at the rate of a copy
within the second-level cache. It describes a machine on which neither the size of the graph nor
the placement of its vertices costs anything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from umapcore.layout.constants import GROUP
from umapcore_numba.layout.attraction import attract, find_tails, take
from umapcore_numba.layout.bundles import Columns, Step
from umapcore_numba.layout.lanes import POOL_STRIDE
from umapcore_numba.layout.pairs import subtract_pair
from umapcore_numba.layout.repel_interleaved import repel_lanes

if TYPE_CHECKING:
    from collections.abc import Callable

    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec

_REPEATS = 4000
_ROUNDS = 7
#: Samples that are processed at once, as in a layout with the default number.
_SAMPLES = 5
#: Length in floats of two arrays that fit together into a second-level cache.
_COPIED = 1 << 16
#: Tails that are looked up in one timed pass.
_TAILS = 1 << 18


def rates(spec: OptimizerSpec) -> dict[str, float]:
    """Measure the seconds of an attraction and a repulsion in 2-D, and bytes copied a second."""
    a, b = spec.curve()
    rng = np.random.default_rng(0)
    scratch = np.empty(9 * GROUP + 2 * POOL_STRIDE + 16, np.float32)
    scratch = scratch[-scratch.ctypes.data % 64 // 4 :]
    pulls = np.empty(2 * GROUP, np.int32)
    step = Step(
        *(np.float32(x) for x in (1e-4, b, np.log2(a), -1e-4, 1e-4, 4, 1024))
    )  # alpha, curve, attraction, repulsion, limit, unit

    def seconds(function: Callable[..., None]) -> float:
        def run() -> None:
            scratch[:] = rng.random(scratch.shape[0]) * 10
            function(_REPEATS, scratch, pulls, (0, 0), step)

        return _quickest(run) / (_REPEATS * GROUP)

    return {
        "seconds_an_attraction": seconds(_attract_all),
        "seconds_a_repulsion": seconds(_repel_all) / _SAMPLES,
        "bytes_a_second": _copied_a_second(_COPIED),
    }


def floor(plan: EdgePlan, spec: OptimizerSpec, measured: dict[str, float]) -> dict[str, Any]:
    """Compute the least seconds of a layout in two dimensions on one thread.

    `measured` is the result of :func:`rates`. Rates that depend on the plan's size are measured
    here.
    """
    epochs = plan.n_epochs - 1
    fires = float(plan.rates.astype(np.float64).sum() / 2.0**32 * epochs)
    arithmetic = fires * (
        measured["seconds_an_attraction"]
        + spec.negative_sample_rate * measured["seconds_a_repulsion"]
    )
    buckets = int((np.diff(plan.bucket_offsets) > 0).sum())
    of_plan = 8 * plan.n_edges * epochs
    of_sweeps = (16 + 16) * plan.n_vertices * buckets * epochs
    of_tails = (8 + 16) * fires
    reading = of_plan / _read_a_second(8 * plan.n_edges)
    looking_up = fires * _seconds_a_tail(plan)
    sweeping = of_sweeps / _copied_a_second(2 * plan.n_vertices)
    strict = arithmetic + (of_plan + of_tails + of_sweeps) / measured["bytes_a_second"]
    return {
        "fires": fires,
        "arithmetic_seconds": arithmetic,
        "plan_seconds": reading,
        "tails_seconds": looking_up,
        "sweeps_seconds": sweeping,
        "seconds": arithmetic + reading + looking_up + sweeping,
        "strict_seconds": strict,
    }


def _quickest(run: Callable[[], object]) -> float:
    best = np.inf
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best


def _copied_a_second(size: int) -> float:
    """Measure the bytes a second that a copy of `size` float32 reads and writes."""
    source, target = (np.ones(size, np.float32) for _ in range(2))
    repeats = max(1, (1 << 22) // size)

    def run() -> None:
        for _ in range(repeats):
            np.copyto(target, source)

    return repeats * 2 * source.nbytes / _quickest(run)


def _read_a_second(size: int) -> float:
    """Measure the bytes a second of repeated in-order reads of an array of `size` bytes."""
    array = np.ones(max(1, size // 4), np.uint32)
    repeats = max(1, (1 << 22) // array.shape[0])
    _read(1, array)
    return repeats * array.nbytes / _quickest(lambda: _read(repeats, array))


def _seconds_a_tail(plan: EdgePlan) -> float:
    """Measure the seconds to fetch a tail's position and add to its pull, in two dimensions."""
    tails = plan.tails[: min(_TAILS, plan.n_edges)]
    positions = np.ones(2 * plan.n_vertices, np.float32)
    pulls = np.zeros(2 * plan.n_vertices, np.int32)
    lanes, moves = np.empty(2 * GROUP, np.float32), np.ones(2 * GROUP, np.int32)
    arguments = (tails, positions, pulls, lanes, moves, (0, 0))
    _look_up(*arguments)
    return _quickest(lambda: _look_up(*arguments)) / max(1, tails.shape[0])


@numba.njit(error_model="numpy", _nrt=False)
def _attract_all(repeats: Any, scratch: Any, pulls: Any, dims: Any, step: Any) -> None:
    columns = Columns(
        scratch[: 2 * GROUP],
        scratch[2 * GROUP : 4 * GROUP],
        scratch[6 * GROUP : 8 * GROUP],
        scratch[4 * GROUP : 5 * GROUP],
        scratch[5 * GROUP : 6 * GROUP],
    )
    for _ in range(repeats):
        find_tails(dims, 2, columns, GROUP, step)
        attract(dims, 2, columns, pulls, GROUP, step)


@numba.njit(error_model="numpy", _nrt=False)
def _repel_all(repeats: Any, scratch: Any, pulls: Any, dims: Any, step: Any) -> None:
    y, pool = scratch[: 2 * GROUP], scratch[9 * GROUP :]
    nothing_to_claim = pulls[:16].view(np.int64)
    nothing_to_claim[:] = 0
    # Samples at places that are not multiples of the vector size, as in a layout.
    windows = (np.uint64(1), np.uint64(101), np.uint64(245), np.uint64(515), np.uint64(790))
    for _ in range(repeats):
        repel_lanes(dims, GROUP, y, y, pool, windows, step, y, nothing_to_claim)


@numba.njit(error_model="numpy", _nrt=False)
def _read(repeats: Any, array: Any) -> Any:
    found = np.uint32(0)
    for _ in range(repeats):
        for i in range(array.shape[0]):
            found |= array[i]
        # Without this write the compiler would read the array only once.
        array[0] = np.uint32(1)
    return found


@numba.njit(error_model="numpy", _nrt=False)
def _look_up(tails: Any, positions: Any, pulls: Any, lanes: Any, moves: Any, dims: Any) -> None:
    for begin in range(0, tails.shape[0], GROUP):
        some = tails[begin : begin + GROUP]
        for i in range(some.shape[0]):
            take(dims, 2, positions, np.uint64(some[i]), lanes, i)
        for i in range(some.shape[0]):
            subtract_pair(pulls, np.uint64(some[i]), moves, np.uint64(i))
