"""The reciprocal of the GPU's kernels is the CPU's division, bit for bit."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support import cuda_host
from tests.support.nvrtc import needs_nvrtc
from tests.support.ptx import forbidden
from umapcore_cupy.host.compile import KERNELS, compile_program

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))

# Every even significand at some exponents, from approximations that are off by so many units.
TRIAL = f"""
#include "{Path(cuda_host.__file__).parent / "cuda_shim.h"}"
extern "C" int mistakes(int exponent, int off) {{
  int found = 0;
  for (int i = 0; i < 1 << 23; i += 2) {{
    const float x = __int_as_float((127 + exponent) << 23 | i), exact = 1.0f / x;
    const float guess = __int_as_float(__float_as_int(exact) + off);
    found += newton_steps(x, guess) != exact;
  }}
  return found;
}}
"""


@needs_compiler
def test_every_significand() -> None:
    mistakes = cuda_host.library(TRIAL).mistakes
    mistakes.restype = ctypes.c_int
    for exponent, off in [(0, 0), (0, 1), (0, -1), (0, 1500), (0, -1500), (124, 7), (-99, -7)]:
        assert mistakes(exponent, off) == 0, (exponent, off)


@needs_nvrtc
def test_only_these_very_steps_are_let_pass(tmp_path: Path) -> None:
    text = (KERNELS / "cuda.cuh").read_text(encoding="utf-8")
    steps = re.findall(r'"((?:fma|rcp|neg)\S+ [^;]*;)', text)
    assert len(steps) == 6
    kernel = "KERNEL tried(float *x) { *x = rounded_reciprocal(*x); }\n"
    (tmp_path / "tried.cu").write_text('#include "cuda.cuh"\n' + kernel, encoding="utf-8")
    for old, new in [("", ""), *((step, step.replace("guess", "error", 1)) for step in steps[1:4])]:
        (tmp_path / "cuda.cuh").write_text(
            text.replace(old, new) if old else text, encoding="utf-8"
        )
        ptx = compile_program(("tried.cu",), {}, 90, ptx=True, folder=tmp_path).decode()
        assert bool(forbidden(ptx)) == (old != "")


@pytest.mark.gpu
def test_every_significand_on_the_gpu(tmp_path: Path) -> None:
    import cupy

    (tmp_path / "cuda.cuh").write_bytes((KERNELS / "cuda.cuh").read_bytes())
    (tmp_path / "tried.cu").write_text(
        '#include "cuda.cuh"\n'
        "KERNEL tried(float *x) { x[thread_number()] = rounded_reciprocal(x[thread_number()]); }\n",
        encoding="utf-8",
    )
    architecture = int(cupy.cuda.Device().compute_capability)
    built = tmp_path / "tried.cubin"
    built.write_bytes(compile_program(("tried.cu",), {}, architecture, folder=tmp_path))
    tried = cupy.RawModule(path=str(built)).get_function("tried")
    for exponent in (-99, 0, 124):
        x = ((127 + exponent) << 23 | np.arange(0, 1 << 23, 2, dtype=np.int32)).view(np.float32)
        on_gpu = cupy.asarray(x)
        tried((x.size // 256,), (256,), (on_gpu,))
        np.testing.assert_array_equal(on_gpu.get(), np.float32(1) / x)
