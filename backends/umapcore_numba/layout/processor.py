"""Features of the processor that kernels are compiled for."""

from __future__ import annotations

from numba.core.registry import cpu_target

#: Whether it has AVX-512: 32 registers of 16 lanes, and an instruction that moves selected lanes to
#: the beginning of a vector.
AVX512 = "+avx512f" in str(cpu_target.target_context.codegen().magic_tuple())
