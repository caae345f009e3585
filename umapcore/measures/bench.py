"""The measurement of ``umapcore bench``: one graph, one start, every program available here."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from umapcore._kit.threads import thread_count
from umapcore.device.select import gpu_problem
from umapcore.graph.csr import prepare_graph
from umapcore.layout.embed import simplicial_set_embedding
from umapcore.measures.baselines import installed_baselines
from umapcore.measures.quality import effective_loss, neighbor_recall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from umapcore.layout.spec import OptimizerSpec
    from umapcore.measures.baselines import Run

STAGES = ("graph", "plan", "optimise", "whole call")


@dataclass
class Row:
    """One program: seconds of each run, by stage, and the quality of its first layout."""

    name: str
    ours: bool
    runs: list[dict[str, float]] = field(default_factory=list)
    loss: float = 0.0
    recall: float = 0.0

    @property
    def total(self) -> float:
        """Return the median over the runs of the seconds from graph and start to the layout."""
        return median(sum(run.values()) for run in self.runs)

    def stage(self, name: str) -> float | None:
        """Return the median of a stage over the runs; None if the program has no such stage."""
        seconds = [run[name] for run in self.runs if name in run]
        return median(seconds) if seconds else None


@dataclass(frozen=True)
class Result:
    """Result of :func:`bench`."""

    n_vertices: int
    #: Directed edges.
    n_edges: int
    n_epochs: int
    #: Seconds of the spectral start, on the largest number of threads.
    start_seconds: float
    rows: list[Row]
    #: Whether the layouts of all runs of umapcore had the same bits.
    same_bits: bool
    #: Why there is no row for a GPU; None if there is one.
    no_gpu: str | None


def thread_counts(most: int | None = None) -> list[int]:
    """Return 1, 2, 4 … and the number of threads that are available."""
    last = thread_count(most)
    counts = [2**i for i in range(last.bit_length()) if 2**i < last]
    return [*counts, last]


def bench(
    graph: Any,
    spec: OptimizerSpec,
    *,
    threads: Sequence[int],
    repeats: int = 3,
    with_baselines: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Result:
    """Lay out a graph with every program, in turns, and measure time and quality.

    Compiling is not measured: every program first runs once for a few epochs.

    Parameters
    ----------
    graph
        As for :func:`umapcore.simplicial_set_embedding`.
    spec
        Parameters; the same for all programs.
    threads
        Numbers of threads for umapcore.
    repeats
        Runs of each program.
    with_baselines
        Measure umap-learn and scanpy too, if they are installed.
    tell
        Receives a line before each run.
    """
    checked = prepare_graph(graph)
    n = int(checked.shape[0])
    spec = spec.replace(n_epochs=spec.epochs_for(n))
    tell("start positions")
    spent: dict[str, float] = {}
    for _ in range(2):  # the first pass compiles
        start = simplicial_set_embedding(
            checked,
            spec.replace(n_epochs=0),
            n_threads=max(threads),
            timings=spent,
            progress=False,
        )
    problem = gpu_problem()
    ours: dict[str, dict[str, Any]] = {
        f"umapcore, {k} thread{'s' * (k > 1)}": {"n_threads": k} for k in threads
    }
    if problem is None:
        ours["umapcore, GPU"] = {"method": "rapids"}
    programs: dict[str, Run] = {}
    for name, where in ours.items():
        programs[name] = _umapcore(checked, start, spec, where)
    if with_baselines:
        tell("compiling the others")
        programs |= installed_baselines(checked, start, spec)
    rows = {name: Row(name, ours=name in ours) for name in programs}
    layouts: dict[str, NDArray[np.float32]] = {}
    bits = set()
    for turn in range(repeats):
        for name, run in programs.items():
            tell(f"{name}: run {turn + 1} of {repeats}")
            layout, seconds = run()
            rows[name].runs.append(seconds)
            layouts.setdefault(name, layout)
            if name in ours:
                bits.add(layout.tobytes())
    tell("quality")
    a, b = spec.curve()
    first = next(iter(ours))
    for name, row in rows.items():
        if row.ours and name != first and len(bits) == 1:
            row.loss, row.recall = rows[first].loss, rows[first].recall
            continue
        loss = effective_loss(
            checked, layouts[name], a=a, b=b, negative_sample_rate=spec.negative_sample_rate
        )
        row.loss, row.recall = loss.total, neighbor_recall(checked, layouts[name])
    return Result(
        n_vertices=n,
        n_edges=int(checked.nnz),
        n_epochs=spec.epochs_for(n),
        start_seconds=spent["start"],
        rows=list(rows.values()),
        same_bits=len(bits) == 1,
        no_gpu=problem,
    )


def _umapcore(graph: Any, start: Any, spec: OptimizerSpec, where: dict[str, Any]) -> Run:
    def run(stop_epoch: int | None = None) -> tuple[NDArray[np.float32], dict[str, float]]:
        seconds: dict[str, float] = {}
        layout = simplicial_set_embedding(
            graph,
            spec,
            init=start,
            progress=False,
            timings=seconds,
            stop_epoch=stop_epoch,
            **where,
        )
        # The start is given, so this is only the time to scale it; it counts as part of "graph".
        seconds["graph"] += seconds.pop("start")
        return layout, seconds

    run(min(3, spec.epochs_for(graph.shape[0])))
    return run
