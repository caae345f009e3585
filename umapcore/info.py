"""What ``umapcore info`` reports: versions, processor, threads, GPU, and what is missing."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore.version import __version__

if TYPE_CHECKING:
    from umapcore_cupy.host.driver import Gpu

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "anndata", "h5py", "tqdm", "matplotlib")


def collect() -> dict[str, dict[str, Any]]:
    """Collect facts about this machine and this environment.

    Returns
    -------
    Sections, each a mapping from an item to a string, a number, a bool or None. The result can
    be written as JSON.
    """
    return {
        "umapcore": {
            "version": __version__,
            "folder": str(Path(__file__).parent),
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
    """Format the result of :func:`collect` as readable text, one item per line."""
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
    from umapcore._kit.threads import usable_processors

    return {
        "name": cpu_name(),
        "architecture": platform.machine(),
        "kernels": _kernels(),
        "cores": os.cpu_count(),
        "usable here": usable_processors(),
    }


def _kernels() -> str:
    """Tell where the kernels of the CPU come from."""
    from umapcore._kit.precompiled.library import shipped

    library = shipped()
    if library is not None:
        return f"part of the installation, for {library.level}"
    from llvmlite import binding

    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    return f"compiled at first use, for {name}"


def cpu_name() -> str | None:
    """Return the model of the processor, or None if the system does not report it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def _threads() -> dict[str, Any]:
    from umapcore._kit.threads import VARIABLE, available_threads, cpu_quota, thread_count
    from umapcore.settings import settings

    available, reason = available_threads()
    taken, quota = thread_count(None), cpu_quota()
    if settings.n_threads is not None and taken == settings.n_threads:
        reason = "settings.n_threads"
    return {
        "a run takes": taken,
        "because of": reason,
        "available": available,
        "cgroup quota": "none" if quota is None else f"{quota:g} processors",
        "UMAPCORE_NUM_THREADS": os.environ.get("UMAPCORE_NUM_THREADS", "not set"),
        VARIABLE: os.environ.get(VARIABLE, "not set"),
    }


def _gpu() -> dict[str, Any]:
    from umapcore.settings import settings
    from umapcore_cupy.host import driver, kernel_cache
    from umapcore_cupy.host.problem import cupy_package, diagnose

    problem = diagnose()
    newest = driver.driver_version()
    devices = [_device(number, gpu) for number, gpu in enumerate(driver.gpus())]
    package = cupy_package()
    found: dict[str, Any] = {"usable": problem is None}
    if problem is not None:
        found |= {"reason": problem.reason, "advice": problem.advice}
    entries, size = kernel_cache.contents()
    folder = kernel_cache.folder()
    return found | {
        "NVIDIA driver": newest and f"for CUDA up to {driver.version_text(newest)}",
        "devices": "; ".join(devices) or None,
        "CuPy": package and f"{package} {_version(package)}",
        **_cuda_of_cupy(installed=package is not None),
        "kernel cache": None if folder is None else str(folder),
        "cached kernels": f"{entries} in {size:,} bytes",
        "fall back to the CPU": settings.gpu_fallback,
    }


def _device(number: int, gpu: Gpu) -> str:
    major, minor = gpu.capability
    return f"{number}: {gpu.name}, {gpu.memory / 2**30:.1f} GiB, compute capability {major}.{minor}"


def _cuda_of_cupy(*, installed: bool) -> dict[str, str | None]:
    """Return CuPy's CUDA version and the NVRTC that it finds; neither needs a driver."""
    from umapcore_cupy.host import compile as compilation
    from umapcore_cupy.host import driver

    found: dict[str, str | None] = {"CuPy's CUDA": None, "NVRTC": None}
    if installed:
        # A broken installation may raise anything; the other facts must still be shown.
        with suppress(Exception):
            runtime = compilation.import_cupy().cuda.runtime
            found["CuPy's CUDA"] = driver.version_text(runtime.runtimeGetVersion())
            found["NVRTC"] = ".".join(map(str, compilation.nvrtc_version()))
    return found
