"""Run umapcore on the graph and start positions of a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umapcore import OptimizerSpec, simplicial_set_embedding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.graphs import BenchGraph


def umapcore_layout(
    bench: BenchGraph,
    spec: OptimizerSpec,
    *,
    n_threads: int | None = None,
    stop_epoch: int | None = None,
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Return umapcore's layout and the seconds of each stage."""
    timings: dict[str, float] = {}
    embedding = simplicial_set_embedding(
        bench.graph,
        spec,
        init=bench.start,
        n_threads=n_threads,
        stop_epoch=stop_epoch,
        progress=False,
        timings=timings,
    )
    return embedding, timings
