"""Time the spectral start on the device, and compare its bits with the CPU's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.gpu.clock import spread
from umapcore.init.spectral import spectral_layout
from umapcore_cupy.layout.graph import bring_graph

if TYPE_CHECKING:
    from benchmarks.generated import Generated
    from benchmarks.gpu.runs import Rig


def start(rig: Rig, bench: Generated, *, runs: int, compared: bool) -> dict[str, Any]:
    """Compute the eigenvectors of a graph on the device several times.

    Parameters
    ----------
    rig
        Backend and clock to measure with.
    bench
        A connected graph.
    runs
        Number of runs, after one run that loads the kernels.
    compared
        Whether the CPU computes them, too, for comparison.
    """
    backend = rig.open_backend()
    try:
        clock = rig.clock_of(backend.device)
        there = bring_graph(backend.device, bench.graph)
        timings, layouts = [], []
        with backend.spectral_ops() as ops:
            for _ in range(1 + runs):
                layout, timing = clock.time(lambda: spectral_layout(there, 2, seed=0, ops=ops))
                layouts.append(layout.tobytes())
                timings.append(timing)
        n_edges = int(bench.graph.nnz)
        peak = backend.device.peak_bytes()
    finally:
        backend.close()
    on_cpu = spectral_layout(bench.graph, 2, seed=0).tobytes() if compared else None
    return {
        "graph": bench.name,
        "n_vertices": int(bench.graph.shape[0]),
        "n_edges": n_edges,
        "seconds": {
            "device": spread([timing.device for timing in timings[1:]]),
            "wall": spread([timing.wall for timing in timings[1:]]),
        },
        "peak_bytes_an_edge": peak / n_edges,
        "runs_agree": len(set(layouts)) == 1,
        "bits_equal": None if on_cpu is None else layouts[0] == on_cpu,
    }
