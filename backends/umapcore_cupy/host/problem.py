"""Why no GPU can be used, and what would help."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host import driver

#: CUDA's major versions that umapcore runs on; each has an extra, such as ``cuda12``.
OLDEST_CUDA, NEWEST_CUDA = 12, 13

#: Lowest compute capability that the kernels are made for (Volta), times ten.
OLDEST_DEVICE = 70

CUPY_PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "cupy")


@dataclass(frozen=True)
class Problem:
    """A reason why the GPU cannot be used.

    Attributes
    ----------
    reason
        What is wrong.
    advice
        What to do about it.
    """

    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.advice})."


def problem() -> str | None:
    """Return a sentence that says why no GPU can be used; None if the current device works.

    It raises nothing, and without a driver or CuPy it takes almost no time. No context is made on
    any device.
    """
    found = diagnose()
    return None if found is None else str(found)


def diagnose() -> Problem | None:
    """Find out why the GPU cannot be used, with the most basic checks first."""
    try:
        newest = driver.driver_version()
        return _of_driver(newest) or _of_cupy(newest or 0) or _of_device() or _of_nvrtc(newest or 0)
    except Exception as error:  # the CPU can do the work, whatever is wrong with the GPU
        return Problem(
            f"looking for a GPU failed with {_said(error)}",
            "umapcore info shows what was found",
        )


def cupy_package() -> str | None:
    """Return the name of the package that installed CuPy; None if it is unknown."""
    for name in CUPY_PACKAGES:
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return name
    return None


def _of_driver(newest: int | None) -> Problem | None:
    if newest is None:
        advice = "where there is an NVIDIA GPU, install NVIDIA's driver for it"
        if _has_cupy():
            return Problem("no NVIDIA driver was found", advice)
        return Problem(
            "no NVIDIA driver was found, and CuPy is not installed",
            f"{advice}, then pip install {_extra(1000 * NEWEST_CUDA)}",
        )
    if newest // 1000 < OLDEST_CUDA:
        return Problem(
            f"the NVIDIA driver runs CUDA up to {driver.version_text(newest)}, "
            f"and {OLDEST_CUDA}.0 is needed",
            "update the driver",
        )
    return None


def _of_cupy(newest: int) -> Problem | None:
    extra = _extra(newest)
    if not _has_cupy():
        return Problem("CuPy is not installed", f"pip install {extra}")
    try:
        cupy = compilation.import_cupy()
    except Exception as error:
        package = cupy_package() or "cupy"
        return Problem(
            f"CuPy cannot be imported: {_said(error)}",
            f"pip uninstall {package}, then pip install {extra}",
        )
    runtime = cupy.cuda.runtime
    if getattr(runtime, "is_hip", False):
        return Problem(
            "this CuPy is for AMD's GPUs, and the kernels are for NVIDIA's",
            f"uninstall it, then pip install {extra}",
        )
    built_for = int(runtime.runtimeGetVersion())
    if built_for // 1000 > newest // 1000:
        package = cupy_package() or "cupy"
        return Problem(
            f"the NVIDIA driver runs CUDA up to {driver.version_text(newest)}, and the installed "
            f"CuPy needs {built_for // 1000}.0",
            f"update the driver; or pip uninstall {package}, then pip install {extra}",
        )
    return None


def _of_device() -> Problem | None:
    cupy = compilation.import_cupy()
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
        reason = "the NVIDIA driver offers no GPU"
    except Exception as error:  # cudaErrorNoDevice and similar errors
        count = 0
        reason = f"the NVIDIA driver offers no GPU: {_said(error)}"
    if count == 0:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        return Problem(
            reason,
            "nvidia-smi shows what the driver sees"
            if hidden is None
            else f"CUDA_VISIBLE_DEVICES={hidden!r} is set and may hide it",
        )
    # Only the current device would be used; the others are not touched.
    capability = _capability(cupy)
    if capability < OLDEST_DEVICE:
        return Problem(
            f"the GPU has compute capability {capability / 10}, "
            f"and {OLDEST_DEVICE / 10} is the oldest that umapcore has kernels for",
            "another GPU is needed",
        )
    return None


def _of_nvrtc(newest: int) -> Problem | None:
    cupy = compilation.import_cupy()
    major = int(cupy.cuda.runtime.runtimeGetVersion()) // 1000
    wheel = f'"{compilation.NVRTC_WHEELS.get(major, "nvidia-cuda-nvrtc")}=={major}.*"'
    try:
        of_cuda = compilation.nvrtc_version()[0]
        known = compilation.known_architectures()
    except Exception as error:
        return Problem(
            f"NVRTC, the compiler of CUDA {major}, cannot be loaded: {_said(error)}",
            f"pip install --force-reinstall {wheel}",
        )
    if of_cuda > newest // 1000:
        return Problem(
            f"CuPy found the compiler of CUDA {of_cuda}, and the NVIDIA driver runs CUDA up to "
            f"{driver.version_text(newest)}",
            f"update the driver; or pip install {wheel}",
        )
    capability = _capability(cupy)
    if capability < min(known):
        package = cupy_package() or "cupy"
        return Problem(
            f"the GPU has compute capability {capability / 10}, and CUDA {of_cuda} needs "
            f"{min(known) / 10}",
            f"pip uninstall {package}, then pip install {_extra(1000 * OLDEST_CUDA)}",
        )
    return None


def _capability(cupy: Any) -> int:
    """Return the current device's compute capability, times ten, without making a context."""
    return int(cupy.cuda.Device().compute_capability)


def _extra(newest: int) -> str:
    return f'"umapcore[cuda{min(newest // 1000, NEWEST_CUDA)}]"'


def _has_cupy() -> bool:
    if "cupy" in sys.modules:
        return sys.modules["cupy"] is not None
    spec = find_spec("cupy")
    # A folder of leftover files counts as a package, but has no file to load first.
    return spec is not None and spec.origin is not None


def _said(error: BaseException, limit: int = 120) -> str:
    """Return the type and first line of an error, or of its root cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    for line in str(error).splitlines():
        # CuPy's messages start with an empty line and a ruler.
        if any(character.isalnum() for character in line):
            text = " ".join(line.split())
            short = text if len(text) <= limit else text[: limit - 1] + "…"
            return f"{type(error).__name__}: {short}"
    return type(error).__name__
