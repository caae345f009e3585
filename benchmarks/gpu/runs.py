"""Measure one graph on the device: time of every stage, peak memory, and the floor."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu.clock import counted_launches, spread
from benchmarks.gpu.lower_bound import Rates, Work, floor
from umapcore_cupy.host.memory import estimate
from umapcore_cupy.host.programs import WALK_THREADS
from umapcore_cupy.layout import layout
from umapcore_cupy.layout.graph import bring_graph

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.generated import Generated
    from benchmarks.gpu.clock import Clock, Timing
    from umapcore.layout.spec import OptimizerSpec
    from umapcore_cupy.backend import CupyBackend, GPUPlan
    from umapcore_cupy.host.device import Device

STAGES = ("upload", "plan", "begin", "epochs", "download")


@dataclass(frozen=True)
class Rig:
    """Backend, clock and arrays to measure with.

    Attributes
    ----------
    open_backend
        Returns a new backend, which is used for one run.
    clock_of
        Returns a clock for a backend's device.
    arrays
        Module of arrays on the device: CuPy.
    """

    open_backend: Callable[[], CupyBackend]
    clock_of: Callable[[Device], Clock]
    arrays: Any


@dataclass(frozen=True)
class Run:
    """Measurements of one layout.

    Attributes
    ----------
    timings
        Time of each stage: copy the graph to the device; plan; copy the start positions to the
        device and allocate memory for the layout; run all epochs and record one; copy the
        positions to the host.
    digest
        Hash of the positions' bits.
    peak_bytes
        Peak memory on the device.
    place
        Where the plan and its edges were.
    together
        Whether all epochs were one launch.
    recorded
        Whether epochs were played from a recording.
    work
        Work of an epoch.
    """

    timings: dict[str, Timing]
    digest: str
    peak_bytes: int
    place: str
    together: bool
    recorded: bool
    work: Work


def measure(
    rig: Rig, bench: Generated, spec: OptimizerSpec, *, runs: int, rates: Rates
) -> dict[str, Any]:
    """Lay out a graph several times, each time with a newly opened device."""
    done = [run(rig, bench, spec) for _ in range(runs)]
    n, n_edges = bench.graph.shape[0], int(bench.graph.nnz)
    n_epochs = spec.epochs_for(n)
    least = floor(done[0].work, rates, n_epochs)
    seconds = spread([one.timings["epochs"].device for one in done])
    return {
        "graph": bench.name,
        "n_vertices": n,
        "n_edges": n_edges,
        "n_epochs": n_epochs,
        "n_components": spec.n_components,
        "seconds": {
            stage: {
                "device": spread([one.timings[stage].device for one in done]),
                "wall": spread([one.timings[stage].wall for one in done]),
            }
            for stage in STAGES
        },
        "floor": least,
        "over_floor": seconds["median"] / least["seconds"],
        "launches_an_epoch": done[0].work.launches,
        "epochs_together": done[0].together,
        "epochs_recorded": done[0].recorded,
        "place": done[0].place,
        "memory": memory(done[0], n, n_edges, spec.n_components),
        "digest": done[0].digest,
        "runs_agree": len({one.digest for one in done}) == 1,
    }


@contextmanager
def the_other_way(n: int) -> Iterator[None]:
    """Launch layouts of n vertices the other way: at once instead of many times, or reverse."""
    before = layout.MOST_TOGETHER
    layout.MOST_TOGETHER = n - 1 if n <= before else n
    try:
        yield
    finally:
        layout.MOST_TOGETHER = before


def run(rig: Rig, bench: Generated, spec: OptimizerSpec) -> Run:
    """Lay out a graph once, after a few epochs that load the kernels."""
    backend = rig.open_backend()
    try:
        device = backend.device
        clock = rig.clock_of(device)
        device.compile("plan")
        device.compile("layout", spec.n_components)
        device.compile("epochs", spec.n_components)
        timings: dict[str, Timing] = {}
        plan = plan_graph(backend, clock, bench, spec, timings)
        n_epochs = plan.plan.n_epochs
        warm = backend.begin(plan, bench.start, spec)
        with counted_launches(device) as launches:
            warm.advance(1, min(2, n_epochs))
        warm.advance(2, min(4, n_epochs))
        del warm

        laid, timings["begin"] = clock.time(lambda: backend.begin(plan, bench.start, spec))
        _, timings["epochs"] = clock.time(lambda: laid.advance(1, n_epochs))
        positions, timings["download"] = clock.time(laid.positions)
        return Run(
            timings=timings,
            digest=digest(positions),
            peak_bytes=device.peak_bytes(),
            place=plan.place,
            together=laid.together,
            recorded=laid.recorded,
            work=work_of(device, plan, spec, launches),
        )
    finally:
        backend.close()


def plan_graph(
    backend: CupyBackend,
    clock: Clock,
    bench: Generated,
    spec: OptimizerSpec,
    timings: dict[str, Timing],
) -> GPUPlan:
    """Copy a graph and plan its layout, timed separately; as for users, the graph is not kept."""
    graph, timings["upload"] = clock.time(lambda: bring_graph(backend.device, bench.graph))
    plan, timings["plan"] = clock.time(lambda: backend.plan(graph, spec))
    return plan


def work_of(device: Device, plan: GPUPlan, spec: OptimizerSpec, launches: Counter[str]) -> Work:
    """Compute the work of an epoch from a plan."""
    planned = plan.plan
    walkers = [int(end - begin) for begin, end in pairwise(planned.bucket_walkers)]
    fires = 0.0
    if planned.rates is not None:
        fires = float(device.download(planned.rates).sum(dtype=np.float64)) / 2.0**32
    return Work(
        n_vertices=planned.n_vertices,
        n_edges=planned.n_edges,
        n_walkers=planned.n_walkers,
        n_buckets=sum(count > 0 for count in walkers),
        n_blocks=sum(-(-count // WALK_THREADS) for count in walkers),
        n_components=spec.n_components,
        n_samples=spec.negative_sample_rate,
        pool_size=planned.pool_size,
        fires=fires,
        # The number of the first epoch is set only once in a run.
        launches=sum(count for name, count in launches.items() if name != "set_epoch"),
    )


def memory(run: Run, n: int, n_edges: int, n_components: int) -> dict[str, Any]:
    """Compare the peak memory with the estimate and the promise."""
    needs = estimate(n, n_edges, n_components, graph_there=False)
    return {
        "peak_bytes": run.peak_bytes,
        "estimated_bytes": needs.all_on_device,
        "within_estimate": run.peak_bytes <= needs.all_on_device,
        # The promise for two dimensions is 16 bytes per edge and 64 per vertex.
        "promised_bytes": 16 * n_edges + 64 * n,
        "bytes_an_edge_beside_64_a_vertex": (run.peak_bytes - 64 * n) / n_edges,
        "bytes_a_vertex_beside_16_an_edge": (run.peak_bytes - 16 * n_edges) / n,
    }


def digest(positions: NDArray[np.float32]) -> str:
    """Return a hash of the bits of positions."""
    return sha256(np.ascontiguousarray(positions).tobytes()).hexdigest()[:20]
