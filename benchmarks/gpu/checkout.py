"""Where the packages of this checkout are, for processes in which nothing of it is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = (str(ROOT), str(ROOT / "backends"))


def find_packages() -> None:
    """Let this process import what is in the checkout."""
    sys.path[:0] = [place for place in PLACES if place not in sys.path]


def environment(cache: Path) -> dict[str, str]:
    """Give the environment of a process that shall do the same.

    Parameters
    ----------
    cache
        Folder for compiled kernels, unless the user has chosen others.
    """
    given = os.environ.get("PYTHONPATH")
    return {
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "UMAPCORE_CACHE_DIR": str(cache / "cuda"),
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*PLACES, *([given] if given else [])]),
        # What a process has printed is there when it is killed, and where it was when it crashed.
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
