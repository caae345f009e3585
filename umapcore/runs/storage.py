"""Whether a layout fits into memory; if not, where its large arrays are written, or why it cannot.

The estimates are sums of the arrays that are there at the same time in the stage that needs most,
and of what the allocator keeps. `python -m benchmarks.memory` compares them with measured peaks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from umapcore._kit.memory import available_memory, give_back, process_memory
from umapcore._kit.scratch import Scratch
from umapcore._kit.threads import thread_count
from umapcore.device.spectral_ops import BLOCK_COLUMNS
from umapcore.errors import NotEnoughMemoryError
from umapcore.graph.stored import stored_entries
from umapcore.init.multilevel import GUARDS
from umapcore.logs import logger
from umapcore.settings import settings

if TYPE_CHECKING:
    from umapcore.runs.job import Job, Run

#: Smaller needs are not compared with what the system has.
_SMALL = 2**28
#: Bytes of a window of an array on disk: at least, and at most.
_LEAST_WINDOW, _MOST_WINDOW = 2**24, 2**30
#: Kernels that are loaded, threads, chunks of files.
_FIXED = 64_000_000
#: Private sums of pulls of a layout's workers.
_MOST_PULLS = 9


@dataclass(frozen=True)
class Needs:
    """Bytes that a layout needs in addition to what the process holds.

    Attributes
    ----------
    memory
        With all arrays in memory.
    least
        With the large ones on disk, for the smallest window.
    disk
        Files of these.
    """

    memory: int
    least: int
    disk: int


def needs_of(job: Job, n_threads: int, *, spectral: bool) -> Needs | None:
    """Estimate what a layout on the CPU needs, or return None if the graph's size is not known."""
    n, entries, bytes_each = stored_entries(job.graph)
    if not n or not entries:
        return None
    d = job.spec.n_components
    width = -(-(d + GUARDS) // BLOCK_COLUMNS) * BLOCK_COLUMNS
    # Two blocks of vectors on the finest level; degrees, shares, orders and offsets of two levels;
    # 16 bytes that the allocator may keep.
    start = (8 * width + 76) * n if spectral else (60 * d + 40) * n
    # Order, offsets, walkers; positions, their walks and copies; the workers' pulls.
    layout = 30 * n + 4 * d * n * (5 + min(n_threads, _MOST_PULLS))
    plan = 100 * n + 4 * d * n
    vertices = max(start, layout, plan)
    # Columns and weights take 8 bytes. The levels of the start together have 2 to 5 times the edges
    # of the graph, and while one is made, its edges are there twice. Later there is the plan.
    edges, disk = (48 * entries, 56 * entries) if spectral else (16 * entries, 16 * entries)
    if job.spec.density_weight > 0:
        _, distances, _ = stored_entries(job.distances)
        # Distances in float64; their columns, twice; the larger of both directions.
        edges = max(edges, 8 * entries + 64 * distances)
        disk = max(disk, 8 * entries + 72 * distances)
        vertices += 32 * n
    if bytes_each > 8:  # while the graph is converted
        edges = max(edges, (8 + bytes_each) * entries)
        disk = max(disk, (8 + bytes_each) * entries)
    vertices += _FIXED
    return Needs(edges + vertices, vertices + 2 * _LEAST_WINDOW, disk)


def storage_for(job: Job, run: Run) -> Scratch | None:
    """Return where the large arrays of a layout on the CPU are written; None: into memory.

    Raises
    ------
    NotEnoughMemoryError
        When there is too little memory even with files, or too little room for these.
    OSError
        When there is no folder for them.
    """
    spectral = isinstance(job.init, str) and job.init == "spectral" and run.start_epoch == 0
    needs = needs_of(job, thread_count(run.n_threads), spectral=spectral)
    limit = run.memory_limit or settings.memory_limit
    if needs is None or (limit is None and needs.memory < _SMALL):
        return None
    assert not isinstance(limit, str)
    if limit is None:
        room = available_memory()
        there = f"the system has {_said(room or 0)}"
    else:
        give_back()
        held = process_memory()
        room = limit - held
        there = f"memory_limit={limit:,} leaves {_said(room)}"
        there += f" beside the {_said(held)} that the process holds" if held else ""
    if room is None or needs.memory <= room:
        return None
    said = f"it may need {_said(needs.memory)} of memory"
    if needs.least > room:
        msg = (
            f"{job.graph_name} is too large to be laid out here: {said}, or {_said(needs.least)} "
            f"with files on a disk, and {there}."
        )
        raise NotEnoughMemoryError(msg)
    folder = scratch_folder()
    on_disk = shutil.disk_usage(folder).free
    if needs.disk > on_disk:
        msg = (
            f"{job.graph_name} is too large to be laid out here: {said}, and {there}; with files "
            f"it may need {_said(needs.disk)} in {folder}, where {_said(on_disk)} are free. "
            "umapcore.settings.scratch_dir or TMPDIR names another folder."
        )
        raise NotEnoughMemoryError(msg)
    window = min(_MOST_WINDOW, _LEAST_WINDOW + (room - needs.least) // 3)
    logger.info(
        "%s is kept in files in %s, up to %s: in memory, %s, and %s",
        job.graph_name,
        folder,
        _said(needs.disk),
        said,
        there,
    )
    return Scratch(folder, window)


def scratch_folder() -> Path:
    """Return the folder for files of large arrays.

    Raises
    ------
    OSError
        When it does not exist, cannot be written to, or is itself in memory.
    """
    named = settings.scratch_dir
    folder = Path(tempfile.gettempdir() if named is None else named)
    name = f"{folder}, the folder for large arrays,"
    other = (
        "set umapcore.settings.scratch_dir, or the environment variable UMAPCORE_SCRATCH_DIR; or "
        "a larger memory_limit, which keeps everything in memory."
    )
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        msg = f"{name} does not exist or cannot be written to: {other}"
        raise OSError(msg)
    if _kind_of(folder) in {"tmpfs", "ramfs"}:
        msg = f"{name} is in memory, not on a disk: {other}"
        raise OSError(msg)
    return folder


def _kind_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of a folder's file system; an empty string if it is not known."""
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    real, best, kind = folder.resolve(), -1, ""
    for line in lines:
        place, found = line.split(" ")[1:3]
        point = Path(place.replace("\\040", " "))
        if (point == real or point in real.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), found
    return kind


def _said(size: int) -> str:
    if size < 10**9:
        return f"{max(0, size) / 1e6:,.0f} MB"
    return f"{size / 1e9:,.1f} GB"
