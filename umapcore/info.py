"""What ``umapcore info`` says: versions, processor, threads, GPU, and what is missing."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "anndata", "h5py", "tqdm", "tbb", "matplotlib")
CUPY_PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "cupy")


def collect() -> dict[str, dict[str, Any]]:
    """Look at this machine and this environment.

    Returns
    -------
    Sections, each a mapping from an item to a string, a number, a truth value or None; it can be
    written as JSON.
    """
    import umapcore

    return {
        "umapcore": {
            "version": umapcore.__version__,
            "folder": str(Path(umapcore.__file__).parent),
        },
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
            "platform": platform.platform(),
        },
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu": _cpu(),
        "threads": _threads(),
        "gpu": _gpu(),
    }


def lines(found: dict[str, dict[str, Any]]) -> list[str]:
    """Write what :func:`collect` found for people, one item a line."""
    text = []
    for section, items in found.items():
        text.append(section)
        width = max(len(item) for item in items)
        text += [f"  {item:<{width}}  {_said(value)}" for item, value in items.items()]
    return text


def _said(value: object) -> str:
    if value is None:
        return "not found"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> dict[str, Any]:
    from llvmlite import binding

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "name": _cpu_name(),
        "architecture": platform.machine(),
        "compiled for": str(os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()),
        "cores": os.cpu_count(),
        "usable here": usable,
    }


def _cpu_name() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def _threads() -> dict[str, Any]:
    from umapcore.settings import settings
    from umapcore.threads import load_tbb, thread_count

    numba: Any = import_module("numba")
    tbb = load_tbb()
    try:
        # Asking for the number starts numba's threads, and only then is its layer known.
        numba.get_num_threads()
        layer = str(numba.threading_layer())
    except Exception as error:  # a broken layer is what somebody may be looking for here
        layer = f"none ({error})"
    found: dict[str, Any] = {
        "a run takes": thread_count(None),
        "numba has": int(numba.config.NUMBA_NUM_THREADS),
        "UMAPCORE_NUM_THREADS": settings.n_threads if settings.n_threads else "not set",
        "threading layer": layer,
        "TBB": tbb if tbb is not None or layer != "tbb" else "found by numba itself",
    }
    if layer != "tbb":
        found["advice"] = (
            'for the fastest start of parallel work: pip install "tbb>=2021.6"'
            if _version("tbb") is None
            else "TBB is installed but not used: is NUMBA_THREADING_LAYER set?"
        )
    return found


def _gpu() -> dict[str, Any]:
    from umapcore.dispatch import gpu_problem
    from umapcore.settings import settings

    problem = gpu_problem()
    driver, devices = nvidia_driver()
    cupy = next((f"{name} {_version(name)}" for name in CUPY_PACKAGES if _version(name)), None)
    found: dict[str, Any] = {
        "usable": problem is None,
        "NVIDIA driver": None if driver is None else f"for CUDA up to {_cuda(driver)}",
        "devices": ", ".join(devices) if devices else None,
        "CuPy": cupy,
        "fall back to the CPU": settings.gpu_fallback,
    }
    if problem is not None:
        found["reason"] = problem
        found["advice"] = _gpu_advice(problem, driver, devices, cupy)
    return found


def _gpu_advice(problem: str, driver: int | None, devices: list[str], cupy: str | None) -> str:
    on_cpu = "method='rapids' and 'auto' run on the CPU, with the same bits"
    if "no GPU backend" in problem:
        return f"nothing to install: {on_cpu}"
    if driver is None or not devices:
        return f"no NVIDIA GPU with a driver was found, so {on_cpu}"
    if cupy is None:
        extra = "cuda13" if driver >= 13_000 else "cuda12"
        return f'pip install "umapcore[{extra}]"'
    return on_cpu


def nvidia_driver() -> tuple[int | None, list[str]]:
    """Ask the NVIDIA driver, without CuPy or any other package.

    Returns
    -------
    The newest CUDA version it runs (13000 for 13.0; None without a driver), and the devices'
    names.
    """
    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        cuda = ctypes.CDLL(name)
    except OSError:
        return None, []
    number = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return None, []
    newest = number.value
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(number)) != 0:
        return newest, []
    devices = []
    for i in range(number.value):
        device, text = ctypes.c_int(), ctypes.create_string_buffer(256)
        if (
            cuda.cuDeviceGet(ctypes.byref(device), i) == 0
            and cuda.cuDeviceGetName(text, len(text), device) == 0
        ):
            devices.append(text.value.decode(errors="replace"))
    return newest, devices


def _cuda(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
