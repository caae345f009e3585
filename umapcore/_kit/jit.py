"""How the package compiles its numba kernels, and how it caches them safely.

numba's own cache looks at the file of the kernel alone: when a helper in another file changes, a
stale kernel is loaded, and a damaged cache file is an exception. Here the stamp covers every file
of the package that the kernel's module imports, directly or not. A damaged entry is compiled anew,
and where no cache can be written the kernel is compiled in every process.
"""

from __future__ import annotations

import hashlib
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

# Imports for type checkers are indented, and are none.
_IMPORT = re.compile(r"^from (umapcore[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)


def kernel(
    *, parallel: bool = False, allocates: bool = True
) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function by numba: no GIL, NumPy's division, no fast maths, cached on disk.

    Parameters
    ----------
    parallel
        Whether ``prange`` runs in parallel. The serial and the parallel form of a kernel must
        be two functions with two names, since the cache tells entries apart by name.
    allocates
        Whether it makes arrays. One that does not need not count references to the views that it
        takes, which costs an atomic operation each (4 % of a layout).
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(
            function,
            error_model="numpy",
            nogil=True,
            parallel=parallel,
            _nrt=allocates,
            no_cfunc_wrapper=True,
        )
        try:
            dispatcher._cache = _StampedCache(function, _digest(function.__module__))
        except RuntimeError as error:  # neither beside the source nor in the home folder
            logger.debug("kernels are not cached: %s", error)
        return dispatcher

    return decorate


def inline(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call; it is cached as a part of them.

    It gets no wrapper that Python could call, which for many arguments takes as long to compile
    as the function itself. It makes no arrays: see `allocates` of :func:`kernel`.
    """
    return numba.njit(
        function, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )


def _digest(module: str) -> str:
    """Digest the files that a module of the package is made of, its own included."""
    files: set[str] = set()
    left = {module}
    while left:
        name = left.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and file not in files:
            files.add(file)
            left |= _imported(file)
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()


@cache
def _imported(file: str) -> frozenset[str]:
    """Name what a file takes from the package, at the time when it is imported."""
    found = set()
    for base, names in _IMPORT.findall(Path(file).read_text(encoding="utf-8")):
        found |= {base, *(f"{base}.{name}" for name in re.findall(r"\w+", names))}
    return frozenset(found)


class _StampedCache(FunctionCache):
    """numba's function cache with a stamp over several files."""

    def __init__(self, function: Callable[..., Any], digest: str) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), digest),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever a damaged file raises
            logger.debug("ignoring an unreadable cached kernel: %s", error)
        with suppress(OSError):
            self.flush()  # so that the kernel can be saved again
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full or read-only disk, a damaged index: the run goes on
            logger.debug("could not cache a kernel: %s", error)
