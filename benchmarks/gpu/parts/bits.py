"""Compare bits of small layouts on GPU and CPU stage by stage, to locate a difference.

``python -m benchmarks.gpu.parts.bits --out bits.json``. For each case of
:mod:`benchmarks.gpu.parts.cases`, it compares the graph copied to the device and back, every array
of the plan, the spectral start, and the positions before and after some epochs. Both backends run
these epochs from the same start. The first stage that differs is where to look. Finally, new points
are placed in a layout, and neighbours are searched for, which is also timed.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu.parts import neighbours
from benchmarks.gpu.parts.cases import Case, cases
from benchmarks.gpu.parts.differences import difference
from benchmarks.gpu.parts.results import Results, from_command_line
from umapcore.init.spectral import spectral_layout
from umapcore.layout.plan import EdgePlan, build_plan
from umapcore.layout.spec import OptimizerSpec
from umapcore.layout.transform_plan import build_transform, transform_steps
from umapcore.neighbors.query import nearest
from umapcore_cupy.backend import CupyBackend, GPUPlan
from umapcore_cupy.layout.graph import bring_graph, to_host
from umapcore_cupy.layout.plan import bring
from umapcore_cupy.layout.streamed import EdgesOnDevice
from umapcore_numba.backend import NumbaBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Stages = list[dict[str, Any]]

#: Epochs after which positions are compared. The first is launched kernel by kernel; the others
#: are played from a recording.
EPOCHS = (0, 1, 2, 5, 20)
PLACED, PLACEMENT_EPOCHS = 300, 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and write the results; return 1 if anything differs or was not compared."""
    results = from_command_line(__doc__, arguments)
    return compare(results, CupyBackend)


def compare(
    results: Results,
    open_backend: Callable[[], CupyBackend],
    given: Sequence[Case] | None = None,
) -> int:
    """Do the work of :func:`main` with any backend, and on the given cases if there are any."""
    found = results.found
    made = results.steps.run("making the cases", cases) if given is None else given
    for case in made or []:
        stages: Stages = []
        found[case.name] = {"n_vertices": case.graph.shape[0], "stages": stages}
        _compare_case(case, open_backend(), results, stages)
        found[case.name]["first_difference"] = _first_difference(stages)
    placed = results.steps.run("placement", placement, open_backend())
    if placed is not None:
        found["placement"] = placed
    searched = results.steps.run("neighbours", neighbours.compared, open_backend())
    if searched is not None:
        found["neighbours"] = searched
    _tell(found)
    times = found["times_of_searches"] = {}
    for kind, n in neighbours.TIMED.items():
        name = f"neighbours of {n:,} points, {kind}"
        times[kind] = results.steps.run(name, neighbours.timed, open_backend(), kind)
    equal = all(part is not None and part["equal"] for part in (placed, searched))
    for case in made or []:
        equal = equal and all(stage["equal"] for stage in found[case.name]["stages"])
    return results.end(good=equal and not results.steps.skipped)


def _compare_case(case: Case, backend: CupyBackend, results: Results, stages: Stages) -> None:
    """Compare the stages of one case separately."""
    run = results.steps.run
    try:
        run(f"{case.name}: graph", graph, case, backend, stages)
        plan = run(f"{case.name}: plan", planned, case, backend, stages)
        run(f"{case.name}: spectral start", start, case, backend, stages)
        run(f"{case.name}: epochs", epochs, case, backend, plan, stages)
    finally:
        # Closing is a step, too: it fails if the CUDA context is broken.
        run(f"{case.name}: end", backend.close)


def graph(case: Case, backend: CupyBackend, stages: Stages) -> None:
    """Copy the graph to the device and back, and compare it."""
    back = to_host(backend.device, bring_graph(backend.device, case.graph))
    for name in ("indptr", "indices", "data"):
        wanted = getattr(case.graph, name)
        stages.append(_stage(f"graph: {name}", getattr(back, name).astype(wanted.dtype), wanted))


def planned(case: Case, backend: CupyBackend, stages: Stages) -> GPUPlan:
    """Plan on both and return the GPU's plan; if the plans differ, a copy of the CPU's plan."""
    there, here = backend.plan(case.graph, case.spec), build_plan(case.graph, case.spec)
    first = len(stages)
    for field in fields(EdgePlan):
        found, wanted = getattr(there.plan, field.name), getattr(here, field.name)
        if isinstance(wanted, np.ndarray) and not isinstance(found, np.ndarray):
            found = backend.device.download(found)
        stages.append(_stage(f"plan: {field.name}", np.atleast_1d(found), np.atleast_1d(wanted)))
    if all(stage["equal"] for stage in stages[first:]):
        return there
    brought = bring(backend.device, here, with_edges=True)
    return GPUPlan(there.place, brought, EdgesOnDevice(brought))


def start(case: Case, backend: CupyBackend, stages: Stages) -> None:
    """Compute and compare the spectral start on both."""
    d = case.spec.n_components
    with backend.spectral_ops() as ops:
        found = spectral_layout(case.graph, d, seed=0, ops=ops)
    stages.append(_stage("spectral start", found, spectral_layout(case.graph, d, seed=0)))


def epochs(case: Case, backend: CupyBackend, plan: GPUPlan | None, stages: Stages) -> None:
    """Run the layout on both, and compare positions at some epochs."""
    given = (case.start, case.spec)
    if plan is None:  # making it failed
        brought = bring(backend.device, build_plan(case.graph, case.spec), with_edges=True)
        plan = GPUPlan("the plan on the host", brought, EdgesOnDevice(brought))
    numba = NumbaBackend()
    there = backend.begin(plan, *given, density=case.density)
    here = numba.begin(numba.plan(case.graph, case.spec), *given, density=case.density)
    done = 0
    for epoch in stops(case):
        if epoch > done:
            for layout in (there, here):
                layout.advance(done + 1, epoch + 1)
            done = epoch
        stages.append(_stage(f"after epoch {epoch}", there.positions(), here.positions()))


def stops(case: Case) -> list[int]:
    """Return the epochs after which positions are compared."""
    last = case.spec.epochs_for(case.graph.shape[0]) - 1
    some = {*EPOCHS, last}
    if case.density is not None:
        first = case.spec.density_epoch(last + 1)
        some |= {first - 1, first, first + 1}
    return sorted(epoch for epoch in some if epoch <= last)


def placement(backend: CupyBackend) -> dict[str, Any]:
    """Place new points on both, and compare their positions."""
    rng = np.random.default_rng(0)
    points, new = rng.normal(size=(2 * PLACED, 4)), rng.normal(size=(PLACED, 4))
    reference = rng.random((2 * PLACED, 2), np.float32) * 10
    spec = OptimizerSpec()
    plan = build_transform(*nearest(points, new, 7), reference, spec.seed)
    steps = transform_steps(spec, PLACEMENT_EPOCHS)
    placed: list[NDArray[np.float32]] = []
    for one in (backend, NumbaBackend()):
        try:
            placed.append(one.begin_transform(reference, steps, spec).place(plan))
        finally:
            one.close()
    return difference(*placed)


def _stage(name: str, found: NDArray[Any], wanted: NDArray[Any]) -> dict[str, Any]:
    return {"stage": name, **difference(found, wanted)}


def _first_difference(stages: Stages) -> str | None:
    return next((stage["stage"] for stage in stages if not stage["equal"]), None)


def _tell(found: dict[str, Any]) -> None:
    different = []
    for name, case in found.items():
        first = case["first_difference"] if "stages" in case else None
        if first is not None or not case.get("equal", True):
            different.append(name if first is None else f"{name} from {first} on")
        else:
            print(f"{name}: equal")
    if different:
        print(f"DIFFERENT: {'; '.join(different)}")


if __name__ == "__main__":
    raise SystemExit(main())
