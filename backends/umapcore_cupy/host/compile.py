"""Compile the files in ``kernels/`` to code for a device, with NVRTC.

This needs neither a device nor a driver. CuPy's own compilation (``RawModule(code=…)``) is not
used: it appends ``-ftz=true``, which changes bits.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from importlib.metadata import files as files_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.logs import logger
from umapcore.version import __version__
from umapcore_cupy.host import kernel_cache
from umapcore_cupy.host.errors import KernelCompilationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KERNELS = Path(__file__).parents[1] / "kernels"


#: Options for the same bits as the CPU: no contraction to fused multiply-add, no flushing of
#: subnormal numbers, division and square root correctly rounded.
SAME_BITS = ("--fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")

OPTIONS = (
    *SAME_BITS,
    "-std=c++17",
    "-default-device",
    # Otherwise a file with a kernel's name in the user's working directory could be included.
    "--no-source-include",
)

#: Names of NVRTC's packages for pip, by CUDA's major version.
NVRTC_WHEELS = {12: "nvidia-cuda-nvrtc-cu12", 13: "nvidia-cuda-nvrtc"}

_MAIN = "umapcore.cu"
# Fields of an ELF header: where the program headers and the section headers begin, and their
# sizes and numbers.
_ELF_HEADER = struct.Struct("<32s2Q6x4H2x")


def compile_program(
    files: Sequence[str],
    defines: Mapping[str, int | str],
    architecture: int,
    *,
    ptx: bool = False,
    folder: Path = KERNELS,
) -> bytes:
    """Compile files together, as one program.

    Parameters
    ----------
    files
        Names of files in `folder`, in the order in which they are included.
    defines
        Macros and their values.
    architecture
        Compute capability of the device, times ten: 90 for 9.0.
    ptx
        Return PTX, which people and tests can read, instead of a cubin.
    folder
        Folder of the files and of what they include.

    Returns
    -------
    A cubin; PTX for a device that is newer than NVRTC, see :func:`target`. Both can be loaded.

    Raises
    ------
    KernelCompilationError
        When compilation fails. It has NVRTC's log, with positions in the files.
    """
    return _compile(files, _sources(folder, files), _options(defines, architecture, ptx=ptx))


def cached_program(
    files: Sequence[str],
    defines: Mapping[str, int | str],
    architecture: int,
    *,
    folder: Path = KERNELS,
) -> bytes:
    """Return a compiled program from :mod:`.kernel_cache`, or call :func:`compile_program`."""
    sources = _sources(folder, files)
    options = _options(defines, architecture)
    parts: list[str | bytes] = [__version__, repr(nvrtc_version()), repr(options), repr([*files])]
    for name, source in sources.items():
        parts += [name, source]
    key = kernel_cache.digest(*parts)
    return kernel_cache.cached(key, lambda: _compile(files, sources, options))


def target(architecture: int, known: Sequence[int], *, ptx: bool = False) -> str:
    """Choose what NVRTC compiles for.

    ``'sm_90'`` is machine code of that architecture. ``'compute_90'`` is PTX, which is used on
    request. It is also used if NVRTC does not know the device, then for the newest architecture
    that it knows. The driver translates PTX when it loads it. The bits are the same, because every
    operation in PTX names its rounding.

    Parameters
    ----------
    architecture
        Architecture of the device.
    known
        Architectures that NVRTC can compile for.

    Raises
    ------
    KernelCompilationError
        When the device is too old for this NVRTC.
    """
    if architecture in known:
        return f"{'compute' if ptx else 'sm'}_{architecture}"
    older = [number for number in known if number < architecture]
    if older:
        return f"compute_{max(older)}"
    oldest, version = min(known), ".".join(map(str, nvrtc_version()))
    msg = (
        f"NVRTC {version} compiles for compute capability {oldest / 10} and newer, not for "
        f'{architecture / 10}. An older CUDA may support it: pip install "umapcore[cuda12]".'
    )
    raise KernelCompilationError(msg, log="", options=(), architecture=architecture)


def whole_cubin(cubin: bytes) -> bytes:
    """Restore the zeros at the end of a cubin that CuPy has removed.

    ``getCUBIN`` drops the last byte, as if it ended a string. A cubin is an ELF file. Its program
    headers come last and end with zeros: without these they would reach past the end of the file.

    Raises
    ------
    ValueError
        When it is no 64-bit ELF file.
    """
    if cubin[:5] != b"\x7fELF\x02" or len(cubin) < _ELF_HEADER.size:
        msg = f"a cubin begins with {cubin[:5]!r}: it is no 64-bit ELF file."
        raise ValueError(msg)
    _, programs, sections, program_size, n_programs, section_size, n_sections = _ELF_HEADER.unpack(
        cubin[: _ELF_HEADER.size]
    )
    end = max(programs + program_size * n_programs, sections + section_size * n_sections)
    return cubin.ljust(end, b"\0")


def nvrtc_version() -> tuple[int, int]:
    """Return the version of the NVRTC in use, (13, 0) for that of CUDA 13.0."""
    major, minor = load_nvrtc().getVersion()
    return int(major), int(minor)


def known_architectures() -> tuple[int, ...]:
    """Return the architectures that the NVRTC in use can compile for."""
    return tuple(int(number) for number in load_nvrtc().getSupportedArchs())


def load_nvrtc() -> Any:
    """Load ``cupy.cuda.nvrtc`` and the library behind it.

    Raises
    ------
    Exception
        Whatever CuPy raises when it cannot be imported, or finds no NVRTC.
    """
    cupy = import_cupy()
    # CuPy 13 does not search NVIDIA's wheels. CuPy 14 uses the newest installed major version,
    # which an older driver may not run. Both use the library that is already loaded.
    _preload(int(cupy.cuda.runtime.runtimeGetVersion()) // 1000)
    nvrtc = cupy.cuda.nvrtc
    nvrtc.getVersion()
    return nvrtc


def import_cupy() -> Any:
    """Import CuPy; its warnings go to the log and never become errors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cupy = import_module("cupy")
    for warning in caught:
        logger.debug("on import of CuPy: %s", " ".join(str(warning.message).split()))
    return cupy


_preloaded: dict[int, list[ctypes.CDLL]] = {}


def _preload(major: int) -> None:
    if major in _preloaded:
        return
    _preloaded[major] = []
    try:
        wheel = files_of(NVRTC_WHEELS[major]) or []
    except (KeyError, PackageNotFoundError):
        return  # NVRTC is from conda or a toolkit, or is not installed
    # The built-ins are loaded too: NVRTC 13.0 searches for them in the system's folders only. The
    # same folder has alternatives that must not match: libnvrtc.alt.so.13, nvrtc64_130_0.alt.dll.
    library = re.compile(
        r"nvrtc64_\d+_\d+\.dll|nvrtc-builtins64_\d+\.dll"
        if os.name == "nt"
        else r"libnvrtc(-builtins)?\.so[.\d]+"
    )
    for file in wheel:
        if library.fullmatch(file.name):
            path = str(file.locate())
            try:
                _preloaded[major].append(ctypes.CDLL(path))
            except OSError as error:
                logger.debug("could not load %s: %s", path, error)


def _options(
    defines: Mapping[str, int | str], architecture: int, *, ptx: bool = False
) -> tuple[str, ...]:
    code = target(architecture, known_architectures(), ptx=ptx)
    if not ptx and code.startswith("compute_"):
        logger.info("PTX for %s is given to the driver: NVRTC does not know the device", code)
    # Sorted, so that the cache's key does not depend on the order of the mapping.
    macros = [f"-D{name}={value}" for name, value in sorted(defines.items())]
    return (f"--gpu-architecture={code}", *OPTIONS, *macros)


def _sources(folder: Path, files: Sequence[str]) -> dict[str, bytes]:
    """Read every source in a folder: only compilation shows which ones a program includes."""
    found = {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.suffix in {".cu", ".cuh"}
    }
    if missing := [name for name in files if name not in found]:
        msg = f"no kernel source {', '.join(missing)}; there are: {', '.join(found)}."
        raise ValueError(msg)
    return found


def _compile(files: Sequence[str], sources: Mapping[str, bytes], options: Sequence[str]) -> bytes:
    nvrtc = load_nvrtc()
    main = "".join(f'#include "{name}"\n' for name in files)
    # CuPy keeps no reference to these while NVRTC reads them.
    names = [name.encode() for name in sources]
    texts = list(sources.values())
    program = nvrtc.createProgram(main, _MAIN, texts, names)
    try:
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError as error:
            raise _failure(files, options, str(error), nvrtc.getProgramLog(program)) from None
        if log := nvrtc.getProgramLog(program).strip():
            logger.debug("NVRTC on %s: %s", ", ".join(files), log)
        if "compute_" in options[0]:
            return bytes(nvrtc.getPTX(program))
        return whole_cubin(bytes(nvrtc.getCUBIN(program)))
    finally:
        nvrtc.destroyProgram(program)


def _failure(
    files: Sequence[str], options: Sequence[str], status: str, log: str
) -> KernelCompilationError:
    code = options[0].partition("=")[2]
    version = ".".join(map(str, nvrtc_version()))
    msg = (
        f"{', '.join(files)} cannot be compiled for {code} by NVRTC {version} ({status}):\n"
        f"{log.strip()}\noptions: {' '.join(options)}"
    )
    architecture = int(code.partition("_")[2])
    return KernelCompilationError(msg, log=log, options=options, architecture=architecture)
