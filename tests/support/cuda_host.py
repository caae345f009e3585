"""A stand-in for a GPU: the kernels' own sources, built by g++, and the memory of the host.

It obeys the protocol that the CuPy device obeys, so that everything above it runs unchanged, and
is stricter: arguments must have the very types that a kernel declares, and slots must be filled,
used and released in turn. It says nothing about CuPy, NVRTC or a real device.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import GPUMemoryError
from umapcore_cupy.host.compile import KERNELS
from umapcore_cupy.host.device import Array, Arrays
from umapcore_cupy.host.programs import (
    GRID_WORDS,
    PROGRAMS,
    Kernel,
    block_size,
    defines,
    kernels_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import DTypeLike

COMPILER = shutil.which("g++") or shutil.which("clang++")
MISSING = None if COMPILER else "no C++ compiler (g++ or clang++) to build the kernels for the host"
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-fno-strict-aliasing")

#: Blocks of a cooperative launch at most.
MOST_BLOCKS = 3

TYPES: dict[str, tuple[type, DTypeLike]] = {
    "int": (ctypes.c_int, np.int32),
    "uint32": (ctypes.c_uint, np.uint32),
    "int64": (ctypes.c_longlong, np.int64),
    "uint64": (ctypes.c_ulonglong, np.uint64),
    "float": (ctypes.c_float, np.float32),
    "double": (ctypes.c_double, np.float64),
    "unsigned char": (ctypes.c_ubyte, np.uint8),
}


@cache
def build(program: str, macros: tuple[tuple[str, int], ...]) -> ctypes.CDLL:
    """Compile a program and, for each kernel, a function that runs a grid of it."""
    lines = [f'#include "{Path(__file__).parent / "cuda_shim.h"}"']
    lines += [f'#include "{file}"' for file in PROGRAMS[program]]
    for kernel, declared in kernels_of(program).items():
        named = ", ".join(f"{kind} a{i}" for i, kind in enumerate(declared.types))
        passed = ", ".join(f"a{i}" for i in range(len(declared.types)))
        lines.append(
            f'extern "C" void run_{kernel}(unsigned grid, unsigned block, int reversed, {named}) '
            f"{{ run_grid(grid, block, reversed != 0, [&] {{ {kernel}({passed}); }}); }}"
        )
    flags = [f"-D{name}={value}" for name, value in macros]
    return library("\n".join(lines), [*flags, f"-I{KERNELS}"])


def library(text: str, flags: Sequence[str] = ()) -> ctypes.CDLL:
    """Compile C++, unless a process of this test run has done so before, and load it."""
    named = hashlib.blake2b(repr((text, *flags, _headers())).encode(), digest_size=16)
    built = folder_of_libraries() / f"{named.hexdigest()}.so"
    if not built.exists():
        source = built.with_suffix(f".{os.getpid()}.cpp")
        source.write_text(text, encoding="utf-8")
        assert COMPILER is not None
        done = subprocess.run(
            [COMPILER, *FLAGS, *flags, str(source), "-o", str(source.with_suffix(".so"))],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        source.with_suffix(".so").replace(built)
    return ctypes.CDLL(str(built))


def _headers() -> list[str]:
    """Read everything that a source may include."""
    files = [Path(__file__).parent / "cuda_shim.h", *sorted(KERNELS.glob("*.cu*"))]
    return [file.read_text(encoding="utf-8") for file in files]


@cache
def folder_of_libraries() -> Path:
    """Return the folder of the libraries, which the processes that this one starts share."""
    if "UMAPCORE_TEST_LIBRARIES" not in os.environ:
        made = tempfile.mkdtemp(prefix="umapcore-host-kernels-")
        os.environ["UMAPCORE_TEST_LIBRARIES"] = made
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(os.environ["UMAPCORE_TEST_LIBRARIES"])


class HostDevice:
    """See :class:`umapcore_cupy.host.device.Device`.

    Parameters
    ----------
    reversed_order
        Run blocks, and threads in them, from the last to the first.
    memory
        Bytes that there are; None: no limit.
    records
        Whether work can be recorded.
    cooperative
        Whether several blocks of a cooperative kernel are there at once.
    builder
        Gives a library of a program; it has what that of `build` has.
    """

    def __init__(
        self,
        *,
        reversed_order: bool = False,
        memory: int | None = None,
        records: bool = True,
        cooperative: bool = True,
        builder: Callable[[str, tuple[tuple[str, int], ...]], ctypes.CDLL] = build,
    ) -> None:
        self.builder, self.cooperative = builder, cooperative
        self.most_blocks = MOST_BLOCKS if cooperative else 1
        self.reversed_order, self.memory, self.records = reversed_order, memory, records
        self.kernels: dict[str, tuple[Any, Kernel]] = {}
        self.grid = Array(np.zeros(GRID_WORDS, np.uint64))
        self.launches: list[str] = []
        # How often memory was allocated and copies were made.
        self.asked: Counter[str] = Counter()
        self.arrays = Arrays()
        self.peak = 0
        self.slots = ["empty", "empty"]
        self.recording: list[tuple[str, int, tuple[Any, ...]]] | None = None
        self.closed = False
        self.pinned: list[int] = []

    def at_work(self) -> AbstractContextManager[object]:
        return nullcontext()

    # --- memory

    def free_bytes(self) -> int | None:
        return None if self.memory is None else self.memory - self.arrays.n_bytes()

    def peak_bytes(self) -> int:
        return self.peak

    def holds(self, array: Any) -> bool:
        return True

    def empty(self, count: int, dtype: DTypeLike) -> Array:
        assert not self.closed
        assert self.recording is None, "an allocation inside a recording"
        self.asked["allocations"] += 1
        n_bytes = count * np.dtype(dtype).itemsize
        if self.memory is not None and self.arrays.n_bytes() + n_bytes > self.memory:
            msg = f"{n_bytes} more bytes are needed, {self.free_bytes()} are free."
            raise GPUMemoryError(msg)
        values = np.empty(count, dtype)
        values.view(np.uint8)[:] = 0xA5  # what is not written has no particular value
        array = self.arrays.hold(values)
        self.peak = max(self.peak, self.arrays.n_bytes())
        return array

    def empties(self, *shapes: tuple[int, DTypeLike]) -> list[Array]:
        return self.arrays.parts(self.empty, shapes)

    def part(self, array: Array, start: int, count: int) -> Array:
        assert 0 <= start <= start + count <= array.values.shape[0]
        return self.arrays.hold(array.values[start : start + count], array)

    def wrap(self, values: Any) -> Array:
        return Array(values)

    def zeros(self, count: int, dtype: DTypeLike) -> Any:
        array = self.empty(count, dtype)
        array.values[:] = 0
        return array

    def upload(self, values: np.ndarray) -> Any:
        self.asked["uploads"] += 1
        flat = np.ascontiguousarray(values).reshape(-1)
        array = self.empty(flat.shape[0], flat.dtype)
        array.values[:] = flat
        return array

    def download(self, array: Any, count: int | None = None, *, start: int = 0) -> np.ndarray:
        assert self.recording is None, "a copy to the host inside a recording"
        self.asked["downloads"] += 1
        return array.values[start:][:count].copy()

    def sort(self, keys: Any) -> None:
        assert keys.values.dtype == np.uint64
        keys.values.sort()

    # --- kernels

    def compile(self, program: str, dimensions: int = 2, samples: int = 5) -> None:
        built = self.builder(program, tuple(sorted(defines(program, dimensions, samples).items())))
        for name, declared in kernels_of(program).items():
            self.kernels[name] = (built[f"run_{name}"], declared)

    def cooperates(self) -> bool:
        return self.cooperative

    def launch(self, kernel: str, n_threads: int, *arguments: Any) -> None:
        assert not self.closed
        if n_threads <= 0:
            return
        if self.recording is not None:
            self.recording.append((kernel, n_threads, arguments))
        else:
            self._run(kernel, n_threads, arguments)

    def _run(self, kernel: str, n_threads: int, arguments: tuple[Any, ...]) -> None:
        function, (types, cooperative) = self.kernels[kernel]
        threads = block_size(kernel)
        blocks = -(-n_threads // threads)
        if cooperative:
            blocks = min(blocks, self.most_blocks)
            arguments = (self.grid, *arguments)
        assert len(arguments) == len(types), f"{kernel} takes {len(types)} arguments"
        values: list[Any] = [
            ctypes.c_uint(blocks), ctypes.c_uint(threads), ctypes.c_int(self.reversed_order)
        ]  # fmt: skip
        for i, (kind, value) in enumerate(zip(types, arguments, strict=True)):
            values.append(passed(f"{kernel}'s argument {i}", kind, value))
        function(*values)
        self.launches.append(kernel)

    def record(self, work: Callable[[], None]) -> Any:
        if not self.records:
            return None
        self.recording = []
        try:
            work()
        finally:
            recorded, self.recording = self.recording, None
        return _Recording(self, recorded)

    # --- streaming

    def prefetch(self, slot: int, copies: Sequence[tuple[Any, np.ndarray]]) -> None:
        assert self.slots[slot] == "empty", "a slot is filled that is still to be used"
        for target, source in copies:
            target.values[:] = target.values.dtype.type(0x5A5A5A5A)  # nobody may rely on it
            target.values[: source.shape[0]] = source
        self.slots[slot] = "filled"

    def use(self, slot: int) -> None:
        assert self.slots[slot] == "filled"
        self.slots[slot] = "in use"

    def used(self, slot: int) -> None:
        assert self.slots[slot] == "in use"
        self.slots[slot] = "empty"

    def pin(self, values: np.ndarray) -> None:
        self.pinned.append(values.nbytes)

    def synchronize(self) -> None:
        assert not self.closed

    def close(self) -> None:
        self.closed = True
        self.kernels = {}
        self.arrays.release()


class _Recording:
    def __init__(
        self, device: HostDevice, recorded: list[tuple[str, int, tuple[Any, ...]]]
    ) -> None:
        self.device, self.recorded = device, recorded

    def play(self) -> None:
        for kernel, n_threads, arguments in self.recorded:
            self.device._run(kernel, n_threads, arguments)


def passed(name: str, kind: str, value: Any) -> Any:
    """Check a launch's argument as strictly as the driver is careless about it."""
    if kind.endswith("*"):
        if value is None:
            return ctypes.c_void_p(None)
        kinds = {"Pull": None, **{k: np.dtype(d) for k, (_, d) in TYPES.items()}}
        expected = kinds[kind.removesuffix("*").strip()]
        assert isinstance(value, Array), f"{name} is a {type(value)}"
        found = value.values.dtype
        assert expected is None or found == expected, f"{name}: {found} for {kind}"
        return ctypes.c_void_p(value.values.ctypes.data)
    c_type, dtype = TYPES[kind]
    assert isinstance(value, np.generic), f"{name} is a Python {type(value).__name__}"
    assert value.dtype == np.dtype(dtype), f"{name}: {value.dtype} for {kind}"
    return c_type(value.item())
