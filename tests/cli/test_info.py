"""``umapcore info``: true, complete, and never an exception."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import umapcore
from umapcore import info
from umapcore._kit.threads import available_threads, thread_count
from umapcore_cupy.host import driver, kernel_cache, problem


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object]]:
    return info.collect()


def test_versions(found: dict[str, dict[str, object]]) -> None:
    assert found["umapcore"]["version"] == umapcore.__version__
    for package in ("numpy", "scipy", "numba", "anndata"):
        assert found["packages"][package] == version(package)


def test_threads(found: dict[str, dict[str, object]]) -> None:
    threads = found["threads"]
    assert threads["a run takes"] == thread_count(None)
    assert threads["because of"] == available_threads()[1]


def test_why_a_run_takes_so_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", "5")
    monkeypatch.setattr("umapcore._kit.threads.cpu_quota", lambda: 1.5)
    threads = info._threads()
    assert (threads["a run takes"], threads["because of"]) == (5, "NUMBA_NUM_THREADS")
    assert threads["cgroup quota"] == "1.5 processors"
    monkeypatch.setattr("umapcore.settings.n_threads", 3)
    threads = info._threads()
    assert (threads["a run takes"], threads["because of"]) == (3, "settings.n_threads")
    assert threads["available"] == 5


def test_gpu_says_why_not_and_what_to_do(found: dict[str, dict[str, object]]) -> None:
    gpu = found["gpu"]
    if gpu["usable"]:
        assert "reason" not in gpu
    else:
        assert gpu["reason"]
        assert gpu["advice"]


def test_gpu_items(found: dict[str, dict[str, object]]) -> None:
    gpu = found["gpu"]
    assert {"NVIDIA driver", "devices", "CuPy", "CuPy's CUDA", "NVRTC"} < set(gpu)
    assert {"kernel cache", "cached kernels", "fall back to the CPU"} < set(gpu)
    if gpu["CuPy"] is not None:
        assert str(gpu["CuPy"]).startswith("cupy")
        assert re.fullmatch(r"\d+\.\d+", str(gpu["CuPy's CUDA"]))


def test_devices_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [driver.Gpu("NVIDIA H200", 150_754_820_096, (9, 0)), driver.Gpu("T4", 2**34, (7, 5))]
    monkeypatch.setattr(driver, "driver_version", lambda: 13_020)
    monkeypatch.setattr(driver, "gpus", lambda: gpus)
    monkeypatch.setattr(problem, "diagnose", lambda: None)
    gpu = info._gpu()
    assert gpu["usable"] is True
    assert "reason" not in gpu
    assert gpu["NVIDIA driver"] == "for CUDA up to 13.2"
    assert gpu["devices"] == (
        "0: NVIDIA H200, 140.4 GiB, compute capability 9.0; 1: T4, 16.0 GiB, compute capability 7.5"
    )


def test_cached_kernels_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UMAPCORE_CACHE_DIR", str(tmp_path))
    assert info._gpu()["cached kernels"] == "0 in 0 bytes"
    kernel_cache.cached(kernel_cache.digest("info"), lambda: bytes(2000))
    kernel_cache._in_process.clear()
    gpu = info._gpu()
    assert gpu["kernel cache"] == str(tmp_path / "kernels")
    assert gpu["cached kernels"] == "1 in 2,090 bytes"


def test_with_nothing_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No CuPy, no driver, no home folder: everything is said to be missing."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("UMAPCORE_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(driver, "_library", lambda: None)
    monkeypatch.setattr(problem, "CUPY_PACKAGES", ("no-such-cupy",))
    gpu = info._gpu()
    assert gpu["usable"] is False
    assert "no NVIDIA driver was found, and CuPy is not installed" in gpu["reason"]
    assert 'pip install "umapcore[cuda13]"' in gpu["advice"]
    for item in ("NVIDIA driver", "devices", "CuPy", "CuPy's CUDA", "NVRTC", "kernel cache"):
        assert gpu[item] is None
    assert gpu["cached kernels"] == "0 in 0 bytes"


def test_a_broken_cupy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "driver_version", lambda: 13_000)
    monkeypatch.setattr(problem, "cupy_package", lambda: "numpy")  # any that is installed
    monkeypatch.setitem(sys.modules, "cupy", ModuleType("cupy"))
    gpu = info._gpu()
    assert "AttributeError" in gpu["reason"]
    assert gpu["CuPy"] == f"numpy {version('numpy')}"
    assert gpu["CuPy's CUDA"] is None


def test_lines_name_every_item(found: dict[str, dict[str, object]]) -> None:
    text = "\n".join(info.lines(found))
    for section, items in found.items():
        assert section in text
        for item in items:
            assert item in text
    assert "None" not in text
    assert "True" not in text


def test_json(found: dict[str, dict[str, object]]) -> None:
    assert json.loads(json.dumps(found)) == found
