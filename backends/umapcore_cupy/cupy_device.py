"""The current CUDA device, through CuPy. Nothing else in the package launches or allocates."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import GPUError, GPUMemoryError
from umapcore.logs import logger
from umapcore_cupy.compile import cached_program, import_cupy
from umapcore_cupy.device import Array, Arrays
from umapcore_cupy.memory import in_words
from umapcore_cupy.programs import PROGRAMS, block_size, defines, kernels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

_N_SLOTS = 2


class CupyDevice:
    """The device that is CuPy's current one when this is made; others are not touched.

    Work goes to a stream of its own. Memory comes from a pool of its own, so that all of it can
    be given back at the end, or from the allocator that the user has chosen, RMM's for example.
    See :class:`umapcore_cupy.device.Device` for the methods.
    """

    def __init__(self) -> None:
        self._cupy = cupy = import_cupy()
        self._device = cupy.cuda.Device()
        # Arrays of the caller's may still be in the making on the caller's stream.
        cupy.cuda.get_current_stream().synchronize()
        with self._device:
            self._stream = cupy.cuda.Stream(non_blocking=True)
            self._copies: Any = None
            self._default_pool = cupy.get_default_memory_pool()
            users = cupy.cuda.get_allocator() != self._default_pool.malloc
            self._pool = None if users else cupy.cuda.MemoryPool()
        self._arrays = Arrays()
        self._kernels: dict[str, Any] = {}
        self._ready: list[Any] = [None] * _N_SLOTS
        self._used: list[Any] = [None] * _N_SLOTS
        self._pinned: list[int] = []

    @property
    def stream(self) -> Any:
        """CuPy's stream that the work goes to."""
        return self._stream

    def free_bytes(self) -> int | None:
        """Count the bytes that can be allocated."""
        if self._pool is None:
            return None
        with self._current():
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            # What CuPy keeps for later use can be had: see `empty`.
            return int(free) + int(self._default_pool.free_bytes())

    def holds(self, array: Any) -> bool:
        """Tell whether an array is on this device."""
        return bool(array.device == self._device)

    def peak_bytes(self) -> int:
        """Count the bytes that the pool took; it gives none back before the end."""
        return int(self._pool.total_bytes()) if self._pool is not None else 0

    def empty(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate, if need be after CuPy's own pool has given back what it keeps."""
        n_bytes = max(1, count) * np.dtype(dtype).itemsize
        with self._current():
            for attempt in range(2):
                try:
                    # An array of no entries would have no address.
                    return self._arrays.hold(self._cupy.empty(max(1, count), dtype)[:count])
                except MemoryError as error:  # CuPy's OutOfMemoryError and RMM's are of this kind
                    if attempt:
                        free = self.free_bytes()
                        msg = f"{in_words(n_bytes)} more are needed on the GPU" + (
                            "." if free is None else f", {in_words(free)} are free."
                        )
                        raise GPUMemoryError(msg) from error
                    self._default_pool.free_all_blocks()
        raise AssertionError

    def wrap(self, values: Any) -> Array:
        """Take an array of CuPy's."""
        return self._arrays.hold(values.reshape(-1))

    def zeros(self, count: int, dtype: DTypeLike) -> Array:
        """Allocate zeros."""
        array = self.empty(count, dtype)
        with self._current():
            array.values.data.memset_async(0, array.values.nbytes, self._stream)
        return array

    def upload(self, values: NDArray[Any]) -> Array:
        """Copy an array of the host's."""
        flat = np.ascontiguousarray(values).reshape(-1)
        array = self.empty(flat.shape[0], flat.dtype)
        with self._current():
            if flat.shape[0]:
                array.values.set(flat, stream=self._stream)
            # Pinned memory would be read after this returns.
            self._stream.synchronize()
        return array

    def download(self, array: Array, count: int | None = None) -> NDArray[Any]:
        """Copy to the host."""
        with self._current():
            found: NDArray[Any] = array.values[:count].get(stream=self._stream)
            self._stream.synchronize()
        return found

    def sort(self, keys: Array) -> None:
        """Sort by Thrust, which comes compiled with CuPy."""
        with self._current():
            keys.values.sort()

    def compile(self, program: str, dimensions: int = 2, samples: int = 5) -> None:
        """Load a program, compiled anew where it is not in the cache."""
        with self._current():
            macros = tuple(sorted(defines(program, dimensions, samples).items()))
            self._kernels.update(_load(int(self._device.id), program, macros))

    def launch(self, kernel: str, n_threads: int, *arguments: Any) -> None:
        """Start a kernel."""
        if n_threads <= 0:
            return
        block = block_size(kernel)
        with self._current():
            self._kernels[kernel](
                (-(-n_threads // block),),
                (block,),
                tuple(map(_passed, arguments)),
            )

    def record(self, work: Callable[[], None]) -> _Recording | None:
        """Record a CUDA graph."""
        runtime = self._cupy.cuda.runtime
        with self._current():
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
        with self._current():
            graph.launch(stream=self._stream)

    def prefetch(self, slot: int, copies: Sequence[tuple[Array, NDArray[Any]]]) -> None:
        """Copy on a second stream."""
        with self._current():
            if self._copies is None:
                self._copies = self._cupy.cuda.Stream(non_blocking=True)
                # Nothing may be written into memory that earlier work still uses.
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
        """Let later work wait for a slot."""
        with self._current():
            self._stream.wait_event(self._ready[slot])

    def used(self, slot: int) -> None:
        """Note that a slot may be filled again after the work so far."""
        with self._current():
            self._used[slot] = self._stream.record()

    def pin(self, values: NDArray[Any]) -> None:
        """Page-lock an array of the host's."""
        if not values.nbytes:
            return
        runtime = self._cupy.cuda.runtime
        with self._current():
            try:
                runtime.hostRegister(values.ctypes.data, values.nbytes, 0)
            except runtime.CUDARuntimeError as error:
                # Copies then make a detour, which costs time and nothing else.
                logger.debug("%d bytes of the host stay unpinned: %s", values.nbytes, error)
            else:
                self._pinned.append(values.ctypes.data)

    def synchronize(self) -> None:
        """Wait for the stream."""
        with self._current():
            self._stream.synchronize()

    def close(self) -> None:
        """Wait, whatever happened, and free everything."""
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

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Make the device, the stream and the pool CuPy's current ones."""
        cuda = self._cupy.cuda
        with ExitStack() as stack:
            stack.enter_context(self._device)
            stack.enter_context(self._stream)
            if self._pool is not None:
                stack.enter_context(cuda.using_allocator(self._pool.malloc))
            try:
                yield
            except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as error:
                msg = f"work on GPU {self._device.id} failed: {error}"
                raise GPUError(msg) from error
            except MemoryError as error:  # of a sort, for example
                msg = f"the GPU has too little memory: {error}."
                raise GPUMemoryError(msg) from error


@cache
def _load(device: int, program: str, macros: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    """Load a program's kernels on the current device, once in a process.

    CuPy keeps every module as long as the process lives, under the path that it came from.
    """
    cupy = import_cupy()
    architecture = int(cupy.cuda.Device(device).compute_capability)
    cubin = cached_program(PROGRAMS[program], dict(macros), architecture)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{program}.cubin"
        path.write_bytes(cubin)
        module = cupy.RawModule(path=str(path))
        kernels = {name: module.get_function(name) for name in kernels_of(program)}
        for kernel in kernels.values():
            _ = kernel.kernel  # reads the file while it is there
    return kernels


class _Recording:
    """A CUDA graph."""

    def __init__(self, device: CupyDevice, graph: Any) -> None:
        self._device, self._graph = device, graph

    def play(self) -> None:
        self._device.play(self._graph)


def _passed(value: Any) -> Any:
    """Give an argument of a launch as CuPy takes it."""
    if value is None:
        return np.uint64(0)
    return value.values if isinstance(value, Array) else value
