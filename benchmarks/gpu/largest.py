"""Lay out a graph of about the largest size that a device takes, made on the device itself."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.generated import LEAST_VERTICES
from benchmarks.gpu.on_device import BYTES_A_VERTEX, ROWS, generated_by
from benchmarks.gpu.runs import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.gpu.clock import Clock, Result
    from benchmarks.gpu.on_device import Rows
    from benchmarks.gpu.runs import Rig
    from umapcore.device.protocol import Layout
    from umapcore.layout.spec import OptimizerSpec
    from umapcore_cupy.backend import CupyBackend

#: Epochs that are timed, after those that load the kernels and record an epoch.
TIMED, WARM = 20, 2
#: Numbers of epochs whose time is extrapolated.
EXTRAPOLATED = (200, 500)
#: Bytes that the pieces of a graph take while they are made.
PIECES = 4096 * ROWS
#: Edges whose length is looked at, as well as pairs of vertices.
LOOKED_AT = 100_000


def largest(
    rig: Rig, spec: OptimizerSpec, most: int, there_is_time: Callable[[float], bool]
) -> dict[str, Any]:
    """Make a graph on the device, plan it and run some epochs, or all if there is time.

    Parameters
    ----------
    rig
        Backend, clock and arrays to measure with.
    spec
        Parameters of the layout.
    most
        Number of vertices; fewer are taken if the device has too little memory.
    there_is_time
        Returns whether so many seconds are left.
    """
    backend = rig.open_backend()
    try:
        n = fitting(most, backend.device.free_bytes())
    finally:
        backend.close()
    began = perf_counter()
    made = generated_by(rig.arrays, n)
    step = -(-n // LOOKED_AT)
    tails = made.indices[made.indptr[:-1:step]]
    # This backend waits for the arrays. They are the caller's, so its peak does not count them.
    backend = rig.open_backend()
    try:
        walls = {"make": perf_counter() - began}
        n_edges, given = int(made.data.shape[0]), made.n_bytes
        edges = np.arange(0, n, step), backend.device.download(backend.device.wrap(tails))
        laid = begun(backend, rig, made, spec, walls)
        del made, tails
        epochs = run_epochs(laid, rig.clock_of(backend.device), spec.epochs_for(n), there_is_time)
        positions = laid.positions()
        taken = backend.device.peak_bytes()
    finally:
        backend.close()
    return {
        "n_vertices": n,
        "n_edges": n_edges,
        "wall": walls,
        "epochs": epochs,
        "bytes": {"given": given, "taken": taken, "both": given + taken,
                  "promised": 16 * n_edges + 64 * n},
        "finite": bool(np.isfinite(positions).all()),
        "median_length": lengths(positions, edges),
        "digest": digest(positions),
    }  # fmt: skip


def fitting(most: int, free: int | None) -> int:
    """Return `most`, or the largest round number of vertices that fits into the free bytes."""
    if free is None or PIECES + BYTES_A_VERTEX * most <= free:
        return most
    fit = (free - PIECES) // BYTES_A_VERTEX
    if fit < LEAST_VERTICES:
        msg = f"{free:,} bytes are free on the device: too few to make a graph there."
        raise ValueError(msg)
    digits: int = 10 ** (len(str(fit)) - 1)
    return fit // digits * digits


def begun(
    backend: CupyBackend, rig: Rig, made: Rows, spec: OptimizerSpec, walls: dict[str, float]
) -> Layout:
    """Begin a layout of arrays on the device, and add the seconds of each stage to `walls`."""
    clock = rig.clock_of(backend.device)

    def timed(stage: str, work: Callable[[], Result]) -> Result:
        result, timing = clock.time(work)
        walls[stage] = timing.wall
        return result

    n, d = made.start.shape
    graph = timed("check the graph", lambda: backend.adopt_graph(made))
    start = timed("check the start", lambda: backend.adopt_start(made.start, (n, d)))
    if graph is None or start is None:
        msg = "the device did not take the graph and the start as they are."
        raise RuntimeError(msg)
    plan = timed("plan", lambda: backend.plan(graph, spec))
    return timed("begin", lambda: backend.begin(plan, start, spec))


def run_epochs(
    laid: Layout, clock: Clock, n_epochs: int, there_is_time: Callable[[float], bool]
) -> dict[str, Any]:
    """Time some epochs, and then the others if there is time."""
    first = min(1 + WARM, n_epochs)
    laid.advance(1, first)
    stop = min(first + TIMED, n_epochs)
    _, timing = clock.time(lambda: laid.advance(first, stop))
    each = timing.device / max(1, stop - first)
    others = None
    if there_is_time(each * (n_epochs - stop)):
        _, timing = clock.time(lambda: laid.advance(stop, n_epochs))
        others = timing.device
    return {
        "of": n_epochs,
        "timed": stop - first,
        "seconds_each": each,
        "extrapolated": {str(count): each * count for count in EXTRAPOLATED},
        "others": n_epochs - stop,
        "seconds_of_others": others,
    }


def lengths(
    positions: NDArray[np.float32], edges: tuple[NDArray[Any], NDArray[Any]]
) -> dict[str, float]:
    """Return the median length of some edges, and that of as many pairs drawn at random."""
    heads, tails = edges
    drawn = np.random.default_rng(0).integers(positions.shape[0], size=heads.shape[0])
    return {
        name: float(np.median(np.linalg.norm(positions[heads] - positions[others], axis=1)))
        for name, others in (("edges", tails), ("pairs", drawn))
    }
