"""The control groups of the process, by which Linux limits what containers may use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def cgroup_folders(controller: str, root: str = "/") -> Iterator[Path]:
    """Yield the folders of the groups that the process is in, and of those above them.

    Parameters
    ----------
    controller
        Name of a controller of version 1: ``'cpu'`` or ``'memory'``. Version 2 has one tree of
        groups for all of them.
    root
        Folder that contains ``proc`` and ``sys``.
    """
    mounted = Path(root, "sys/fs/cgroup")
    try:
        lines = Path(root, "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        places = [mounted, mounted / "unified"]
        if controllers:
            if controller not in controllers.split(","):
                continue
            places = [mounted / controllers, mounted / controller]
        # A group obeys the limits of the groups above it. In a container, its own may be the root.
        parts = [part for part in group.split("/") if part not in ("", "..")]
        for place in places:
            for length in range(len(parts) + 1):
                yield place.joinpath(*parts[:length])
