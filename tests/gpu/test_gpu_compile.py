"""The GPU's kernels compile for every architecture and use nothing that could change bits.

This needs NVRTC and CuPy, which the extra ``test`` brings on Linux, and neither driver nor GPU.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import elf
from tests.support.nvrtc import needs_nvrtc
from tests.support.ptx import forbidden
from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host import kernel_cache
from umapcore_cupy.host.compile import (
    KERNELS,
    OPTIONS,
    SAME_BITS,
    cached_program,
    compile_program,
    target,
)
from umapcore_cupy.host.errors import KernelCompilationError
from umapcore_cupy.host.programs import PROGRAMS, defines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: Compute capabilities, times ten, that tests compile for; others work too.
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
#: Those for which all forms of a program are compiled on every run, and in the slow tests.
USUAL_ARCHITECTURES, SLOW_ARCHITECTURES = (90,), (75, 120)
#: NVRTC writes one PTX, but for the name, for architectures before 10.0, and another from there on.
PTX_ARCHITECTURES = (75, 120)


def variants(name: str) -> list[dict[str, int | str]]:
    """Return the macros of every form of a program that tests should compile."""
    if name not in {"layout", "epochs", "density", "transform"}:
        return [defines(name)]
    # The usual form first. With more than 4, 10 and 16 dimensions, less is kept in shared memory or
    # in registers. With other numbers of samples than 5, a word of offsets may be used only partly.
    forms = ((2, 5), (1, 5), (3, 5), (5, 5), (10, 5), (17, 7), (2, 0), (3, 12))
    return [defines(name, dimensions, samples) for dimensions, samples in forms]


def _cases(architectures: tuple[int, ...], usual: tuple[int, ...]) -> list[Any]:
    """Return the first form of every program for all architectures, and all forms for some.

    The other forms are slow for those of `SLOW_ARCHITECTURES` that are not `usual`.
    """
    cases = []
    for name in PROGRAMS:
        forms = variants(name)
        for form in forms:
            # Only what tells the forms of a program apart.
            of_form = [k for k in sorted(form) if any(f.get(k) != form[k] for f in forms)]
            label = "-".join([name, *(f"{k}={form[k]}" for k in of_form)])
            for architecture in architectures:
                marks = []
                if form != defines(name) and architecture not in usual:
                    if architecture not in SLOW_ARCHITECTURES:
                        continue
                    marks = [pytest.mark.slow]
                case_id = f"sm_{architecture}-{label}"
                cases.append(pytest.param(architecture, name, form, id=case_id, marks=marks))
    return cases


def _known(architecture: int) -> int:
    if architecture not in compilation.known_architectures():
        version = ".".join(map(str, compilation.nvrtc_version()))
        pytest.skip(f"NVRTC {version} does not know sm_{architecture}")
    return architecture


@pytest.fixture(params=ARCHITECTURES, ids=lambda number: f"sm_{number}")
def architecture(request: pytest.FixtureRequest) -> int:
    """One of those that must work, if this NVRTC is new enough to know it."""
    return _known(int(request.param))


@needs_nvrtc
class TestPrograms:
    @pytest.mark.parametrize(
        ("architecture", "program", "form"),
        _cases(ARCHITECTURES, USUAL_ARCHITECTURES),
    )
    def test_compiles_without_a_warning(
        self,
        architecture: int,
        program: str,
        form: dict[str, int],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with caplog.at_level(logging.DEBUG, logger="umapcore"):
            cubin = compile_program(PROGRAMS[program], form, _known(architecture))
        assert elf.problem(cubin) is None
        assert not caplog.messages

    @pytest.mark.parametrize(("architecture", "program", "form"), _cases(PTX_ARCHITECTURES, (75,)))
    def test_ptx_keeps_the_bits(
        self, architecture: int, program: str, form: dict[str, int]
    ) -> None:
        ptx = compile_program(PROGRAMS[program], form, _known(architecture), ptx=True).decode()
        assert f".target sm_{architecture}" in ptx
        assert ".entry" in ptx
        assert not forbidden(ptx)


def test_every_kernel_file_is_in_a_program() -> None:
    in_programs = {file for files in PROGRAMS.values() for file in files}
    assert {path.name for path in KERNELS.glob("*.cu")} == in_programs


SCALE = """
#include "shared.cuh"

extern "C" __global__ void scale(float *x, int *count, float a, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        x[i] = twice(x[i]) * a + x[i] / a + sqrtf(x[i]) * WIDTH;
        atomicAdd(count, i * n + 3);
    }
}
"""
SHARED = """#pragma once
__device__ inline float twice(float x) { return x + x; }
"""
WIDTH = {"WIDTH": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two kernels that share a header."""
    where = tmp_path / "kernels"
    where.mkdir()
    (where / "scale.cu").write_text(SCALE)
    (where / "other.cu").write_text(
        '#include "shared.cuh"\nextern "C" __global__ void other(float *x) { *x = twice(*x); }\n'
    )
    (where / "shared.cuh").write_text(SHARED)
    return where


@needs_nvrtc
class TestCompileProgram:
    def test_for_every_architecture(self, folder: Path, architecture: int) -> None:
        cubin = compile_program(("scale.cu", "other.cu"), WIDTH, architecture, folder=folder)
        assert cubin.startswith(b"\x7fELF")
        assert b"scale" in cubin
        assert b"other" in cubin

    def test_an_innocent_kernel_passes_the_check(self, folder: Path, architecture: int) -> None:
        ptx = compile_program(("scale.cu",), WIDTH, architecture, ptx=True, folder=folder).decode()
        assert "div.rn.f32" in ptx
        assert "sqrt.rn.f32" in ptx
        assert "mad.lo.s32" in ptx  # of integers: exact
        assert not forbidden(ptx)

    def test_order_of_definitions_does_not_matter(self, folder: Path) -> None:
        one = compile_program(("scale.cu",), {"WIDTH": 3, "A": 1}, 80, folder=folder)
        assert one == compile_program(("scale.cu",), {"A": 1, "WIDTH": 3}, 80, folder=folder)

    def test_a_syntax_error_points_into_the_file(self, folder: Path) -> None:
        (folder / "broken.cu").write_text(
            'extern "C" __global__ void broken(int *x)\n{\n    *x = 1\n}\n'
        )
        with pytest.raises(KernelCompilationError, match=r"broken\.cu\(4\): error") as caught:
            compile_program(("scale.cu", "broken.cu"), WIDTH, 86, folder=folder)
        error = caught.value
        assert re.search(r"^broken\.cu\(4\): error", error.log, re.MULTILINE)
        assert error.architecture == 86
        assert "--gpu-architecture=sm_86" in error.options
        assert "-DWIDTH=3" in str(error)

    def test_an_error_in_a_header_points_into_the_header(self, folder: Path) -> None:
        (folder / "shared.cuh").write_text("#pragma once\n\n__device__ float twice(float x) { ?\n")
        with pytest.raises(KernelCompilationError, match=r"shared\.cuh\(3\): error"):
            compile_program(("scale.cu",), WIDTH, 90, folder=folder)

    def test_an_unknown_file_is_named(self, folder: Path) -> None:
        with pytest.raises(ValueError, match=r"no\.cu; there are: other\.cu, scale\.cu"):
            compile_program(("no.cu",), {}, 90, folder=folder)

    def test_nothing_is_taken_from_the_working_directory(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "scale.cu").write_text("#error not this one\n")
        (tmp_path / "shared.cuh").write_text("#error nor this one\n")
        (tmp_path / "stray.cuh").write_text("#define STRAY 1\n")
        monkeypatch.chdir(tmp_path)
        assert compile_program(("scale.cu",), WIDTH, 90, folder=folder)
        (folder / "other.cu").write_text('#include "stray.cuh"\n')
        with pytest.raises(KernelCompilationError, match=r"stray\.cuh"):
            compile_program(("other.cu",), {}, 90, folder=folder)

    def test_a_device_from_the_future_gets_ptx(self, folder: Path) -> None:
        newest = max(compilation.known_architectures())
        code = compile_program(("scale.cu",), WIDTH, newest + 90, folder=folder).decode()
        assert f".target sm_{newest}" in code
        assert not forbidden(code)

    def test_a_device_from_the_past_gets_advice(self, folder: Path) -> None:
        with pytest.raises(KernelCompilationError, match=r"3\.5.*umapcore\[cuda12\]"):
            compile_program(("scale.cu",), WIDTH, 35, folder=folder)


@needs_nvrtc
def test_nvrtc_is_loaded_with_its_builtins() -> None:
    compilation.load_nvrtc()
    for loaded in filter(None, compilation._preloaded.values()):
        assert sum("builtins" in library._name for library in loaded) == 1
        assert len(loaded) == 2


def test_a_cubin_gets_its_last_zeros_back() -> None:
    whole = elf.smallest()
    assert elf.problem(whole) is None
    assert compilation.whole_cubin(whole) == whole
    for missing in (1, 3):  # zeros, all of them
        assert elf.problem(whole[:-missing]) is not None
        assert compilation.whole_cubin(whole[:-missing]) == whole
    for other in (b"", b"\x7fELF\x01" + bytes(80), b".version 9.0"):
        with pytest.raises(ValueError, match="no 64-bit ELF file"):
            compilation.whole_cubin(other)


def test_target() -> None:
    known = (75, 80, 90, 120)
    assert target(90, known) == "sm_90"
    assert target(90, known, ptx=True) == "compute_90"
    assert target(100, known) == "compute_90"
    assert target(130, known) == "compute_120"


def test_flags_for_the_same_bits_are_given() -> None:
    assert set(SAME_BITS) <= set(OPTIONS)


@needs_nvrtc
class TestCachedProgram:
    @pytest.fixture(autouse=True)
    def _empty(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("UMAPCORE_CACHE_DIR", str(tmp_path / "cache"))
        kernel_cache._in_process.clear()
        yield
        kernel_cache._in_process.clear()

    def _get(self, folder: Path, architecture: int = 90, **defines: int) -> bytes:
        kernel_cache._in_process.clear()
        return cached_program(("scale.cu",), WIDTH | defines, architecture, folder=folder)

    def test_is_what_is_compiled(self, folder: Path) -> None:
        code = compile_program(("scale.cu",), WIDTH, 90, folder=folder)
        assert self._get(folder) == code
        assert kernel_cache.contents()[0] == 1

    def test_compiles_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        code = self._get(folder)
        monkeypatch.setattr(compilation, "_compile", None)  # would fail if called
        assert self._get(folder) == code

    @pytest.mark.parametrize("change", ["header", "define", "architecture", "options", "nvrtc"])
    def test_key_covers(self, folder: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._get(folder)
        architecture, defines = 90, {}
        if change == "header":
            (folder / "shared.cuh").write_text(SHARED + "// another\n")
        elif change == "define":
            defines = {"WIDTH": 4}
        elif change == "architecture":
            architecture = 80
        elif change == "options":
            monkeypatch.setattr(compilation, "OPTIONS", (*OPTIONS, "-DMORE"))
        else:
            monkeypatch.setattr(compilation, "nvrtc_version", lambda: (13, 99))
        self._get(folder, architecture, **defines)
        assert kernel_cache.contents()[0] == 2

    def test_a_failure_is_not_cached(self, folder: Path) -> None:
        (folder / "scale.cu").write_text("?")
        for _ in range(2):
            with pytest.raises(KernelCompilationError):
                self._get(folder)
        assert kernel_cache.contents() == (0, 0)
