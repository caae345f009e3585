"""The GPU backend: where a layout's parts go, and the layout itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from umapcore.errors import GPUMemoryError
from umapcore.logs import logger
from umapcore.plan import build_plan
from umapcore_cupy.graph import DeviceGraph, adopt_graph, bring_graph, to_host
from umapcore_cupy.layout import DeviceLayout
from umapcore_cupy.memory import estimate, in_words
from umapcore_cupy.plan import DevicePlan, bring, build_on_device
from umapcore_cupy.streamed import EdgesOnDevice, EdgesOnHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy import sparse

    from umapcore.spec import OptimizerSpec
    from umapcore_cupy.device import Device
    from umapcore_cupy.streamed import Edges


@dataclass
class GPUPlan:
    """A plan, its edges, and the device that they are for."""

    device: Device
    plan: DevicePlan
    edges: Edges


class CupyBackend:
    """Layouts on the current CUDA device.

    Parameters
    ----------
    open_device
        Gives a device of its own to every run; None: CuPy's current one.
    """

    name = "cupy"

    def __init__(self, open_device: Callable[[], Device] | None = None) -> None:
        self._open = open_device

    def adopt(self, graph: Any) -> DeviceGraph | None:
        """Take a graph that is on the GPU already, unless it has to be changed or refused."""
        device = self._device()
        try:
            adopted = adopt_graph(device, graph)
        except BaseException:
            device.close()
            raise
        if adopted is None:
            device.close()
        return adopted

    def plan(
        self,
        graph: sparse.csr_array[Any, Any] | DeviceGraph,
        spec: OptimizerSpec,
        *,
        n_threads: int | None = None,
    ) -> GPUPlan:
        """Plan a layout, as far on the device as its memory allows.

        Raises
        ------
        umapcore.errors.GPUMemoryError
            When not even positions fit.
        """
        there = isinstance(graph, DeviceGraph)
        n = graph.shape[0]
        device = graph.device if isinstance(graph, DeviceGraph) else self._device()
        try:
            needs = estimate(n, int(graph.nnz), spec.n_components, graph_there=there)
            free = device.free_bytes()
            for place, needed in needs.by_place().items():
                if free is not None and needed > free:
                    logger.debug(
                        "%s would take %s of the GPU, %s are free",
                        place, in_words(needed), in_words(free),
                    )  # fmt: skip
                    continue
                try:
                    return _plan(device, graph, spec, place, n_threads)
                except GPUMemoryError as error:  # somebody else took it meanwhile
                    logger.info("%s: %s", place, error)
            least = min(needs.by_place().values())
            msg = f"the layout of {n} vertices needs at least {in_words(least)} on the GPU" + (
                "." if free is None else f", of which {in_words(free)} are free."
            )
            raise GPUMemoryError(msg)
        except BaseException:
            device.close()
            raise

    def begin(
        self, plan: GPUPlan, start: Any, spec: OptimizerSpec, *, n_threads: int | None = None
    ) -> DeviceLayout:
        """Begin a layout; see :class:`umapcore.backend.Backend`."""
        try:
            return DeviceLayout(plan.device, plan.plan, plan.edges, start, spec)
        except BaseException:
            plan.device.close()
            raise

    def release(self, held: GPUPlan | DeviceGraph | sparse.csr_array[Any, Any]) -> None:
        """Give back what a plan, with its layouts, or an adopted graph holds on the device."""
        if isinstance(held, (GPUPlan, DeviceGraph)):
            held.device.close()

    def to_host(self, graph: DeviceGraph) -> sparse.csr_array[Any, Any]:
        """Copy an adopted graph to the host."""
        return to_host(graph)

    def _device(self) -> Device:
        if self._open is not None:
            return self._open()
        from umapcore_cupy.cupy_device import CupyDevice

        return CupyDevice()


def _plan(
    device: Device,
    graph: sparse.csr_array[Any, Any] | DeviceGraph,
    spec: OptimizerSpec,
    place: str,
    n_threads: int | None,
) -> GPUPlan:
    if place == "all on the device":
        there = graph if isinstance(graph, DeviceGraph) else bring_graph(device, graph)
        planned = build_on_device(device, there, spec)
        return GPUPlan(device, planned, EdgesOnDevice(planned))
    here = to_host(graph) if isinstance(graph, DeviceGraph) else graph
    plan = build_plan(here, spec, n_threads=n_threads)
    if place == "the plan on the host":
        brought = bring(device, plan, with_edges=True)
        return GPUPlan(device, brought, EdgesOnDevice(brought))
    logger.info("the GPU has too little memory for the edges: they are streamed in every epoch")
    brought = bring(device, plan, with_edges=False)
    return GPUPlan(device, brought, EdgesOnHost(device, plan))
