"""numba's threading layer, and the number of threads of a run."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import lru_cache
from pathlib import Path

from umapcore._kit.checks import check_integer
from umapcore.logs import logger
from umapcore.settings import settings


@lru_cache(maxsize=1)
def load_tbb() -> str | None:
    """Load TBB for numba, which searches neither virtual environments nor wheels.

    Do nothing if the process has chosen another layer itself. This function must be called before
    numba's first parallel region.

    Returns
    -------
    Path of the loaded library, or None.
    """
    from numba import config

    chosen = str(config.THREADING_LAYER).lower()
    if chosen not in ("default", "tbb", "safe", "threadsafe"):
        return None
    name = {"Linux": "libtbb.so.12", "Darwin": "libtbb.12.dylib", "Windows": "tbb12.dll"}.get(
        platform.system()
    )
    if name is None:
        return None
    for folder in _library_folders():
        path = folder / name
        if path.is_file():
            try:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                logger.debug("%s could not be loaded: %s", path, error)
            else:
                return str(path)
    return None


def _library_folders() -> list[Path]:
    """Return the folders in which pip installs the libraries of the tbb wheel."""
    prefixes = [Path(sys.prefix), Path(sys.base_prefix)]
    # `pip install --user` and `--target` put lib/ into a parent folder of the packages.
    import numba

    prefixes += list(Path(numba.__file__).resolve().parents)[1:5]
    inner = ("Library", "bin") if os.name == "nt" else ("lib",)
    return [prefix.joinpath(*inner) for prefix in prefixes]


def available_threads() -> int:
    """Return the number of threads that numba would use, respecting the process's own choice."""
    import numba
    from numba.np.ufunc import parallel

    # `numba.get_num_threads` starts numba's threads, which small runs never need.
    if parallel._is_initialized:
        return int(numba.get_num_threads())
    return int(numba.config.NUMBA_NUM_THREADS)


def thread_count(requested: int | None) -> int:
    """Return the number of threads a run may use.

    Parameters
    ----------
    requested
        An integer of at least 1. None takes ``settings.n_threads``, or numba's number if that is
        None.

    Raises
    ------
    ValueError, TypeError
        When `requested` is not an integer of at least 1.
    """
    if requested is None:
        requested = settings.n_threads
    if requested is None:
        return available_threads()
    requested = check_integer("n_threads", requested, 1, or_none=True)
    import numba

    most = int(numba.config.NUMBA_NUM_THREADS)
    if requested > most:
        # The result has the same bits, so scripts from larger machines run unchanged.
        logger.info("n_threads=%d: using %d, all threads of this process", requested, most)
    return min(requested, most)
