"""``umapcore info``: true, complete, and never an exception."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import umapcore
from umapcore import info


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object]]:
    return info.collect()


def test_versions(found: dict[str, dict[str, object]]) -> None:
    assert found["umapcore"]["version"] == umapcore.__version__
    for package in ("numpy", "scipy", "numba", "anndata"):
        assert found["packages"][package] == version(package)


def test_threads(found: dict[str, dict[str, object]]) -> None:
    import numba

    threads = found["threads"]
    assert threads["threading layer"] == numba.threading_layer()
    run, pool = threads["a run takes"], threads["numba has"]
    assert isinstance(run, int)
    assert isinstance(pool, int)
    assert 1 <= run <= pool
    assert (threads["threading layer"] == "tbb") == ("advice" not in threads)


def test_gpu_says_why_not_and_what_to_do(found: dict[str, dict[str, object]]) -> None:
    gpu = found["gpu"]
    if gpu["usable"]:
        assert "reason" not in gpu
    else:
        assert gpu["reason"]
        assert gpu["advice"]


@pytest.mark.parametrize(
    ("problem", "driver", "devices", "cupy", "advice"),
    [
        (
            "this version of umapcore has no GPU backend.",
            13000,
            ["H200"],
            None,
            "nothing to install",
        ),
        ("CuPy is not installed.", None, [], None, "no NVIDIA GPU"),
        ("CuPy is not installed.", 13000, [], None, "no NVIDIA GPU"),
        ("CuPy is not installed.", 12080, ["A100"], None, 'pip install "umapcore[cuda12]"'),
        ("CuPy is not installed.", 13010, ["H200"], None, 'pip install "umapcore[cuda13]"'),
        ("too little memory.", 13010, ["H200"], "cupy-cuda13x 13.6", "run on the CPU"),
    ],
)
def test_gpu_advice(
    problem: str, driver: int | None, devices: list[str], cupy: str | None, advice: str
) -> None:
    assert advice in info._gpu_advice(problem, driver, devices, cupy)


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


def test_a_broken_threading_layer_is_reported() -> None:
    code = "from umapcore import info; print(info.collect()['threads']['threading layer'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"NUMBA_THREADING_LAYER": "bogus", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "bogus" in done.stdout
