"""The current CUDA device, through CuPy: all that a layout or a transform launches or allocates."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore.errors import GPUError, GPUMemoryError
from umapcore.logs import logger
from umapcore_cupy.host.compile import cached_program, import_cupy
from umapcore_cupy.host.device import Array, Arrays
from umapcore_cupy.host.memory import in_words
from umapcore_cupy.host.programs import (
    GRID_WORDS,
    MOST_BLOCKS,
    PROGRAMS,
    Kernel,
    block_size,
    defines,
    kernels_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

_N_SLOTS = 2
#: Host arrays of up to this many bytes are copied before they are uploaded.
_SMALL = 64 << 10


class CupyDevice:
    """A device; others are not used.

    Work goes to a stream of its own. Memory comes from a pool of its own, so that all of it can
    be freed at the end, or from the allocator that the user has chosen, for example RMM's.
    See :class:`umapcore_cupy.host.device.Device` for the methods.

    Parameters
    ----------
    number
        CUDA's number of the device; None: CuPy's current one.
    """

    def __init__(self, number: int | None = None) -> None:
        self._cupy = cupy = import_cupy()
        self._device = cupy.cuda.Device(number)
        # The caller's stream may still be computing the caller's arrays.
        cupy.cuda.get_current_stream().synchronize()
        with self._device:
            self._stream = cupy.cuda.Stream(non_blocking=True)
            self._copies: Any = None
            self._default_pool = cupy.get_default_memory_pool()
            users = cupy.cuda.get_allocator() != self._default_pool.malloc
            self._pool = None if users else cupy.cuda.MemoryPool()
        self._arrays = Arrays()
        self._at_work = _AtWork(self)
        self._kernels: dict[str, _Loaded] = {}
        self._grid: Array | None = None
        self._cooperates = bool(self._device.attributes.get("CooperativeLaunch", 0))
        self._ready: list[Any] = [None] * _N_SLOTS
        self._used: list[Any] = [None] * _N_SLOTS
        self._pinned: list[int] = []

    @property
    def number(self) -> int:
        """CUDA's number of the device."""
        return int(self._device.id)

    @property
    def stream(self) -> Any:
        """CuPy's stream for the work."""
        return self._stream

    def at_work(self) -> _AtWork:
        """Make the device, the stream and the pool CuPy's current ones."""
        return self._at_work

    def free_bytes(self) -> int | None:
        """Return the number of bytes that can be allocated."""
        if self._pool is None:
            return None
        with self._at_work:
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            # `empty` can free what CuPy keeps for later use.
            return int(free) + int(self._default_pool.free_bytes())

    def holds(self, array: Any) -> bool:
        """Return whether an array is on this device."""
        return bool(array.device == self._device)

    def peak_bytes(self) -> int:
        """Return the bytes that the pool took; it frees none before the end."""
        return int(self._pool.total_bytes()) if self._pool is not None else 0

    def empty(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate an array; if memory is short, CuPy's own pool is emptied first."""
        n_bytes = max(1, count) * np.dtype(dtype).itemsize
        with self._at_work:
            for attempt in range(2):
                try:
                    # An empty array would have no address.
                    return self._arrays.hold(self._cupy.empty(max(1, count), dtype)[:count])
                except MemoryError as error:  # includes the out-of-memory errors of CuPy and RMM
                    if attempt:
                        free = self.free_bytes()
                        msg = f"{in_words(n_bytes)} more are needed on the GPU" + (
                            "." if free is None else f", {in_words(free)} are free."
                        )
                        raise GPUMemoryError(msg) from error
                    self._default_pool.free_all_blocks()
        raise AssertionError

    def empties(self, *shapes: tuple[int, DTypeLike]) -> list[Array]:
        """Allocate one array and return parts of it."""
        return self._arrays.parts(self.empty, shapes)

    def part(self, array: Array, start: int, count: int) -> Array:
        """Return a slice."""
        return self._arrays.hold(array.values[start : start + count], array)

    def wrap(self, values: Any) -> Array:
        """Wrap a CuPy array."""
        return self._arrays.hold(values.reshape(-1))

    def zeros(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate an array of zeros."""
        array = self.empty(count, dtype)
        with self._at_work:
            array.values.data.memset_async(0, array.values.nbytes, self._stream)
        return array

    def upload(self, values: NDArray[Any]) -> Array:
        """Copy a host array to the device."""
        flat = np.ascontiguousarray(values).reshape(-1)
        small = flat.nbytes <= _SMALL
        if small:
            flat = flat.copy()  # not pinned, so CUDA has read it when the call returns
        with self._at_work:
            array = self.empty(flat.shape[0], flat.dtype)
            if flat.shape[0]:
                array.values.set(flat, stream=self._stream)
            if not small:
                # Otherwise pinned memory would be read after this returns.
                self._stream.synchronize()
        return array

    def download(self, array: Array, count: int | None = None, *, start: int = 0) -> NDArray[Any]:
        """Copy to the host."""
        end = None if count is None else start + count
        with self._at_work:
            found: NDArray[Any] = array.values[start:end].get(stream=self._stream)
            self._stream.synchronize()
        return found

    def sort(self, keys: Array) -> None:
        """Sort with Thrust, which CuPy ships compiled."""
        with self._at_work:
            keys.values.sort()

    def compile(self, program: str, dimensions: int = 2, samples: int = 5) -> None:
        """Load a program; compile it if it is not in the cache."""
        with self._at_work:
            macros = tuple(sorted(defines(program, dimensions, samples).items()))
            loaded = _load(int(self._device.id), program, macros)
            if self._grid is None and any(one.declared.cooperative for one in loaded.values()):
                self._grid = self.zeros(GRID_WORDS, np.uint64)
            self._kernels.update(loaded)

    def cooperates(self) -> bool:
        """Return whether the device supports cooperative launches and has not refused one."""
        return self._cooperates

    def launch(self, kernel: str, n_threads: int, *arguments: Any) -> None:
        """Start a kernel."""
        if n_threads <= 0:
            return
        one = self._kernels[kernel]
        blocks = -(-n_threads // one.threads)
        passed = tuple(map(_passed, arguments))
        with self._at_work:
            if not one.declared.cooperative:
                one.function((blocks,), (one.threads,), passed)
                return
            self._launch_cooperatively(one, blocks, (_passed(self._grid), *passed))

    def _launch_cooperatively(self, one: _Loaded, blocks: int, passed: tuple[Any, ...]) -> None:
        """Start as many blocks as can be on the device at once, since they wait for one another.

        A single block does not wait, so it can start on any device.
        """
        threads = (one.threads,)
        blocks = min(blocks, one.most_blocks)
        if blocks > 1 and self._cooperates:
            try:
                one.function((blocks,), threads, passed, enable_cooperative_groups=True)
            except self._cupy.cuda.driver.CUDADriverError as error:
                logger.info("the GPU takes no cooperative launch, which makes it slow: %s", error)
                self._cooperates = False
            else:
                return
        one.function((1,), threads, passed)

    def record(self, work: Callable[[], None]) -> _Recording | None:
        """Record a CUDA graph."""
        runtime = self._cupy.cuda.runtime
        with self._at_work:
            try:
                self._stream.begin_capture(runtime.streamCaptureModeThreadLocal)
                try:
                    work()
                finally:
                    graph = self._stream.end_capture()
            except (GPUError, runtime.CUDARuntimeError) as error:
                logger.debug("kernels are launched one by one: %s", error)
                return None
        return _Recording(self, graph)

    def play(self, graph: Any) -> None:
        """Start a recorded graph."""
        with self._at_work:
            graph.launch(stream=self._stream)

    def prefetch(self, slot: int, copies: Sequence[tuple[Array, NDArray[Any]]]) -> None:
        """Copy on a second stream."""
        with self._at_work:
            if self._copies is None:
                self._copies = self._cupy.cuda.Stream(non_blocking=True)
                # Copies must not write into memory that earlier work still uses.
                self._copies.wait_event(self._stream.record())
            if self._used[slot] is not None:
                self._copies.wait_event(self._used[slot])
            for target, source in copies:
                if source.nbytes:
                    target.values.data.copy_from_host_async(
                        source.ctypes.data, source.nbytes, self._copies
                    )
            self._ready[slot] = self._copies.record()

    def use(self, slot: int) -> None:
        """Make later work wait for a slot."""
        with self._at_work:
            self._stream.wait_event(self._ready[slot])

    def used(self, slot: int) -> None:
        """Record that a slot can be filled again after the work so far."""
        with self._at_work:
            self._used[slot] = self._stream.record()

    def pin(self, values: NDArray[Any]) -> None:
        """Page-lock a host array."""
        if not values.nbytes:
            return
        runtime = self._cupy.cuda.runtime
        with self._at_work:
            try:
                runtime.hostRegister(values.ctypes.data, values.nbytes, 0)
            except runtime.CUDARuntimeError as error:
                # Copies then need an intermediate buffer, which only costs time.
                logger.debug("%d bytes of the host stay unpinned: %s", values.nbytes, error)
            else:
                self._pinned.append(values.ctypes.data)

    def synchronize(self) -> None:
        """Wait for the stream."""
        with self._at_work:
            self._stream.synchronize()

    def close(self) -> None:
        """Wait for the work and free everything; errors are ignored."""
        runtime = self._cupy.cuda.runtime
        with suppress(Exception), self._device:
            self._stream.synchronize()
            if self._copies is not None:
                self._copies.synchronize()
        with suppress(Exception), self._device:
            for address in self._pinned:
                runtime.hostUnregister(address)
        self._pinned = []
        self._kernels = {}
        self._arrays.release()
        if self._pool is not None:
            with suppress(Exception), self._device:
                self._pool.free_all_blocks()


class _AtWork:
    """Make a device, its stream and its pool CuPy's current ones; nested entry does nothing.

    CUDA's errors become errors of umapcore.
    """

    def __init__(self, device: CupyDevice) -> None:
        self._device = device
        self._depth = 0
        self._entered = ExitStack()

    def __enter__(self) -> None:
        if self._depth == 0:
            device = self._device
            with ExitStack() as stack:
                stack.enter_context(device._device)
                stack.enter_context(device._stream)
                if device._pool is not None:
                    allocator = device._cupy.cuda.using_allocator(device._pool.malloc)
                    stack.enter_context(allocator)
                self._entered = stack.pop_all()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: Any
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._entered.close()
        cuda = self._device._cupy.cuda
        if isinstance(error, (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError)):
            msg = f"work on GPU {self._device._device.id} failed: {error}"
            raise GPUError(msg) from error
        if isinstance(error, MemoryError) and not isinstance(error, GPUMemoryError):
            # From a sort, for example.
            msg = f"the GPU has too little memory: {error}."
            raise GPUMemoryError(msg) from error


class _Loaded(NamedTuple):
    """A kernel on a device.

    Attributes
    ----------
    function
        CuPy's function, called with the grid, the block and the arguments.
    declared
        Its declaration.
    threads
        Threads per block.
    most_blocks
        Blocks of a cooperative launch: as many as can be on the device at once.
    """

    function: Any
    declared: Kernel
    threads: int
    most_blocks: int


@cache
def _load(device: int, program: str, macros: tuple[tuple[str, int], ...]) -> dict[str, _Loaded]:
    """Load a program's kernels on the current device, once per process.

    CuPy keeps every module until the process ends, under the path of its file.
    """
    cupy = import_cupy()
    cubin = cached_program(
        PROGRAMS[program], dict(macros), int(cupy.cuda.Device(device).compute_capability)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{program}.cubin"
        path.write_bytes(cubin)
        module = cupy.RawModule(path=str(path))
        loaded = {}
        for name, declared in kernels_of(program).items():
            # This reads the file, before it is deleted.
            function = module.get_function(name).kernel
            threads = block_size(name)
            most = _most_blocks(cupy, device, function, threads) if declared.cooperative else 0
            loaded[name] = _Loaded(function, declared, threads, most)
    return loaded


def _most_blocks(cupy: Any, device: int, function: Any, threads: int) -> int:
    """Return the number of blocks of a kernel that can be on a device at once."""
    multiprocessors = int(cupy.cuda.Device(device).attributes["MultiProcessorCount"])
    at_once = cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, threads, 0)
    return max(1, min(MOST_BLOCKS, int(at_once) * multiprocessors))


class _Recording:
    """A CUDA graph."""

    def __init__(self, device: CupyDevice, graph: Any) -> None:
        self._device, self._graph = device, graph

    def play(self) -> None:
        self._device.play(self._graph)


def _passed(value: Any) -> Any:
    """Convert an argument of a launch to the form that CuPy takes."""
    if value is None:
        return np.uint64(0)
    return value.values if isinstance(value, Array) else value
