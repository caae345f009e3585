"""Memory of the process and of the system, as far as the system tells."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umapcore._kit.cgroups import cgroup_folders

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Files of a group: its limits, what it uses, and how its page cache is called in `memory.stat`.
_VERSIONS = (
    (("memory.max", "memory.high"), "memory.current", ("inactive_file", "active_file")),
    (
        ("memory.limit_in_bytes",),
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)


def process_memory() -> int:
    """Return the bytes that the process holds, without maps of files; 0 if that is not known.

    Linux alone tells it. What was moved to swap counts.
    """
    return sum(_lines(Path("/proc/self/status"), {"RssAnon", "VmSwap"}))


def available_memory(root: str = "/") -> int | None:
    """Return how many bytes more the process can take before the system swaps or kills.

    Parameters
    ----------
    root
        Folder that contains ``proc`` and ``sys``.

    Returns
    -------
    The least of what the system has and what the limits of the process's groups leave. The page
    cache counts as free. None if it is not known, as on other systems than Linux.
    """
    rooms = list(_lines(Path(root, "proc/meminfo"), {"MemAvailable"}))
    if not rooms:
        return None
    for folder in cgroup_folders("memory", root):
        rooms += _rooms_in(folder)
    return max(0, min(rooms))


def give_back() -> None:
    """Have the C library give memory that was freed back to the system, which it may keep."""
    if _trim is not None:
        _trim(0)


_trim: Any = None
with suppress(AttributeError, OSError, TypeError):
    _trim = ctypes.CDLL(None).malloc_trim  # glibc's


def _lines(path: Path, names: set[str]) -> Iterator[int]:
    """Yield bytes from lines such as ``MemAvailable:  1234 kB``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        name, _, value = line.partition(":")
        if name in names and value.split()[:1] and value.split()[0].isdecimal():
            yield 1024 * int(value.split()[0])


def _rooms_in(folder: Path) -> list[int]:
    """Return what the limits of a group leave."""
    for limits, usage, cached in _VERSIONS:
        try:
            used = int((folder / usage).read_text(encoding="utf-8"))
            stat = (folder / "memory.stat").read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            continue
        numbers = dict(zip(stat[::2], stat[1::2], strict=False))
        used -= sum(int(numbers[name]) for name in cached if numbers.get(name, "").isdecimal())
        texts = [(folder / name) for name in limits if (folder / name).is_file()]
        found = [text.read_text(encoding="utf-8").strip() for text in texts]
        # Without a limit, version 2 says "max" and version 1 nearly 2**63.
        return [int(text) - used for text in found if text.isdecimal()]
    return []
