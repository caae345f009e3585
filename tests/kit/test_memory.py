"""What the system says about memory, and how users say how much there may be."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from umapcore import settings
from umapcore._kit.memory import available_memory, give_back, process_memory
from umapcore.runs.job import Run
from umapcore.settings import memory_size

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (None, None),
        (1, 1),
        (6e9, 6 * 10**9),
        (np.int64(7), 7),
        ("6GB", 6 * 10**9),
        ("6 gb", 6 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("500M", 500 * 10**6),
        ("2kib", 2048),
        (" 12345 ", 12345),
        ("3 TB", 3 * 10**12),
    ],
)
def test_sizes(given: object, size: int | None) -> None:
    assert memory_size("memory_limit", given) == size
    assert Run(memory_limit=given).memory_limit == size


@pytest.mark.parametrize("given", ["", "GB", "-1GB", "6 apples", "0", 0, -5, 1.5, "1e9", "nan"])
def test_sizes_that_are_none(given: object) -> None:
    with pytest.raises((ValueError, TypeError), match=r"memory_limit=.*such as '6GB'"):
        Run(memory_limit=given)


@pytest.mark.parametrize("given", [True, [1], b"6GB", np.True_])
def test_types_of_sizes(given: object) -> None:
    with pytest.raises(TypeError, match="memory_limit"):
        Run(memory_limit=given)


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "memory_limit", "2GiB")
    assert settings.memory_limit == 2**31
    with pytest.raises(ValueError, match=r"settings.memory_limit='much'"):
        settings.memory_limit = "much"
    with pytest.raises(TypeError, match=r"settings.scratch_dir=3"):
        settings.scratch_dir = 3  # type: ignore[assignment]


def test_the_environment(tmp_path: Path) -> None:
    code = "from umapcore.settings import settings as s; print(s.memory_limit, s.scratch_dir)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"UMAPCORE_MEMORY_LIMIT": "3GB", "UMAPCORE_SCRATCH_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["3000000000", str(tmp_path)]


def write(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def test_memory_of_the_system(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/meminfo": "MemFree: 5 kB\nMemAvailable:  4096 kB\n"})
    assert available_memory(root) == 4 * MIB
    assert available_memory(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize(("limit", "room"), [("max", 4096), ("100", 30), ("50", 0)])
@pytest.mark.parametrize("group", ["", "a", "a/b"])
def test_groups_of_version_2(limit: str, room: int, group: str, tmp_path: Path) -> None:
    text = str(int(limit) * MIB) if limit.isdecimal() else limit
    folder = f"sys/fs/cgroup/{group}".rstrip("/")
    cached = f"anon 5\ninactive_file {20 * MIB}\nactive_file {10 * MIB}\n"
    files = {
        "proc/meminfo": f"MemAvailable: {4096 * 1024} kB\n",
        "proc/self/cgroup": "0::/a/b\n",
        f"{folder}/memory.max": text + "\n",
        f"{folder}/memory.high": "max\n",
        f"{folder}/memory.current": str(100 * MIB),
        f"{folder}/memory.stat": cached,
    }
    assert available_memory(write(tmp_path, files)) == room * MIB


def test_groups_of_version_1(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": f"MemAvailable: {4096 * 1024} kB\n",
        "proc/self/cgroup": "5:cpu:/x\n4:memory:/a\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
        "sys/fs/cgroup/memory/memory.stat": "cache 0\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(64 * MIB),
        "sys/fs/cgroup/memory/a/memory.usage_in_bytes": str(32 * MIB),
        "sys/fs/cgroup/memory/a/memory.stat": f"total_inactive_file {8 * MIB}\nx\n",
    }
    assert available_memory(write(tmp_path, files)) == 40 * MIB


def test_memory_of_the_process() -> None:
    if not sys.platform.startswith("linux"):
        assert process_memory() == 0
        return
    before = process_memory()
    block = np.ones(64 * MIB, np.uint8)
    assert process_memory() - before > 60 * MIB
    del block
    give_back()
    assert process_memory() - before < 32 * MIB
