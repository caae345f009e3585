"""Compile the package's numba kernels and cache them safely.

numba's own cache checks only the file of the kernel. If a helper in another file changes, it loads
a stale kernel; if a cache file is damaged, it raises an exception. Here the stamp covers every
file of the package that the kernel's module imports, directly or indirectly. A kernel with a
damaged entry is compiled again. If no cache can be written, kernels are compiled in every process.

Waits for the compiler are announced: see :mod:`umapcore._kit.compile_time`.
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
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile

from umapcore._kit.compile_time import Compiled, watch
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

#: Unsigned: for signed indices numba adds Python's wrap-around, and it widens bare literals.
U0, U1 = np.uint64(0), np.uint64(1)

if numba.config.DISABLE_JIT:
    _MESSAGE = "NUMBA_DISABLE_JIT is set: umapcore's kernels need numba's compiler; unset it."
    raise RuntimeError(_MESSAGE)

# Imports for type checkers are indented, so they do not match.
_IMPORT = re.compile(r"^from (umapcore[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)


def kernel(
    *,
    parallel: bool = False,
    allocates: bool = True,
    seconds: float = 0.5,
    purpose: Callable[[Any], str] | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba: no GIL, NumPy's division, no fast maths, cached on disk.

    Parameters
    ----------
    parallel
        Whether ``prange`` runs in parallel. The serial and the parallel form of a kernel must
        be two functions with different names, because the cache identifies entries by name.
    allocates
        Whether the kernel allocates arrays. If False, the kernel does not count references to the
        views that it takes; counting costs an atomic operation per view (4 % of a layout), and the
        compiler takes a quarter longer.
    seconds
        Time that the compiler takes for it on an idle machine; only shown to users.
    purpose
        Tells from the types of the arguments what the kernel is compiled for. None: what all
        kernels of its module are for.
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
        except RuntimeError as error:  # neither the source's nor the home folder is writable
            logger.debug("kernels are not cached: %s", error)
        watch(Compiled(dispatcher, seconds, purpose))
        return dispatcher

    return decorate


def inline(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call; it is cached as part of them.

    It gets no wrapper for calls from Python: with many arguments, compiling the wrapper takes as
    long as compiling the function. It allocates no arrays: see `allocates` of :func:`kernel`.
    """
    return numba.njit(
        function, error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )


def _digest(module: str) -> str:
    """Return a digest of a module's file and of all package files that it imports."""
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
    """Return the names of the package that a file imports at run time."""
    found = set()
    for base, names in _IMPORT.findall(Path(file).read_text(encoding="utf-8")):
        found |= {base, *(f"{base}.{name}" for name in re.findall(r"\w+", names))}
    return frozenset(found)


@cache
def _cannot_keep(reason: str) -> None:
    """Log a warning, once, that compiled kernels cannot be written to their folder."""
    logger.warning(
        "compiled kernels cannot be kept, so every process compiles them again: %s; "
        "set NUMBA_CACHE_DIR to another folder",
        reason,
    )


class _StampedCache(FunctionCache):
    """numba's function cache, with a stamp that covers several files."""

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
        except Exception as error:  # a damaged file can raise anything
            logger.debug("ignoring an unreadable cached kernel: %s", error)
        with suppress(OSError):
            self.flush()  # so that the kernel can be saved again
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # full or read-only disk, damaged index: the run continues
            _cannot_keep(str(error))

    def is_empty(self) -> bool:
        """Return whether no form of the kernel is on disk."""
        try:
            return not self._cache_file._load_index()
        except Exception:  # a damaged file can raise anything
            return True
