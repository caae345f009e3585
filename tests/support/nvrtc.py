"""The mark of tests that compile CUDA sources; neither driver nor GPU is needed for that."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host.problem import cupy_package


def _why_no_nvrtc() -> str | None:
    try:
        compilation.nvrtc_version()
    except Exception as error:
        if cupy_package() and any(map(_installed, compilation.NVRTC_WHEELS.values())):
            return None  # it is there and broken: the tests are to fail
        return f"{type(error).__name__}: {error}"
    return None


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


NO_NVRTC = _why_no_nvrtc()
needs_nvrtc = pytest.mark.skipif(
    NO_NVRTC is not None, reason=f"needs CuPy and NVRTC (pip install umapcore[test]): {NO_NVRTC}"
)
