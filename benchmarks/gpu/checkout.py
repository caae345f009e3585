"""Find the packages of this checkout, for processes in which they are not installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = (str(ROOT), str(ROOT / "backends"))


def find_packages() -> None:
    """Let this process import the packages of the checkout."""
    sys.path[:0] = [place for place in PLACES if place not in sys.path]


def environment(cache: Path) -> dict[str, str]:
    """Return the environment for a process that must import them, too.

    Parameters
    ----------
    cache
        Folder for compiled kernels, unless the user has chosen other folders.
    """
    given = os.environ.get("PYTHONPATH")
    return {
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "UMAPCORE_CACHE_DIR": str(cache / "cuda"),
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*PLACES, *([given] if given else [])]),
        # A killed process has flushed its output, and a crashed one prints its traceback.
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
