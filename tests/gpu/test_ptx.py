"""The check of PTX finds what it must find, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.nvrtc import needs_nvrtc
from tests.support.ptx import forbidden
from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host.compile import OPTIONS, compile_program

if TYPE_CHECKING:
    from pathlib import Path


def _plant(folder: Path, body: str) -> str:
    (folder / "planted.cu").write_text(
        'extern "C" __global__ void planted(float *x, double *d, int *n)\n'
        f"{{\n    int i = threadIdx.x;\n    {body}\n}}\n"
    )
    return compile_program(("planted.cu",), {}, 90, ptx=True, folder=folder).decode()


# Each body makes an instruction that the check must find.
PLANTED = {
    "fused": ("x[i] = __fmaf_rn(x[i], x[i + 1], x[i + 2]);", "fma.rn.f32"),
    "fused, double": ("d[i] = __fma_rn(d[i], d[i + 1], d[i + 2]);", "fma.rn.f64"),
    "library power": ("x[i] = powf(x[i], x[i + 1]);", "fma.rn.f32"),
    "float mad": (
        'asm("mad.rn.f32 %0, %1, %1, %1;" : "=f"(x[i]) : "f"(x[i + 1]));',
        "mad.rn.f32",
    ),
    "approximate": ("x[i] = __expf(x[i]);", "ex2.approx"),
    "approximate division": ("x[i] = __fdividef(x[i], x[i + 1]);", "div.approx"),
    "full-range division": (
        'asm("div.full.f32 %0, %1, %1;" : "=f"(x[i]) : "f"(x[i + 1]));',
        "div.full.f32",
    ),
    "approximate root": ("x[i] = rsqrtf(x[i]);", "rsqrt.approx"),
    "flushing": ('asm("add.rn.ftz.f32 %0, %1, %1;" : "=f"(x[i]) : "f"(x[i + 1]));', "add.rn.ftz"),
    "contractible": ('asm("mul.f32 %0, %1, %1;" : "=f"(x[i]) : "f"(x[i + 1]));', "mul.f32"),
    "float atomic": ("atomicAdd(x, x[i]);", ".f32: its sum depends"),
    "float atomic with a result": ("x[i] = atomicAdd(x + 7, x[i]);", "atom.global.add.f32"),
    "double atomic": ("atomicAdd(d, d[i]);", ".f64: its sum depends"),
}


@needs_nvrtc
class TestTheCheckItself:
    @pytest.mark.parametrize("name", PLANTED)
    def test_finds_what_is_planted(self, tmp_path: Path, name: str) -> None:
        body, instruction = PLANTED[name]
        found = forbidden(_plant(tmp_path, body))
        assert any(instruction in line for line in found), found

    @pytest.mark.parametrize(
        "body",
        [
            "n[i] = n[i] * n[i + 1] + n[i + 2];",
            "atomicAdd(n, n[i]); n[i] = atomicMax(n + 9, i);",
            "x[i] = fmaxf(x[i] / x[i + 1], sqrtf(x[i + 2])) * x[i] + x[i + 3];",
            "d[i] = d[i] * d[i + 1] + (double)x[i] / d[i + 2];",
            "// fma.rn.f32 in a comment\n    x[i] = (float)n[i];",
        ],
    )
    def test_lets_exact_arithmetic_pass(self, tmp_path: Path, body: str) -> None:
        assert not forbidden(_plant(tmp_path, body))

    @pytest.mark.parametrize("flag", ["--fmad=true", "-ftz=true", "-prec-div=false"])
    def test_finds_a_wrong_flag(
        self, tmp_path: Path, flag: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = flag.partition("=")[0]
        flags = [flag if option.startswith(name) else option for option in OPTIONS]
        assert flag in flags
        monkeypatch.setattr(compilation, "OPTIONS", tuple(flags))
        assert forbidden(_plant(tmp_path, "x[i] = x[i] * x[i + 1] + x[i + 2] / x[i + 3];"))

    def test_comments_and_names_are_no_instructions(self) -> None:
        assert not forbidden('// fma.rn.f32 x;\n/* ex2.approx.f32 */ .file 1 "fma.cu"\n%fma.f32')
