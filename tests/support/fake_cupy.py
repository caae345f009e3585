"""The part of CuPy that the GPU backend uses, on the host: its calls, not a GPU.

What runs on it are the kernels' own sources, built by g++. It is there so that the few hundred
lines that talk to CuPy are run at all where there is no GPU, and is checked against the real CuPy
for offering nothing that CuPy does not have.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.support import cuda_host, elf
from umapcore_cupy.host.device import Array
from umapcore_cupy.host.programs import Kernel, defines, kernels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class State:
    """What a test looks at and sets."""

    def __init__(self) -> None:
        self.memory = 1 << 30
        self.dimensions = 2
        self.stream: Stream | None = None
        self.allocators: list[Any] = []
        self.captured: list[Callable[[], None]] | None = None
        self.capture_fails = False
        self.registered: list[int] = []
        self.loaded: list[str] = []
        self.kernel_fails = False
        self.refuses_cooperation = False
        self.n_devices = 1
        # Blocks of every launch, and whether it was cooperative.
        self.started: list[tuple[int, bool]] = []


#: Blocks of a cooperative kernel that can be on the device at once.
N_BLOCKS = 4


class Device:
    compute_capability = "90"
    attributes = {"CooperativeLaunch": 1, "MultiProcessorCount": N_BLOCKS // 2}  # noqa: RUF012
    entered = 0

    def __init__(self, number: int | None = None) -> None:
        self.id = number or 0

    def __enter__(self) -> Device:
        Device.entered += 1
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device)

    __hash__ = None  # type: ignore[assignment]


class Event:
    pass


class NcclError(RuntimeError):
    pass


class Nccl:
    """NCCL, with the numbers that CuPy gives to types and operations; streams are not used."""

    available = True
    NcclError = NcclError
    NCCL_INT32, NCCL_UINT64, NCCL_FLOAT32, NCCL_SUM = 2, 5, 7, 0
    TYPES = {2: np.int32, 5: np.uint64, 7: np.float32}  # noqa: RUF012

    def __init__(self, state: State) -> None:
        self.state = state
        self.group: list[tuple[str, NcclLink, list[np.ndarray], int]] | None = None
        self.NcclCommunicator = SimpleNamespace(initAll=self.connect)
        self.fails = False

    def connect(self, devices: list[int]) -> list[NcclLink]:
        if len(set(devices)) < len(devices):
            raise NcclError("NCCL_ERROR_INVALID_USAGE: duplicate GPU")
        self.links = [NcclLink(self, rank) for rank in range(len(devices))]
        return self.links

    def groupStart(self) -> None:  # noqa: N802 - CuPy's name
        assert self.group is None
        self.group = []

    def groupEnd(self) -> None:  # noqa: N802 - CuPy's name
        group, self.group = self.group, None
        assert group is not None
        if self.fails:
            raise NcclError("NCCL_ERROR_UNHANDLED_CUDA_ERROR")
        assert [link.rank for _, link, _, _ in group] == list(range(len(self.links)))
        assert (
            len({(what, arrays[0].dtype, arrays[0].size, root) for what, _, arrays, root in group})
            == 1
        )
        what, _, _, root = group[0]
        given = [arrays[0].copy() for _, _, arrays, _ in group]
        found = given[root] if what == "broadcast" else sum(given[1:], given[0])
        for _, _, arrays, _ in group:
            arrays[1][:] = found


class NcclLink:
    """The communicator of one device."""

    def __init__(self, nccl: Nccl, rank: int) -> None:
        self.nccl, self.rank, self.destroyed = nccl, rank, False

    def allReduce(  # noqa: N802 - CuPy's name
        self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, stream: int
    ) -> None:
        assert op == Nccl.NCCL_SUM
        self._add("sum", (sendbuf, recvbuf), count, datatype, 0)

    def broadcast(
        self, sendbuff: int, recvbuff: int, count: int, datatype: int, root: int, stream: int
    ) -> None:
        self._add("broadcast", (sendbuff, recvbuff), count, datatype, root)

    def destroy(self) -> None:
        self.destroyed = True

    def _add(
        self, what: str, buffers: tuple[int, int], count: int, datatype: int, root: int
    ) -> None:
        kind = np.dtype(Nccl.TYPES[datatype])
        arrays = [
            np.frombuffer((ctypes.c_char * (count * kind.itemsize)).from_address(buffer), kind)
            for buffer in buffers
        ]
        assert self.nccl.group is not None
        self.nccl.group.append((what, self, arrays, root))


class Stream:
    ptr = 1

    def __init__(self, state: State, *, non_blocking: bool = False) -> None:
        self.state, self.outer = state, []
        assert non_blocking

    def __enter__(self) -> Stream:
        self.outer.append(self.state.stream)
        self.state.stream = self
        return self

    def __exit__(self, *_: object) -> None:
        self.state.stream = self.outer.pop()

    def synchronize(self) -> None:
        assert self.state.captured is None, "synchronised while capturing"
        if self.state.kernel_fails:
            raise CUDARuntimeError("cudaErrorIllegalAddress")

    def record(self) -> Event:
        return Event()

    def wait_event(self, event: Event) -> None:
        assert isinstance(event, Event)

    def begin_capture(self, mode: int) -> None:
        assert mode == 1
        self.state.captured = []

    def end_capture(self) -> Graph:
        captured, self.state.captured = self.state.captured, None
        assert captured is not None
        if self.state.capture_fails:
            raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated")
        return Graph(captured)


class Graph:
    def __init__(self, captured: list[Callable[[], None]]) -> None:
        self.captured = captured

    def launch(self, stream: Stream) -> None:
        assert stream.state.stream is stream
        for start in self.captured:
            start()


class MemoryPool:
    def __init__(self, state: State) -> None:
        self.state, self.taken, self.limit = state, 0, 1 << 40

    def malloc(self, size: int) -> None:
        if self.taken + size > min(self.state.memory, self.limit):
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes")
        self.taken += size

    def total_bytes(self) -> int:
        return self.taken

    def free_bytes(self) -> int:
        return 0

    def free_all_blocks(self) -> None:
        self.taken = 0

    def set_limit(self, size: int) -> None:
        self.limit = size


class MemoryPointer:
    def __init__(self, array: np.ndarray) -> None:
        self.array, self.ptr = array, array.ctypes.data

    def memset_async(self, value: int, size: int, stream: Stream) -> None:
        assert stream.state.captured is None
        self.array.view(np.uint8)[:size] = value

    def copy_from_host_async(self, mem: int, size: int, stream: Stream) -> None:
        assert mem in stream.state.registered or any(
            first <= mem for first in stream.state.registered
        )
        ctypes.memmove(self.array.ctypes.data, mem, size)


class ndarray:  # noqa: N801 - CuPy's name
    """One-dimensional array."""

    device = Device()

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.dtype, self.nbytes, self.shape = values.dtype, values.nbytes, values.shape
        self.size, self.itemsize = values.size, values.itemsize

    def __getitem__(self, part: slice) -> ndarray:
        return ndarray(self.values[part])

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(self.values)

    def get(self, stream: Stream) -> np.ndarray:
        assert stream.state.captured is None
        return self.values.copy()

    def set(self, arr: np.ndarray, stream: Stream) -> None:
        assert arr.dtype == self.dtype
        assert arr.shape == self.shape
        self.values[:] = arr

    def sort(self) -> None:
        self.values.sort()

    def view(self, dtype: Any) -> ndarray:
        return ndarray(self.values.view(dtype))

    def reshape(self, shape: int) -> ndarray:
        return ndarray(self.values.reshape(shape))


class Function:
    def __init__(self, state: State, function: Any, declared: Kernel) -> None:
        self.state, self.function, self.declared = state, function, declared
        self.ptr = 1

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        *,
        enable_cooperative_groups: bool = False,
    ) -> None:
        state = self.state
        assert state.stream is not None, "a kernel on the default stream"
        if enable_cooperative_groups and state.refuses_cooperation:
            raise CUDADriverError("CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE")
        assert grid[0] <= (N_BLOCKS if enable_cooperative_groups else 2**31 - 1)
        assert enable_cooperative_groups or not self.declared.cooperative or grid[0] == 1
        assert self.declared.cooperative or not enable_cooperative_groups
        state.started.append((grid[0], enable_cooperative_groups))
        values = [ctypes.c_uint(grid[0]), ctypes.c_uint(block[0]), ctypes.c_int(0)]
        for i, (kind, value) in enumerate(zip(self.declared.types, args, strict=True)):
            if kind.endswith("*") and isinstance(value, np.uint64):
                assert value == 0
                value = None
            elif isinstance(value, ndarray):
                value = Array(value.values)
            values.append(cuda_host.passed(f"argument {i}", kind, value))

        def start() -> None:
            self.function(*values)

        if state.captured is not None:
            state.captured.append(start)
        else:
            start()


class RawKernel:
    def __init__(self, function: Function, path: Path) -> None:
        self.function, self.path = function, path

    @property
    def kernel(self) -> Function:
        assert self.path.exists()
        return self.function


class RawModule:
    def __init__(self, state: State, *, path: str) -> None:
        self.state, self.path = state, Path(path)
        self.program = self.path.stem
        if what := elf.problem(self.path.read_bytes()):
            raise CUDADriverError(f"CUDA_ERROR_INVALID_IMAGE: {what}")
        state.loaded.append(self.program)

    def get_function(self, name: str) -> RawKernel:
        macros = tuple(sorted(defines(self.program, self.state.dimensions).items()))
        library = cuda_host.build(self.program, macros)
        function = Function(self.state, library[f"run_{name}"], kernels_of(self.program)[name])
        return RawKernel(function, self.path)


def fake_cupy() -> tuple[Any, State]:
    """Give a module that stands for CuPy, with a GPU of its own, and that GPU's state."""
    state = State()
    default_pool = MemoryPool(state)
    state.allocators.append(default_pool.malloc)
    null_stream = Stream(state, non_blocking=True)

    @contextmanager
    def using_allocator(allocator: Any) -> Iterator[None]:
        state.allocators.append(allocator)
        try:
            yield
        finally:
            state.allocators.pop()

    def empty(count: int, dtype: Any) -> ndarray:
        assert state.captured is None, "an allocation while capturing"
        values = np.empty(count, dtype)
        state.allocators[-1](values.nbytes)
        values.view(np.uint8)[:] = 0xA5
        return ndarray(values)

    runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        streamCaptureModeThreadLocal=1,
        memGetInfo=lambda: (state.memory, 1 << 40),
        hostRegister=lambda address, size, flags: state.registered.append(address),
        hostUnregister=state.registered.remove,
        getDeviceCount=lambda: state.n_devices,
    )
    cuda = SimpleNamespace(
        Device=Device,
        Stream=lambda non_blocking: Stream(state, non_blocking=non_blocking),
        MemoryPool=lambda: MemoryPool(state),
        driver=SimpleNamespace(
            CUDADriverError=CUDADriverError,
            occupancyMaxActiveBlocksPerMultiprocessor=lambda function, threads, shared: 2,
        ),
        get_allocator=lambda: state.allocators[-1],
        get_current_stream=lambda: state.stream or null_stream,
        runtime=runtime,
        using_allocator=using_allocator,
    )
    module = SimpleNamespace(
        RawModule=lambda *, path: RawModule(state, path=path),
        cuda=cuda,
        empty=empty,
        get_default_memory_pool=lambda: default_pool,
        nccl=Nccl(state),
    )
    return module, state
