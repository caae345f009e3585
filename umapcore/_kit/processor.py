"""Features of the processor that kernels are compiled for."""

from __future__ import annotations

import platform

from numba.core.registry import cpu_target

_FEATURES = str(cpu_target.target_context.codegen().magic_tuple())

#: Whether it has the x86 instruction set.
X86 = platform.machine().lower() in {"x86_64", "amd64"}
#: Whether it has vectors of eight int32.
AVX2 = "+avx2" in _FEATURES
#: Whether it has AVX-512: 32 registers of 16 lanes, and an instruction that moves selected lanes to
#: the beginning of a vector.
AVX512 = "+avx512f" in _FEATURES
#: Whether its vectors of 32 int16 can be multiplied.
AVX512_INT16 = AVX512 and "+avx512bw" in _FEATURES
