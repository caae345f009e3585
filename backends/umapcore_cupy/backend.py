"""The GPU backend: it decides where the parts of a layout are, and runs the layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from umapcore.errors import GPUMemoryError, bad_value
from umapcore.layout.plan import build_plan
from umapcore.logs import logger
from umapcore_cupy.host.device import Array
from umapcore_cupy.host.memory import estimate, in_words
from umapcore_cupy.layout.graph import DeviceGraph, adopt_graph, bring_graph, to_host
from umapcore_cupy.layout.layout import DeviceLayout
from umapcore_cupy.layout.plan import DevicePlan, bring, build_on_device
from umapcore_cupy.layout.shards import ShardedLayout
from umapcore_cupy.layout.start import adopt_start
from umapcore_cupy.layout.streamed import EdgesOnDevice, EdgesOnHost
from umapcore_cupy.neighbors.knn import approximate, nearest
from umapcore_cupy.spectral.ops import CupySpectralOps
from umapcore_cupy.transform.transformer import DeviceTransform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from umapcore.device.protocol import Layout
    from umapcore.layout.density import Density
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.neighbors.knn import KNN
    from umapcore_cupy.host.device import Device
    from umapcore_cupy.host.memory import Place
    from umapcore_cupy.layout.shards import Links
    from umapcore_cupy.layout.streamed import Edges


def open_backend(devices: Sequence[int] | None = None) -> CupyBackend:
    """Return the backend for some GPUs, given by CUDA's numbers; None: CuPy's current one.

    Raises
    ------
    ValueError
        If this machine does not have them.
    """
    if devices is None:
        return CupyBackend()
    from umapcore_cupy.host.compile import import_cupy
    from umapcore_cupy.host.cupy_device import CupyDevice
    from umapcore_cupy.host.nccl import NcclLinks

    count = int(import_cupy().cuda.runtime.getDeviceCount())
    if max(devices) >= count:
        allowed = f"different numbers below {count}, as many GPUs as CUDA sees"
        raise bad_value("devices", list(devices), allowed)
    if len(devices) == 1:
        return CupyBackend(lambda: CupyDevice(devices[0]))
    return SeveralGPUs(lambda: [CupyDevice(number) for number in devices], NcclLinks)


@dataclass(frozen=True)
class GPUPlan:
    """A plan, and where its edges are."""

    place: Place
    plan: DevicePlan
    edges: Edges


class CupyBackend:
    """Layouts on the current CUDA device; one backend serves one run.

    Parameters
    ----------
    open_device
        Returns the device when it is first needed; None: CuPy's current device.
    """

    name = "cupy"

    def __init__(self, open_device: Callable[[], Device] | None = None) -> None:
        self._open = open_device
        self._opened: Device | None = None
        # A graph on the host and its copy on the device, which the start and the plan both use.
        self._brought: tuple[Any, DeviceGraph] | None = None

    @property
    def device(self) -> Device:
        """The device, opened on first use."""
        if self._opened is None:
            if self._open is None:
                from umapcore_cupy.host.cupy_device import CupyDevice

                self._open = CupyDevice
            self._opened = self._open()
        return self._opened

    def adopt_graph(self, graph: Any) -> DeviceGraph | None:
        """Adopt a graph that is on the GPU; return None if it must be changed or refused."""
        return adopt_graph(self.device, graph)

    def adopt_start(self, positions: Any, shape: tuple[int, int]) -> Array | None:
        """Adopt and scale start positions on the GPU; return None if the host must check them."""
        return adopt_start(self.device, positions, shape)

    def graph_to_host(self, graph: Any) -> sparse.csr_array[Any, Any]:
        """Copy an adopted graph to the host; return a host graph as it is."""
        return to_host(self.device, graph) if isinstance(graph, DeviceGraph) else graph

    def start_to_host(self, start: Any, shape: tuple[int, int]) -> NDArray[Any]:
        """Copy adopted positions to the host; return host positions as they are."""
        if isinstance(start, Array):
            return self.device.download(start).reshape(shape)
        return start  # type: ignore[no-any-return]

    def spectral_ops(self, *, n_threads: int | None = None) -> CupySpectralOps:
        """Return the operations of the spectral start."""
        return CupySpectralOps(self.device, self._bring)

    def plan(self, graph: Any, spec: OptimizerSpec, *, n_threads: int | None = None) -> Any:
        """Plan a layout, with as much of it on the device as memory allows.

        Raises
        ------
        umapcore.errors.GPUMemoryError
            When not even the positions fit.
        """
        n, device = int(graph.shape[0]), self.device
        if self._brought is not None and self._brought[0] is not graph:
            self._brought = None
        there = isinstance(graph, DeviceGraph) or self._brought is not None
        needs = estimate(
            n,
            int(graph.nnz),
            spec.n_components,
            graph_there=there,
            density=spec.density_weight > 0,
        ).by_place()
        for place, needed in needs.items():
            if place != "all on the device":
                self._brought = None
            free = device.free_bytes()
            if free is not None and needed > free:
                logger.debug(
                    "%s: %s are needed, %s are free", place, in_words(needed), in_words(free)
                )
                continue
            try:
                with device.at_work():
                    return self._plan(graph, spec, place, n_threads)
            except GPUMemoryError as error:  # the memory was taken meanwhile
                logger.info("%s: %s", place, error)
        least = in_words(min(needs.values()))
        msg = f"a layout of {n} vertices needs at least {least} of GPU memory" + (
            "." if free is None else f", {in_words(free)} are free."
        )
        raise GPUMemoryError(msg)

    def begin(
        self,
        plan: Any,
        start: Any,
        spec: OptimizerSpec,
        *,
        density: Density | None = None,
        n_threads: int | None = None,
    ) -> Layout:
        """Begin a layout; see :class:`umapcore.device.protocol.Backend`."""
        with self.device.at_work():
            return DeviceLayout(self.device, plan.plan, plan.edges, start, spec, density)

    def begin_transform(
        self,
        reference: NDArray[Any],
        steps: NDArray[Any],
        spec: OptimizerSpec,
        *,
        n_threads: int | None = None,
    ) -> DeviceTransform:
        """Prepare to place new heads; see :class:`umapcore.device.protocol.Backend`."""
        return DeviceTransform(self.device, reference, steps, spec)

    def nearest(self, points: Any, n_neighbors: int, metric: Any, **options: Any) -> KNN:
        """Find exact neighbours; see :func:`umapcore_cupy.neighbors.knn.nearest`."""
        return nearest(self.device, points, n_neighbors, metric, **options)

    def approximate(
        self, points: Any, n_neighbors: int, metric: str, **options: Any
    ) -> tuple[KNN, float]:
        """Find most neighbours; see :func:`umapcore_cupy.neighbors.knn.approximate`."""
        return approximate(self.device, points, n_neighbors, metric, **options)

    def close(self) -> None:
        """Free everything that is held on the device."""
        self._brought = None
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _bring(self, graph: Any) -> DeviceGraph:
        """Copy a host graph to the device, unless it was the last one copied."""
        if self._brought is None or self._brought[0] is not graph:
            self._brought = None
            self._brought = graph, bring_graph(self.device, graph)
        return self._brought[1]

    def _plan(
        self, graph: Any, spec: OptimizerSpec, place: Place, n_threads: int | None
    ) -> GPUPlan:
        device = self.device
        if place == "all on the device":
            there = graph if isinstance(graph, DeviceGraph) else self._bring(graph)
            planned = build_on_device(device, there, spec)
            self._brought = None
            return GPUPlan(place, planned, EdgesOnDevice(planned))
        plan = build_plan(self.graph_to_host(graph), spec, n_threads=n_threads)
        if place == "the plan on the host":
            brought = bring(device, plan, with_edges=True)
            return GPUPlan(place, brought, EdgesOnDevice(brought))
        logger.info("the GPU has too little memory for the edges: every epoch streams them")
        brought = bring(device, plan, with_edges=False)
        return GPUPlan(place, brought, EdgesOnHost(device, plan))


class SeveralGPUs(CupyBackend):
    """Layouts on several CUDA devices of this machine; everything else runs on the first.

    Parameters
    ----------
    open_devices
        Returns the devices, when the first is needed.
    connect
        Connects the devices.
    """

    name = "cupy on several devices"

    def __init__(
        self,
        open_devices: Callable[[], Sequence[Device]],
        connect: Callable[[Sequence[Device]], Links],
    ) -> None:
        super().__init__(self._open_first)
        self._open_all, self._connect = open_devices, connect
        self._devices: Sequence[Device] = ()
        self._links: Links | None = None

    def plan(self, graph: Any, spec: OptimizerSpec, *, n_threads: int | None = None) -> Any:
        """Plan a layout on the host."""
        self._brought = None
        return build_plan(self.graph_to_host(graph), spec, n_threads=n_threads)

    def begin(
        self,
        plan: Any,
        start: Any,
        spec: OptimizerSpec,
        *,
        density: Density | None = None,
        n_threads: int | None = None,
    ) -> Layout:
        """Begin a layout; see :class:`umapcore.device.protocol.Backend`."""
        start = self.start_to_host(start, (plan.n_vertices, spec.n_components))
        if self._links is None:
            self._links = self._connect([self.device, *self._devices[1:]])
        return ShardedLayout(self._devices, self._links, plan, start, spec, density)

    def close(self) -> None:
        """Free everything that is held on the devices."""
        if self._links is not None:
            self._links.close()
            self._links = None
        super().close()
        for device in self._devices[1:]:
            device.close()
        self._devices = ()

    def _open_first(self) -> Device:
        self._devices = self._open_all()
        return self._devices[0]
