"""The cache of compiled kernels is never trusted further than it should be."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from umapcore._kit.processor import levels_of_this_machine

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
import logging, sys
sys.path[:0] = {path!r}
{before}
import umapcore_kernels
print(umapcore_kernels.use({x}), sum(umapcore_kernels.use.dispatcher.stats.cache_hits.values()))
"""


def start(
    folder: Path, before: str = "", x: str = "1", **environment: str
) -> subprocess.CompletedProcess[str]:
    path = [str(folder), *(p for p in sys.path if p)]
    return subprocess.run(
        [sys.executable, "-c", RUN.format(path=path, before=before, x=x)],
        cwd=folder,
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            "UMAPCORE_KERNELS": "compile",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def run(folder: Path) -> list[str]:
    done = start(folder)
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


@pytest.mark.skipif("x86-64-v3" not in levels_of_this_machine(), reason="needs two levels")
def test_kernels_of_another_level_are_not_taken(folder: Path) -> None:
    """Sizes of arrays depend on the level, and both levels are compiled for the same processor."""
    text = HELPER.replace(
        "import inline", "import inline\nfrom umapcore._kit.processor import AVX2"
    )
    (folder / "umapcore_helper.py").write_text(text.format(constant="10 * (1 + AVX2)"))
    for level, found in (("x86-64-v2", "11"), ("x86-64-v3", "21"), ("x86-64-v2", "11")):
        assert start(folder, UMAPCORE_KERNELS=level).stdout.split()[0] == found


@pytest.mark.parametrize("kept", [0, 5, 0.5, -1])
def test_damaged_files_are_compiled_anew(folder: Path, kept: float) -> None:
    assert run(folder) == ["11", "0"]
    (file,) = (folder / "cache").rglob("*.nbc")
    whole = file.read_bytes()
    end = kept if isinstance(kept, int) else int(kept * len(whole))
    file.write_bytes(whole[:end] + b"!")
    assert run(folder) == ["11", "0"]
    assert run(folder) == ["11", "1"]


# Before its first file appears, each of two processes waits for the other one.
TOGETHER = """
import os, time
def replace(source, target, real=os.replace, met=[]):
    if not met and "umapcore_kernels" in str(target):
        met.append(open("at {own}", "w").close())
        while not os.path.exists("at {other}"):
            time.sleep(0.01)
    real(source, target)
os.replace = replace
"""


def test_processes_that_compile_at_the_same_time_keep_their_own_code(folder: Path) -> None:
    """With numba's index, the code for integers was called with reals, or one of both was lost."""
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(
            lambda own, other, x: start(folder, TOGETHER.format(own=own, other=other), x=x),
            "ab", "ba", ["1", "1.5"],
        ):  # fmt: skip
            assert done.returncode == 0, done.stderr
    assert start(folder, x="1").stdout.split() == ["11", "1"]
    assert start(folder, x="1.5").stdout.split() == ["11.5", "1"]
    kept = [path.name for path in (folder / "cache").rglob("*") if path.is_file()]
    assert len(kept) == 2


def test_without_a_cache_it_still_runs(folder: Path) -> None:
    (folder / "cache").write_text("a file where the folder should be")
    assert run(folder)[0] == "11"


NO_FOLDER = """
from numba.core import caching
caching.CompileResultCacheImpl._locator_classes = []
"""
FULL_DISK = """
from umapcore._kit.kernel_files import KernelFiles
def save(self, form, code):
    raise OSError("No space left on device")
KernelFiles.save = save
"""


@pytest.mark.parametrize("trouble", [NO_FOLDER, FULL_DISK])
def test_if_kernels_cannot_be_kept_the_user_is_told_what_helps(folder: Path, trouble: str) -> None:
    done = start(folder, trouble)
    assert done.stdout.split() == ["11", "0"], done.stderr
    assert "every process" in done.stderr
    assert "set NUMBA_CACHE_DIR" in done.stderr


def test_a_wait_is_announced_once(folder: Path) -> None:
    announced = (
        "compiling umapcore's kernels for layouts, about 15 s (once for this processor; "
        "`umapcore warm-up` does it ahead)\n"
    )
    assert start(folder).stderr == announced
    assert start(folder).stderr == ""


@pytest.mark.parametrize(
    ("chosen", "muted"), [("root", True), ("numba", False), ("numba.core.ssa", False)]
)
def test_numba_fills_no_log_unless_asked_to(folder: Path, chosen: str, muted: bool) -> None:
    program = f"""
logging.basicConfig(level=logging.WARNING)
logging.getLogger({chosen!r}).setLevel(logging.DEBUG)
levels = lambda: [logging.getLogger(name).level for name in ("numba", "numba.core.ssa")]
import atexit
atexit.register(lambda before: print(before == levels()), levels())
"""
    done = start(folder, program)
    assert done.stdout.split() == ["11", "0", "True"]
    assert ("DEBUG:numba" not in done.stderr) is muted


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_of_garbage_is_as_before(folder: Path, enabled: bool) -> None:
    program = "import atexit, gc; atexit.register(lambda: print(gc.isenabled()))"
    done = start(folder, program if enabled else f"{program}; gc.disable()")
    assert done.stdout.split() == ["11", "0", str(enabled)]


def test_without_a_compiler_there_is_one_clear_sentence(folder: Path) -> None:
    done = start(folder, "import umapcore", NUMBA_DISABLE_JIT="1")
    message = "NUMBA_DISABLE_JIT is set: umapcore's kernels need numba's compiler; unset it."
    assert done.stderr.splitlines()[-1] == f"RuntimeError: {message}"
