"""Why no GPU can be used, on machines of every kind."""

from __future__ import annotations

import sys
import textwrap
import warnings
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.nvrtc import needs_nvrtc
from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host import driver
from umapcore_cupy.host import problem as problems
from umapcore_cupy.host.problem import problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_cupy = pytest.mark.skipif(
    find_spec("cupy") is None, reason="CuPy is not installed: pip install umapcore[test]"
)


def fake_cupy(
    *,
    cuda: int = 13_020,
    devices: int | Exception = 1,
    capability: str = "90",
    nvrtc: tuple[int, int] | Exception = (13, 5),
    known: tuple[int, ...] = (75, 80, 90, 120),
    is_hip: bool = False,
) -> Any:
    """What is asked of CuPy, and nothing else: touching another device is an AttributeError."""

    def give(value: Any) -> Callable[[], Any]:
        def function() -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return function

    cupy: Any = ModuleType("cupy")
    cupy.cuda = SimpleNamespace(
        runtime=SimpleNamespace(
            is_hip=is_hip, runtimeGetVersion=give(cuda), getDeviceCount=give(devices)
        ),
        nvrtc=SimpleNamespace(getVersion=give(nvrtc), getSupportedArchs=give(known)),
        Device=give(SimpleNamespace(compute_capability=capability)),
    )
    return cupy


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str | None]:
    """Describe a machine and ask for its problem."""

    def ask(
        newest: int | None, cupy: Any = None, *, package: str | None = "cupy-cuda13x"
    ) -> str | None:
        monkeypatch.setattr(driver, "driver_version", lambda: newest)
        monkeypatch.setattr(problems, "cupy_package", lambda: package)
        monkeypatch.setattr(compilation, "_preload", lambda major: None)
        monkeypatch.setitem(sys.modules, "cupy", cupy)  # None: its import fails
        return problem()

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return ask


CASES = {
    "nothing at all": (
        None,
        None,
        "no NVIDIA driver was found, and CuPy is not installed (where there is an NVIDIA GPU, "
        'install NVIDIA\'s driver for it, then pip install "umapcore[cuda13]").',
    ),
    "CuPy without a driver": (
        None,
        fake_cupy(),
        "no NVIDIA driver was found (where there is an NVIDIA GPU, install NVIDIA's driver for "
        "it).",
    ),
    "an old driver": (
        11_080,
        fake_cupy(),
        "the NVIDIA driver runs CUDA up to 11.8, and 12.0 is needed (update the driver).",
    ),
    "a driver for CUDA 12, no CuPy": (
        12_040,
        None,
        'CuPy is not installed (pip install "umapcore[cuda12]").',
    ),
    "a driver for CUDA 13, no CuPy": (
        13_000,
        None,
        'CuPy is not installed (pip install "umapcore[cuda13]").',
    ),
    "a driver for CUDA 14, no CuPy": (
        14_010,
        None,
        'CuPy is not installed (pip install "umapcore[cuda13]").',
    ),
    "CuPy for AMD": (
        13_000,
        fake_cupy(is_hip=True),
        "this CuPy is for AMD's GPUs, and the kernels are for NVIDIA's (uninstall it, then "
        'pip install "umapcore[cuda13]").',
    ),
    "a driver too old for CuPy": (
        12_080,
        fake_cupy(),
        "the NVIDIA driver runs CUDA up to 12.8, and the installed CuPy needs 13.0 (update the "
        'driver; or pip uninstall cupy-cuda13x, then pip install "umapcore[cuda12]").',
    ),
    "no device": (
        13_000,
        fake_cupy(devices=RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")),
        "the NVIDIA driver offers no GPU: RuntimeError: cudaErrorNoDevice: no CUDA-capable "
        "device is detected (nvidia-smi shows what the driver sees).",
    ),
    "devices counted as none": (
        13_000,
        fake_cupy(devices=0),
        "the NVIDIA driver offers no GPU (nvidia-smi shows what the driver sees).",
    ),
    "a device older than any kernel": (
        12_080,
        fake_cupy(cuda=12_090, capability="61", nvrtc=(12, 9), known=(50, 61, 90)),
        "the GPU has compute capability 6.1, and 7.0 is the oldest that umapcore has kernels for "
        "(another GPU is needed).",
    ),
    "a device too old for CUDA 13": (
        13_000,
        fake_cupy(capability="70"),
        "the GPU has compute capability 7.0, and CUDA 13 needs 7.5 (pip uninstall cupy-cuda13x, "
        'then pip install "umapcore[cuda12]").',
    ),
    "no NVRTC for CUDA 13": (
        13_000,
        fake_cupy(nvrtc=RuntimeError('\nFailure finding "libnvrtc.so.13"\nmore')),
        "NVRTC, the compiler of CUDA 13, cannot be loaded: RuntimeError: Failure finding "
        '"libnvrtc.so.13" (pip install --force-reinstall "nvidia-cuda-nvrtc==13.*").',
    ),
    "no NVRTC for CUDA 12": (
        13_000,
        fake_cupy(cuda=12_090, nvrtc=RuntimeError("not there")),
        "NVRTC, the compiler of CUDA 12, cannot be loaded: RuntimeError: not there (pip install "
        '--force-reinstall "nvidia-cuda-nvrtc-cu12==12.*").',
    ),
    "NVRTC newer than the driver": (
        12_080,
        fake_cupy(cuda=12_090, nvrtc=(13, 5)),
        "CuPy found the compiler of CUDA 13, and the NVIDIA driver runs CUDA up to 12.8 (update "
        'the driver; or pip install "nvidia-cuda-nvrtc-cu12==12.*").',
    ),
    "a CuPy that is not what it was": (
        13_000,
        ModuleType("cupy"),
        "looking for a GPU failed with AttributeError: module 'cupy' has no attribute 'cuda' "
        "(umapcore info shows what was found).",
    ),
}


class TestProblem:
    @pytest.mark.parametrize("case", CASES)
    def test_says_what_is_wrong_and_what_helps(
        self, case: str, machine: Callable[..., str | None]
    ) -> None:
        newest, cupy, expected = CASES[case]
        assert machine(newest, cupy) == expected

    @pytest.mark.parametrize(
        "cupy",
        [
            fake_cupy(),
            fake_cupy(cuda=12_090, nvrtc=(12, 4), capability="70", known=(50, 70, 90)),
            fake_cupy(capability="75"),
            fake_cupy(capability="120"),
            fake_cupy(capability="130"),  # newer than NVRTC knows: it gets PTX
        ],
    )
    def test_none(self, cupy: Any, machine: Callable[..., str | None]) -> None:
        assert machine(13_000, cupy) is None

    def test_hidden_devices(
        self, machine: Callable[..., str | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        said = machine(13_000, fake_cupy(devices=0))
        assert said is not None
        assert "CUDA_VISIBLE_DEVICES='' is set" in said

    def test_long_errors_are_cut(self, machine: Callable[..., str | None]) -> None:
        said = machine(13_000, fake_cupy(nvrtc=RuntimeError("x" * 5000)))
        assert said is not None
        assert len(said) < 400

    def test_an_error_without_words(self, machine: Callable[..., str | None]) -> None:
        said = machine(13_000, fake_cupy(nvrtc=RuntimeError()))
        assert said is not None
        assert "cannot be loaded: RuntimeError (pip" in said


class TestImportOfCupy:
    """With a package ``cupy`` that is made for the test."""

    @pytest.fixture
    def package(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str], str | None]:
        def ask(source: str) -> str | None:
            (tmp_path / "cupy" / "__init__.py").write_text(textwrap.dedent(source))
            return problem()

        (tmp_path / "cupy").mkdir()
        monkeypatch.syspath_prepend(tmp_path)
        # First set, so that whatever the test leaves there is taken away again.
        monkeypatch.setitem(sys.modules, "cupy", None)
        monkeypatch.delitem(sys.modules, "cupy")
        monkeypatch.setattr(driver, "driver_version", lambda: 13_000)
        monkeypatch.setattr(problems, "cupy_package", lambda: "cupy-cuda12x")
        monkeypatch.setattr(compilation, "_preload", lambda major: None)
        return ask

    def test_a_broken_one_says_why(self, package: Callable[[str], str | None]) -> None:
        said = package(
            """
            try:
                raise ImportError("libcuda.so.1: cannot open shared object file")
            except ImportError as error:
                raise ImportError(f'''
            ================
            Failed to import CuPy.
            ================''') from error
            """
        )
        assert said == (
            "CuPy cannot be imported: ImportError: libcuda.so.1: cannot open shared object file "
            '(pip uninstall cupy-cuda12x, then pip install "umapcore[cuda13]").'
        )

    def test_its_warnings_stay_inside(self, package: Callable[[str], str | None]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            said = package(
                """
                import warnings
                from types import SimpleNamespace as N
                warnings.warn("multiple CuPy packages are installed")
                cuda = N(runtime=N(runtimeGetVersion=lambda: 13000, getDeviceCount=lambda: 0))
                """
            )
        assert said is not None
        assert "offers no GPU" in said

    def test_a_folder_of_leftovers_is_no_cupy(
        self, package: Callable[[str], str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        assert problem() == 'CuPy is not installed (pip install "umapcore[cuda13]").'


@needs_cupy
class TestRealCupyWithoutAGpu:
    """A driver is only pretended, so the real CuPy is asked and finds nothing to use."""

    @pytest.fixture(autouse=True)
    def _no_gpu(self) -> None:
        if driver.driver_version() is not None:
            pytest.skip("there is a driver")

    def test_no_device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(driver, "driver_version", lambda: 99_000)
        said = problem()
        assert said is not None
        assert said.startswith("the NVIDIA driver offers no GPU: CUDARuntimeError: cudaError")

    def test_driver_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import cupy

        built_for = cupy.cuda.runtime.runtimeGetVersion() // 1000
        if built_for <= problems.OLDEST_CUDA:
            pytest.skip("this CuPy runs with any driver that is new enough")
        monkeypatch.setattr(driver, "driver_version", lambda: 12_020)
        said = problem()
        assert said is not None
        assert f"up to 12.2, and the installed CuPy needs {built_for}.0" in said

    @needs_nvrtc
    def test_nvrtc_is_found(self) -> None:
        assert compilation.nvrtc_version() >= (12, 0)
        assert 90 in compilation.known_architectures()
