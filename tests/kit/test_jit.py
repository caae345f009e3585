"""The cache of compiled kernels is never trusted further than it should be."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HELPER = """
from umapcore._kit.jit import inline

@inline
def helper(x):
    return x + {constant}
"""
KERNELS = """
from umapcore._kit.jit import kernel
from umapcore_helper import helper

@kernel()
def use(x):
    return helper(x)
"""
RUN = """
import sys
sys.path[:0] = {path!r}
import umapcore_kernels
print(umapcore_kernels.use(1), sum(umapcore_kernels.use.stats.cache_hits.values()))
"""


def run(folder: Path) -> list[str]:
    path = [str(folder), *(p for p in sys.path if p)]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(path=path)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "umapcore_helper.py").write_text(HELPER.format(constant=10))
    (tmp_path / "umapcore_kernels.py").write_text(KERNELS)
    return tmp_path


def test_kernels_are_cached(folder: Path) -> None:
    assert run(folder) == ["11", "0"]
    assert run(folder) == ["11", "1"]


def test_a_changed_helper_is_noticed(folder: Path) -> None:
    """numba's own cache looks at the kernel's file alone and would go on adding 10."""
    assert run(folder) == ["11", "0"]
    (folder / "umapcore_helper.py").write_text(HELPER.format(constant=20))
    assert run(folder) == ["21", "0"]


@pytest.mark.parametrize("ending", [".nbc", ".nbi"])
def test_damaged_files_are_compiled_anew(folder: Path, ending: str) -> None:
    assert run(folder) == ["11", "0"]
    (file,) = (folder / "cache").rglob(f"*{ending}")
    file.write_bytes(file.read_bytes()[:40] + b"damaged")
    assert run(folder) == ["11", "0"]


def test_without_a_cache_it_still_runs(folder: Path) -> None:
    (folder / "cache").write_text("a file where the folder should be")
    assert run(folder)[0] == "11"


def test_serial_and_parallel_kernels_have_entries_of_their_own() -> None:
    from umapcore_numba.layout.epochs import run_parallel, run_serial

    bases = {k._cache._impl.filename_base for k in (run_serial, run_parallel)}
    assert len(bases) == 2
