"""Compile kernels with numba, and cache them safely.

numba's own cache checks only the file of the kernel. If a helper in another file changes, it loads
a stale kernel; if a cache file is damaged, it raises an exception; if processes compile at the same
time, it can call the wrong code (:mod:`umapcore._kit.kernel_files`). Here the stamp covers every
file of the package that the kernel's module imports, directly or indirectly. A kernel with a
damaged file is compiled again. If no cache can be written, kernels are compiled in every process.

Waits for the compiler are announced: see :mod:`umapcore._kit.announce`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numba
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import cpu_target

from umapcore._kit import vectors  # noqa: F401 (it tells numba the operators of vectors)
from umapcore._kit.announce import watch
from umapcore._kit.kernel_files import KernelFiles
from umapcore._kit.processor import AVX2, AVX512
from umapcore._kit.sources import digest_of
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from umapcore._kit.jit import Kernel

if numba.config.DISABLE_JIT:
    _MESSAGE = "NUMBA_DISABLE_JIT is set: umapcore's kernels need numba's compiler; unset it."
    raise RuntimeError(_MESSAGE)


def kernel_dispatcher(kernel: Kernel) -> Any:
    """Return what compiles a kernel for the types of its arguments and calls it."""
    dispatcher = numba.njit(
        kernel.function,
        error_model="numpy",
        nogil=True,
        _nrt=kernel.allocates,
        no_cfunc_wrapper=True,
    )
    try:
        digest = digest_of(kernel.function.__module__)
        dispatcher._cache = _StampedCache(kernel.function, digest)
    except RuntimeError as error:  # neither the source's nor the home folder is writable
        logger.debug("kernels are not cached: %s", error)
    watch(kernel, dispatcher)
    return dispatcher


def inline_dispatcher(function: Callable[..., Any], optimised: bool) -> Any:
    """Return what compiles a function as part of kernels.

    It gets no wrapper for calls from Python: with many arguments, compiling the wrapper takes as
    long as compiling the function.
    """
    return numba.njit(
        function,
        error_model="numpy",
        _nrt=False,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=_OptimisingCompiler if optimised else _InlineCompiler,
    )


def intrinsic_type(function: Callable[..., Any]) -> Any:
    """Return the type by which numba finds an intrinsic."""
    made = numba.extending.intrinsic(function)
    # Both contexts learn what has been imported since a compilation began.
    cpu_target.target_context.refresh()
    cpu_target.typing_context.refresh()
    return cpu_target.typing_context.resolve_value_type(made)


class _InlineCode(JITCodeLibrary):
    """The code of a function that is only linked into kernels, and is optimised as part of them.

    numba would also optimise each such function as a whole, with all that is linked into it, and
    make machine code that nothing calls: a fifth of the time of all compilations. Kernels did not
    become faster by it.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        return self

    def set_env(self, env_name: str, env: Any) -> None:
        """Do nothing: numba would write to a global variable of the machine code."""


class _OptimisedCode(_InlineCode):
    """Such code, but optimised first by itself as well."""

    _optimize_final_module = JITCodeLibrary._optimize_final_module


class _InlineCompiler(Compiler):
    """numba's compiler, for code that is only linked into kernels."""

    kind: type[_InlineCode] = _InlineCode

    def compile_extra(self, func: Any) -> Any:
        self.state.library = self.kind(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


class _OptimisingCompiler(_InlineCompiler):
    kind = _OptimisedCode


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
        self._cache_file = KernelFiles(
            self._cache_path,
            self._impl.filename_base,
            # What kernels may use follows from the level too, which numba does not know.
            (self._impl.locator.get_source_stamp(), digest, AVX2, AVX512),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a damaged file can raise anything
            logger.debug("ignoring an unreadable cached kernel: %s", error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full or read-only disk: the run continues
            _cannot_keep(str(error))

    def is_empty(self) -> bool:
        """Return whether no form of the kernel is on disk."""
        return self._cache_file.is_empty()
