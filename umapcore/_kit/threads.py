"""The number of threads of a run: what the process may use, and what the user asks for."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from umapcore._kit.cgroups import cgroup_folders
from umapcore._kit.checks import check_integer
from umapcore.logs import logger
from umapcore.settings import settings

if TYPE_CHECKING:
    from pathlib import Path

#: numba's own variable. It counts here too, so that one number holds for all of a program.
VARIABLE = "NUMBA_NUM_THREADS"


def thread_count(requested: int | None) -> int:
    """Return the number of threads a run may use.

    Parameters
    ----------
    requested
        An integer of at least 1. None takes ``settings.n_threads``, or `available_threads` if
        that is None.

    Raises
    ------
    ValueError, TypeError
        When `requested` is not an integer of at least 1.
    """
    if requested is None:
        requested = settings.n_threads
    if requested is None:
        return available_threads()[0]
    requested = check_integer("n_threads", requested, 1, or_none=True)
    most, _ = _most_threads()
    if requested > most:
        # The result has the same bits, so scripts from larger machines run unchanged.
        logger.info("n_threads=%d: using %d, all threads of this process", requested, most)
    return min(requested, most)


def available_threads() -> tuple[int, str]:
    """Return how many threads a run takes if nothing is asked for, and what decides that."""
    most, reason = _most_threads()
    # numba is not imported for this: if the process has told it a number, it is there.
    numbas = sys.modules.get("numba.np.ufunc.parallel")
    # `get_num_threads` starts numba's threads; before that, nobody can have set a number.
    if numbas is not None and numbas._is_initialized:
        told = int(numbas.get_num_threads())
        if told < min(most, sys.modules["numba"].config.NUMBA_NUM_THREADS):
            return told, "numba.set_num_threads"
    return most, reason


def _most_threads() -> tuple[int, str]:
    """Return the largest number of threads that a run may be asked to take, and its reason."""
    given = os.environ.get(VARIABLE, "")
    if given.isdecimal() and int(given) > 0:
        return int(given), VARIABLE
    config = getattr(sys.modules.get("numba"), "config", None)
    if config is not None and config.NUMBA_NUM_THREADS != config.NUMBA_DEFAULT_NUM_THREADS:
        return int(config.NUMBA_NUM_THREADS), "numba.config.NUMBA_NUM_THREADS"
    return processors_to_use()


def processors_to_use() -> tuple[int, str]:
    """Return how many processors the system lets the process use at a time, and why so many."""
    processors, quota = usable_processors(), cpu_quota()
    if quota is not None and quota < processors:
        # A part of a processor is rounded up.
        return max(1, -int(-quota // 1)), f"the CPU quota of its cgroup, {quota:g}"
    return processors, "the processors that the process may use"


def usable_processors() -> int:
    """Return the number of processors, of all there are, that the process may run on."""
    count = getattr(os, "process_cpu_count", None)  # from Python 3.13
    if count is not None:
        return int(count() or 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def cpu_quota(root: str = "/") -> float | None:
    """Return how many processors' time the cgroups of the process may use, as in containers.

    Parameters
    ----------
    root
        Folder that contains ``proc`` and ``sys``.

    Returns
    -------
    The smallest quota of the groups that the process is in; None if there is none.
    """
    quotas = [quota for folder in cgroup_folders("cpu", root) for quota in _quotas_in(folder)]
    return min(quotas, default=None)


def _quotas_in(folder: Path) -> list[float]:
    """Return the quota that the files of a group give, as a list of at most one."""
    try:
        if (both := folder / "cpu.max").is_file():
            allowed, period = both.read_text(encoding="utf-8").split()
        else:
            allowed = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8")
        # Without a limit, version 2 says "max" and version 1 -1.
        return [int(allowed) / int(period)] if int(allowed) > 0 and int(period) > 0 else []
    except (OSError, ValueError):
        return []
