"""Fixtures and options that all tests share."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cuda_host
import graphs
import numpy as np
import pytest

from umapcore.dispatch import gpu_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scipy.sparse import csr_array

    from umapcore.backend import Backend

GRAPHS = {
    "clusters": lambda: graphs.clusters(220),
    "surface": lambda: graphs.surface(260),
    "hub": lambda: graphs.hub(1300),
}


@cache
def _graph(name: str) -> csr_array:
    return GRAPHS[name]()


@pytest.fixture(params=sorted(GRAPHS))
def graph(request: pytest.FixtureRequest) -> csr_array:
    """One of three small graphs: several components; one sheet; one with hubs."""
    return _graph(request.param)


@pytest.fixture(params=[2, 3, 10], ids=lambda d: f"{d}-D")
def n_components(request: pytest.FixtureRequest) -> int:
    return int(request.param)


ON_HOST = pytest.param("CUDA source on the host", marks=pytest.mark.skipif(
    cuda_host.MISSING is not None, reason=str(cuda_host.MISSING)
))  # fmt: skip
ON_GPU = pytest.param("CUDA", marks=pytest.mark.gpu)


def open_gpu_backend(name: str) -> Backend:
    """Give a backend of umapcore_cupy, on a real device or on the stand-in for one."""
    from umapcore_cupy.backend import CupyBackend

    return CupyBackend() if name == "CUDA" else CupyBackend(cuda_host.HostDevice)


@pytest.fixture(params=["numba", ON_HOST, ON_GPU])
def open_backend(request: pytest.FixtureRequest) -> Callable[[], Backend]:
    """Function that gives a backend for one run: of the CPU, or of the GPU in two forms."""
    from umapcore_numba.backend import NumbaBackend

    name = request.param
    return NumbaBackend if name == "numba" else lambda: open_gpu_backend(name)


@pytest.fixture(params=[ON_HOST, ON_GPU])
def gpu_backend(request: pytest.FixtureRequest) -> Any:
    """A backend of umapcore_cupy, closed after the test."""
    backend: Any = open_gpu_backend(request.param)
    yield backend
    backend.close()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked gpu, saying why, where no GPU can be used."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and (problem := gpu_problem()) is not None:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"no GPU: {problem}"))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out tests of AnnData where it is not installed, as on a machine for GPU tests alone."""
    if collection_path.suffix != ".py" or find_spec("anndata") is not None:
        return None
    text = collection_path.read_text(encoding="utf-8")
    return True if re.search(r"^(import|from) anndata", text, re.MULTILINE) else None


def pytest_report_header() -> str | None:
    """Say so."""
    return None if find_spec("anndata") else "without anndata: tests that need it are left out"
