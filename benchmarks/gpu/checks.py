"""Compare bits of the device with those of the CPU, and time edges streamed from the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu.runs import digest
from umapcore_cupy.host.memory import estimate
from umapcore_numba.backend import NumbaBackend

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.generated import Generated
    from benchmarks.gpu.runs import Rig
    from umapcore.device.protocol import Backend
    from umapcore.layout.spec import OptimizerSpec


def parity(rig: Rig, bench: Generated, spec: OptimizerSpec, stop: int) -> dict[str, Any]:
    """Compare the positions after the epochs before `stop` on the device and on the CPU."""
    there = positions_after(rig.open_backend(), bench, spec, stop)
    here = positions_after(NumbaBackend(), bench, spec, stop)
    return {
        "graph": bench.name,
        "n_vertices": here.shape[0],
        "n_components": spec.n_components,
        "epochs": stop,
        "of_epochs": spec.n_epochs,
        "bits_equal": bool(np.array_equal(there.view(np.int32), here.view(np.int32))),
        "vertices_that_differ": int((there.view(np.int32) != here.view(np.int32)).any(1).sum()),
        "largest_difference": float(np.abs(there - here).max()),
        "digest": digest(there),
    }


def positions_after(
    backend: Backend, bench: Generated, spec: OptimizerSpec, stop: int
) -> NDArray[np.float32]:
    """Run the epochs before `stop` on a backend, close it, and return the positions."""
    try:
        start = in_dimensions(bench.start, spec.n_components)
        layout = backend.begin(backend.plan(bench.graph, spec), start, spec)
        layout.advance(1, stop)
        return layout.positions()
    finally:
        backend.close()


def in_dimensions(start: NDArray[np.float32], d: int) -> NDArray[np.float32]:
    """Return a two-dimensional start in `d` dimensions; the others repeat the two."""
    return np.ascontiguousarray(start[:, np.arange(d) % 2])


def streamed(rig: Rig, bench: Generated, spec: OptimizerSpec, expected: str) -> dict[str, Any]:
    """Time a layout whose edges stay on the host, as if they did not fit into device memory.

    Parameters
    ----------
    expected
        Digest of the positions when the edges are on the device.
    """
    n, n_edges = bench.graph.shape[0], int(bench.graph.nnz)
    needs = estimate(n, n_edges, spec.n_components, graph_there=False)
    backend = rig.open_backend()
    try:
        device: Any = backend.device
        device.free_bytes = lambda: needs.edges_on_host
        clock = rig.clock_of(device)
        plan, planning = clock.time(lambda: backend.plan(bench.graph, spec))
        if plan.edges.on_device:
            msg = f"the edges of {bench.name} are on the device: it is too small to be streamed."
            raise ValueError(msg)
        backend.begin(plan, bench.start, spec).advance(1, 2)
        layout = backend.begin(plan, bench.start, spec)
        _, epochs = clock.time(lambda: layout.advance(1, plan.plan.n_epochs))
        found = digest(layout.positions())
        return {
            "graph": bench.name,
            "n_vertices": n,
            "n_epochs": plan.plan.n_epochs,
            "place": plan.place,
            "plan_on_host_seconds": planning.wall,
            "seconds": epochs.device,
            "wall_seconds": epochs.wall,
            "host_bytes_a_second": (
                8.0 * plan.plan.n_edges * (plan.plan.n_epochs - 1) / epochs.device
            ),
            "peak_bytes": int(device.peak_bytes()),
            "estimated_bytes": needs.edges_on_host,
            "bits_equal": found == expected,
        }
    finally:
        backend.close()
