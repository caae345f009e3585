"""Fixtures and options that all tests share."""

from __future__ import annotations

import logging
import os
import signal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import cuda_host, graphs
from umapcore.device.select import gpu_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from scipy.sparse import csr_array

    from umapcore.device.protocol import Backend

#: Tests of the GPU need none of these, and a file that needs one of them is skipped without it.
MAY_BE_ABSENT = ("anndata", "dask", "h5py", "matplotlib", "pandas", "tqdm", "zarr")

# Processes that tests start find the packages too, where they are not installed.
_ROOT = Path(__file__).resolve().parents[1]
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(_ROOT), str(_ROOT / "backends"), *filter(None, [os.environ.get("PYTHONPATH")])]
)

# Under nohup, and behind the & of a script, interrupts are ignored, by children as well.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Whether a kernel is compiled depends on what ran before.
logging.getLogger("umapcore.compiling").setLevel(logging.ERROR)

# Likewise the libraries of the stand-in for a GPU: pytest's workers build each one once.
cuda_host.folder_of_libraries()

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


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip files that need what is not installed, as on a machine for GPU tests alone."""
    report = yield
    if report.outcome == "failed" and (absent := _absent(report)) is not None:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: {absent} is not installed")
    return report


def _absent(report: pytest.CollectReport) -> str | None:
    """Name of a missing package that a file, or what it imports, could not be imported without."""
    call: Any = getattr(report, "call", None)
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name in MAY_BE_ABSENT:
            return error.name
        error = error.__cause__ or error.__context__
    return None
