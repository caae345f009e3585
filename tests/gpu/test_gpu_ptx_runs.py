"""What NVRTC makes of the kernels has the bits of the numba backend: their PTX, run on the host."""

from __future__ import annotations

import ctypes
import re
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from tests.gpu.test_gpu_layout import assert_equal_bits, case, dense_case, run
from tests.gpu.test_gpu_neighbours import assert_same, assert_same_stages, points_of
from tests.gpu.test_gpu_plan import GRAPHS, assert_same_plan
from tests.gpu.test_gpu_spectral import SHAPES
from tests.layout.test_transform import case as placement_case
from tests.layout.test_transform import placed_by
from tests.support import cuda_host, graphs
from tests.support.nvrtc import needs_nvrtc
from tests.support.ptx_to_cpp import UnknownPTXError, translate
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph
from umapcore.init import multilevel
from umapcore.init.positions import start_positions
from umapcore.init.spectral import spectral_layout
from umapcore.layout.plan import build_plan
from umapcore.layout.transform_plan import build_transform
from umapcore.neighbors import partitions
from umapcore.neighbors.exact import exact_knn
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host.programs import PROGRAMS, kernels_of
from umapcore_cupy.layout import layout as layouts
from umapcore_numba.backend import NumbaBackend
from umapcore_numba.layout.layout import NumbaLayout

Macros = tuple[tuple[str, int | str], ...]

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))

# NVRTC writes the same PTX, but for the name, for all architectures before 10.0; and, of another
# style, for all from there on.
ARCHITECTURES = (75, 120)


@pytest.fixture(params=[75, pytest.param(120, marks=pytest.mark.slow)], ids=["sm_75", "sm_120"])
def architecture(request: pytest.FixtureRequest) -> int:
    if request.param not in compilation.known_architectures():
        version = ".".join(map(str, compilation.nvrtc_version()))
        pytest.skip(f"NVRTC {version} does not know sm_{request.param}")
    return int(request.param)


def ptx_of(architecture: int, program: str, macros: Macros) -> str:
    files = PROGRAMS[program]
    return compilation.compile_program(files, dict(macros), architecture, ptx=True).decode()


@cache
def build(architecture: int, program: str, macros: Macros) -> ctypes.CDLL:
    """Do as cuda_host.build, by way of PTX."""
    return cuda_host.library(translate(ptx_of(architecture, program, macros)))


def open_backend(architecture: int, **options: Any) -> CupyBackend:
    options = {"builder": partial(build, architecture), **options}
    return CupyBackend(lambda: cuda_host.HostDevice(**options))


@needs_compiler
@needs_nvrtc
class TestKernels:
    @pytest.mark.parametrize(
        ("name", "d"),
        [
            ("hubs", 2), ("clusters", 2), ("fewer than the pool", 2), ("star", 2), ("surface", 2),
            ("hubs", 3), ("clusters", 3), ("hubs", 10), ("fewer than the pool", 10),
        ],
    )  # fmt: skip
    def test_whole_layouts(
        self, architecture: int, name: str, d: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if name != "clusters":  # of which the epochs are one launch
            monkeypatch.setattr(layouts, "MOST_TOGETHER", -1)
        graph, spec, start, expected = case(name, d)
        assert not np.array_equal(expected, start)
        assert_equal_bits(run(open_backend(architecture), graph, spec, start), expected)

    @pytest.mark.parametrize(
        ("name", "d"), [("hubs", 2), ("clusters", 2), ("star", 3), ("surface", 10)]
    )
    def test_densities(self, architecture: int, name: str, d: int) -> None:
        graph, spec, start, density, expected = dense_case(name, d)
        backend: Any = open_backend(architecture)
        layout = backend.begin(backend.plan(graph, spec), start, spec, density=density)
        layout.advance(1, 24)
        assert_equal_bits(layout.positions(), expected)
        assert {*backend.device.launches} >= {*kernels_of("density")}

    @pytest.mark.parametrize("most_together", [-1, 1 << 20])
    def test_order_of_threads_does_not_matter(
        self, architecture: int, most_together: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(layouts, "MOST_TOGETHER", most_together)
        graph, spec, start, expected = case("hubs")
        backend = open_backend(architecture, reversed_order=True)
        assert_equal_bits(run(backend, graph, spec, start), expected)

    @pytest.mark.parametrize("name", GRAPHS)
    def test_plans(self, architecture: int, name: str) -> None:
        graph, spec = prepare_graph(GRAPHS[name]()), OptimizerSpec()
        backend = open_backend(architecture)
        assert_same_plan(backend, backend.plan(graph, spec).plan, build_plan(graph, spec))

    @pytest.mark.parametrize(("shape", "d"), [("hubs", 2), ("grid", 10), ("secluded clusters", 2)])
    def test_starts(
        self, architecture: int, shape: str, d: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(multilevel, "_OUT_OF_CACHE", 300)
        graph, backend = prepare_graph(SHAPES[shape]()), open_backend(architecture)
        with backend.spectral_ops() as ops:
            assert ops.components(backend._bring(graph))[0] == 1
            found = spectral_layout(graph, d, seed=0, ops=ops)
        assert found.tobytes() == spectral_layout(graph, d, seed=0).tobytes()
        launched = {*backend.device.launches}  # type: ignore[attr-defined]
        runs = {"sum_runs", "fill_runs"} if shape != "hubs" else set()
        assert launched >= {*kernels_of("spectral")} - runs

    @pytest.mark.parametrize("d", [2, 3, 9])
    def test_placement(self, architecture: int, d: int) -> None:
        reference, indices, distances = placement_case(n=200, d=d)
        spec = OptimizerSpec(n_components=d)
        plan = build_transform(indices, distances, reference, 3)
        found = placed_by(open_backend(architecture), plan, reference, spec, 30)
        assert_equal_bits(found, placed_by(NumbaBackend(), plan, reference, spec, 30))

    def test_neighbours(self, architecture: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(partitions, "LEAF", 60)
        backend: Any = open_backend(architecture)
        for kind, n, p in (("grid", 700, 20), ("normal", 500, 130)):
            points = points_of(kind, n, p)
            assert_same_stages(backend.device, points, 9)
            assert_same(backend.nearest(points, 15, "euclidean"), exact_knn(points, 15))
        assert {*backend.device.launches} == {*kernels_of("neighbours")} - {"keep_candidates"}

    @pytest.mark.parametrize("architecture", ARCHITECTURES, indirect=True)
    def test_every_kernel(self, architecture: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those, too, that adopt what is on the device, and samples that fill no word."""
        monkeypatch.setattr(layouts, "MOST_TOGETHER", -1)
        monkeypatch.setattr(layouts, "BLOCKS_THAT_DRAW", 0)
        graph = prepare_graph(graphs.surface(500))
        spec = OptimizerSpec(n_epochs=20, negative_sample_rate=7)
        given = graphs.random_start(500, 2) * 3 - 7
        start = start_positions(given, graph, n_components=2, seed=0)
        on_cpu = NumbaLayout(build_plan(graph, spec), start, spec, 1)
        on_cpu.advance(1, 20)

        backend: Any = open_backend(architecture)
        adopted, scaled = backend.adopt_graph(graph), backend.adopt_start(given, (500, 2))
        assert_equal_bits(backend.device.download(scaled).reshape(500, 2), start)
        assert_equal_bits(run(backend, adopted, spec, scaled), on_cpu.positions())
        programs = ("inputs", "plan", "layout")
        assert {*backend.device.launches} == {k for name in programs for k in kernels_of(name)}


@needs_compiler
@needs_nvrtc
@pytest.mark.parametrize(
    ("old", "new"), [("add.rn.f32", "sub.rn.f32"), ("cvt.rzi.s32.f32", "mov.b32")]
)
def test_a_changed_instruction_shows(architecture: int, old: str, new: str) -> None:
    """The last such one of the walk."""

    def builder(program: str, macros: Macros) -> ctypes.CDLL:
        if program == "plan":
            return build(architecture, program, macros)
        before, walk, after = re.split(
            r"(\.entry walk_epochs\(.*?^\})",
            ptx_of(architecture, program, macros),
            flags=re.M | re.S,
        )
        first, last = walk.rsplit(f"{old} ", 1)
        return cuda_host.library(translate(f"{before}{first}{new} {last}{after}"))

    graph, spec, start, expected = case("hubs", 2, 5)
    assert_equal_bits(run(open_backend(architecture), graph, spec, start), expected)
    found = run(open_backend(architecture, builder=builder), graph, spec, start)
    assert not np.array_equal(found, expected)


# --- the translation itself -----------------------------------------------------------------------

KERNEL = """.version 9.0
.target sm_90
.address_size 64
.visible .entry tried(
	.param .u64 .ptr .align 1 tried_param_0
)
{{
	.reg .pred 	%p<2>;
	.reg .b32 	%r<9>;
	.reg .b64 	%rd<9>;
	.shared .align 4 .b8 bytes[4];
	.shared .align 8 .b8 words[16];
	ld.param.u64 	%rd1, [tried_param_0];
{}
	ret;
}}
"""
NAN, MINUS_0, INFINITY = "0f7FC00000", "0f80000000", "0f7F800000"
# Instructions, without where the result goes, and the result that the manual of PTX promises.
RESULTS = [
    ("add.s32 2147483647, 1", 0x80000000),
    ("sub.s64 0, 1", 2**64 - 1),
    ("mul.lo.s32 -3, 1431655767", (-3 * 1431655767) % 2**32),
    ("mul.hi.u32 -1, -1", 0xFFFFFFFE),
    ("mul.hi.s32 -3, 1431655766", 0xFFFFFFFE),
    ("mul.wide.s32 -1, 2", 2**64 - 2),
    ("mul.wide.u32 -1, 2", 0x1FFFFFFFE),
    ("mad.lo.s32 3, 4, -13", 0xFFFFFFFF),
    ("div.s64 -7, 2", 2**64 - 3),
    ("div.u32 -7, 2", 0x7FFFFFFC),
    ("rem.s64 -7, 2", 2**64 - 1),
    ("rem.u32 -7, 2", 1),
    ("min.s32 -1, 1", 0xFFFFFFFF),
    ("min.u32 -1, 1", 1),
    ("shl.b32 1, 31", 0x80000000),
    ("shl.b32 1, 32", 0),
    ("shr.u64 -1, 64", 0),
    ("shr.u32 -1, 31", 1),
    ("shr.s32 -8, 2", 0xFFFFFFFE),
    ("shr.s32 -8, 99", 0xFFFFFFFF),
    ("popc.b32 -2147483645", 3),
    ("clz.b32 1", 31),
    ("clz.b32 0", 32),
    ("bfi.b32 -1, 0, 4, 8", 0xFF0),
    ("bfi.b32 5, -1, 30, 8", 0x7FFFFFFF),
    ("bfi.b32 5, 7, 32, 8", 7),
    ("bfi.b64 -1, 1, 32, 32", 0xFFFFFFFF00000001),
    ("brev.b32 6", 0x60000000),
    ("bfind.shiftamt.u32 1", 31),
    ("bfind.shiftamt.u32 0", 0xFFFFFFFF),
    ("neg.s32 5", 0xFFFFFFFB),
    ("not.b64 1", 2**64 - 2),
    ("cvt.s64.s32 -1", 2**64 - 1),
    ("cvt.u64.u32 -1", 0xFFFFFFFF),
    ("cvt.u32.u64 4294967298", 2),
    ("cvt.rn.f32.s32 16777217", 0x4B800000),
    ("cvt.rn.f32.s64 -1", 0xBF800000),
    ("cvt.f64.f32 0f3F800000", 0x3FF0000000000000),
    ("cvt.rn.f32.f64 0d3FF0000010000000", 0x3F800000),
    ("cvt.rni.f64.f64 0d4004000000000000", 0x4000000000000000),
    ("cvt.rzi.s32.f32 0fBFFFFFFF", 0xFFFFFFFF),
    ("cvt.rzi.s32.f32 0f4F000000", 0x7FFFFFFF),
    (f"cvt.rzi.s32.f32 {NAN}", 0),
    ("cvt.rzi.u32.f64 0dBFF0000000000000", 0),
    ("add.rn.f32 0f3F800000, 0f33800000", 0x3F800000),
    ("add.rn.f32 0f00000001, 0f00000001", 2),  # subnormal
    ("sub.rn.f32 0f3F800000, 0f33800000", 0x3F7FFFFF),
    ("mul.rn.f32 0f3F800001, 0f3F800001", 0x3F800002),
    ("div.rn.f64 0d3FF0000000000000, 0d4008000000000000", 0x3FD5555555555555),
    ("rcp.rn.f32 0f40400000", 0x3EAAAAAB),
    ("sqrt.rn.f32 0f40000000", 0x3FB504F3),
    ("sqrt.rn.f64 0d4000000000000000", 0x3FF6A09E667F3BCD),
    (f"abs.f32 {MINUS_0}", 0),
    (f"copysign.f32 {MINUS_0}, 0f3F800000", 0xBF800000),
    ("neg.f32 0f00000000", 0x80000000),
    (f"min.f32 0f00000000, {MINUS_0}", 0x80000000),
    (f"max.f32 {MINUS_0}, 0f00000000", 0),
    (f"max.f32 {NAN}, 0f3F800000", 0x3F800000),
    (f"min.f32 0f3F800000, {NAN}", 0x3F800000),
    (f"setp.eq.f32 {MINUS_0}, 0f00000000", 1),
    (f"setp.ne.f32 {NAN}, 0f00000000", 0),
    (f"setp.neu.f32 {NAN}, 0f00000000", 1),
    (f"setp.ge.f32 {NAN}, {NAN}", 0),
    (f"setp.geu.f32 {NAN}, {INFINITY}", 1),
    (f"setp.ltu.f32 {INFINITY}, 0f00000000", 0),
    ("setp.lt.s32 -1, 0", 1),
    ("setp.lt.u32 -1, 0", 0),
    ("not.pred -1", 0),
    ("xor.pred 1, 1", 0),
    ("mov.u32 words", 8),
    ("mov.u32 %ntid.x", 1),
]


@needs_compiler
def test_results_of_instructions() -> None:
    lines = []
    for i, (instruction, _) in enumerate(RESULTS):
        opcode, operands = instruction.split(" ", 1)
        wide = re.search(r"^mul\.wide|^[a-z.]*64", opcode) is not None and opcode[:4] != "setp"
        is_predicate = opcode.startswith("setp") or opcode.endswith("pred")
        to = "%p1" if is_predicate else "%rd2" if wide else "%r2"
        lines.append(f"{opcode} {to}, {operands};")
        if is_predicate:
            lines += [f"st.global.b64 [%rd1+{8 * i}], 0;", f"@!%p1 bra $L_{i};"]
            lines += [f"st.global.b64 [%rd1+{8 * i}], 1;", f"$L_{i}:"]
        else:
            lines.append(f"st.global.b{64 if wide else 32} [%rd1+{8 * i}], {to};")
    found = tried("\n".join(lines), [0] * len(RESULTS))
    assert dict(zip(RESULTS, found, strict=True)) == {r: r[1] for r in RESULTS}


@needs_compiler
def test_memory() -> None:
    """Extension of what is loaded, vectors, atomics, halves of a word, shared memory."""
    found = tried(
        """
        ld.global.s8 %rd2, [%rd1];
        mov.b64 {_, %r5}, %rd2;
        mov.u32 %r7, words;
        st.shared.v2.b32 [%r7+8], {%r5, 9};
        bar.sync 0;
        ld.shared.b64 %rd3, [words+8];
        ld.global.nc.u8 %r2, [%rd1];
        st.global.u8 [%rd1+8], %r2;
        st.global.v2.b64 [%rd1+16], {%rd2, 7};
        atom.global.add.u32 %r3, [%rd1+32], 5;
        atom.global.max.s32 %r4, [%rd1+36], -1;
        red.relaxed.gpu.global.or.b32 [%rd1+40], 6;
        st.global.v2.u32 [%rd1+48], {%r3, %r4};
        { .reg .b32 tmp; mov.b64 {tmp, %r6}, 4294967298; st.global.u32 [%rd1+60], tmp; }
        st.global.u32 [%rd1+56], %r6;
        add.s64 %rd4, %rd1, 72;
        st.global.u64 [%rd4+-8], %rd3;
        """,
        [0xF0, 0, 0, 0, (2**32 - 2) * 2**32 + 3, 1, 0, 0, 0],
    )
    assert found == [
        0xF0, 0xF0, 2**64 - 16, 7, (2**32 - 1) * 2**32 + 8, 7, (2**32 - 2) * 2**32 + 3,
        2 * 2**32 + 1, 9 * 2**32 + 2**32 - 1,
    ]  # fmt: skip


def tried(body: str, words: list[int]) -> list[int]:
    """Run instructions on the words that %rd1 points to."""
    memory = np.array(words, np.uint64)
    library = cuda_host.library(translate(KERNEL.format(body)))
    library.run_tried(1, 1, 0, ctypes.c_void_p(memory.ctypes.data))
    return [int(word) for word in memory]


@pytest.mark.parametrize(
    "code",
    [
        "fma.rz.f32 %r1, %r2, %r3, %r4;",
        "ex2.approx.ftz.f32 %r1, %r2;",
        "add.f32 %r1, %r2, %r3;",
        "add.rn.ftz.f32 %r1, %r2, %r3;",
        "add.sat.s32 %r1, %r2, %r3;",
        "add.rn.f32x2 %rd1, %rd2, %rd3;",
        "cvt.rpi.f64.f64 %rd2, %rd3;",
        "setp.lt.and.f32 %p1, %r1, %r2, %p0;",
        "ld.relaxed.global.u32 %r1, [%rd1];",
        "ld.global.v2.u32 %r1, [%rd1];",
        "st.param.b32 [tried_param_0], %r1;",
        "atom.global.add.f32 %r1, [%rd1], %r2;",
        "atom.global.cas.b32 %r1, [%rd1], %r2;",
        "atom.global.exch.b32 %r1, [%rd1], %r2;",
        "bar.sync 1;",
        "membar.sys;",
        "ld.acquire.sys.u32 %r1, [%rd1];",
        "add.s32 %r1, %r2;",
        "add.s32 %r1, %r2, %r3, %r4;",
        "mov.u32 %r1, %laneid;",
        "mov.u32 %r1, %tid.y;",
        "mov.u32 %r1, elsewhere;",
        "mov.b32 %r99, 0;",
        ".shared .align 4 .f32 x;",
        "add.s32 %r1, %r2, %r3",
    ],
)
def test_what_is_unknown_is_named(code: str) -> None:
    translate(KERNEL.format(""))
    with pytest.raises(UnknownPTXError, match=re.escape(code.rstrip(";"))):
        translate(KERNEL.format(code))


def test_what_is_outside_of_kernels_is_named() -> None:
    for line in (".func helper() { ret; }", ".extern .shared .align 4 .b8 pool[];"):
        with pytest.raises(UnknownPTXError, match=re.escape(line)):
            translate(f"{KERNEL.format('')}\n{line}\n")
