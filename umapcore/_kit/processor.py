"""The processor that kernels are compiled for: its level, and what follows for kernels.

A level names the instructions that code may use, as compilers do: ``x86-64-v2`` (SSE4.2), ``-v3``
(AVX2) and ``-v4`` (AVX-512), or ``aarch64`` (NEON). For each of them machine code can be shipped;
see :mod:`umapcore._kit.precompiled.library`. Bits of results do not depend on the level.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

from umapcore.errors import bad_value

X86_LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
ARM_LEVELS = ("aarch64",)
#: Environment: a level whose shipped code is taken instead of the best one, or "compile".
CHOICE = "UMAPCORE_KERNELS"

_MACHINE = platform.machine().lower()
#: Whether it has the x86 instruction set.
X86 = _MACHINE in {"x86_64", "amd64"}
_ARM = _MACHINE in {"aarch64", "arm64"}


def levels_of_this_machine() -> tuple[str, ...]:
    """Return the levels that this processor and its operating system support, least first."""
    if _ARM:
        return ARM_LEVELS
    has = _features()
    if not X86 or not has.get("SSE42"):
        return ()
    # NumPy 2.4 names the levels themselves; older versions test fewer of their parts.
    if not has.get("X86_V3", has.get("AVX2") and has.get("FMA3") and has.get("F16C")):
        return X86_LEVELS[:1]
    if not has.get("X86_V4", has.get("AVX512_SKX")):
        return X86_LEVELS[:2]
    return X86_LEVELS


def _features() -> dict[str, bool]:
    """Return the processor's features as NumPy found them; it dispatches its loops by them."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):  # before NumPy 2
        with suppress(ImportError):
            found: dict[str, bool] = import_module(name).__cpu_features__
            return found
    return {}


@cache
def level() -> str | None:
    """Return the level of the shipped code to take; None: kernels are compiled here.

    Raises
    ------
    ValueError
        When the environment asks for a level that the processor does not support.
    """
    if compiles_for_another():
        return None
    supported = levels_of_this_machine()
    chosen = os.environ.get(CHOICE, "")
    if chosen == "compile":
        return None
    if chosen and chosen not in supported:
        raise bad_value(CHOICE, chosen, f"'compile' or one of {', '.join(supported) or 'none'}")
    return chosen or (supported[-1] if supported else None)


def compiles_for_another() -> bool:
    """Return whether the environment tells numba what processor to compile for."""
    return any(os.environ.get(name) for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"))


def _has(least: str, *features: str) -> bool:
    """Return whether kernels may use what a level or, if numba is told to, some features allow."""
    if not compiles_for_another():
        taken = level() or (levels_of_this_machine() or ("",))[-1]
        return taken in X86_LEVELS and taken >= least
    from numba.core.registry import cpu_target

    told: Any = str(cpu_target.target_context.codegen().magic_tuple())
    return all(f"+{feature}" in told for feature in features)


#: Whether it has vectors of eight int32.
AVX2 = _has("x86-64-v3", "avx2")
#: Whether it has AVX-512: 32 registers of 16 lanes, an instruction that moves selected lanes to the
#: beginning of a vector, and products of 32 int16.
AVX512 = _has("x86-64-v4", "avx512f", "avx512bw")
