"""Machine code that is compiled beforehand: the same results, and never used when it is stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numba import typeof

from umapcore._kit import processor
from umapcore._kit.precompiled.build import form_of
from umapcore._kit.precompiled.words import pack
from umapcore.cli import precompile

if TYPE_CHECKING:
    from pathlib import Path

Pair = namedtuple("Pair", ["first", "second"])
MATRIX = np.arange(12.0).reshape(3, 4)


def packed(value: Any) -> tuple[list[int], str]:
    words: list[int] = []
    form: list[str] = []
    pack(value, words, form)
    return words, "".join(form)


@pytest.mark.parametrize(
    "value",
    [
        *(0, -5, 2**62, 2**63, True, 1.5, None, (), (0,), (0, 0), (1, 2.0, (np.uint64(3),))),
        *(
            np.float32(1.5),
            np.float64(2.5),
            np.int32(-1),
            np.uint32(1),
            np.uint64(2**63),
            np.int8(1),
        ),
        *(MATRIX, MATRIX.T, MATRIX[:, ::2], MATRIX[0], MATRIX[:, 1], MATRIX[:0], np.array(1.0)),
        *(np.zeros(3, kind) for kind in (np.bool_, np.float32, np.uint16, np.int64, np.uint64)),
        Pair(MATRIX, np.int32(1)),
        Pair(Pair(1, 2.0), ()),
    ],
)
def test_forms_are_named_as_numba_types_them(value: Any) -> None:
    assert packed(value)[1] == form_of(typeof(value))


def test_words() -> None:
    address = MATRIX.ctypes.data
    assert packed((7, np.float32(1.0), True, None))[0] == [7, 0x3F800000, 1, 0]
    assert packed(1.0)[0] == [0x3FF0000000000000]
    assert packed(MATRIX[:, ::2])[0] == [0, 0, 6, 8, address, 3, 2, 32, 16]


@pytest.mark.parametrize(
    "value", ["a", [1], object(), np.zeros(1, ">f4"), np.ones(9, "u1")[1:].view("f4")]
)
def test_other_values_have_forms_of_no_kernel(value: Any) -> None:
    form = packed(value)[1]
    assert form == "?" or form.startswith(">") or form.endswith("?")


def test_levels_are_those_that_the_compiler_sees() -> None:
    from llvmlite import binding

    has = binding.get_host_cpu_features()
    wanted = [
        ("x86-64-v2", has.get("sse4.2")),
        ("x86-64-v3", has.get("avx2") and has.get("fma") and has.get("f16c")),
        ("x86-64-v4", has.get("avx512f") and has.get("avx512bw") and has.get("avx512vl")),
        ("aarch64", has.get("neon")),
    ]
    assert list(processor.levels_of_this_machine()) == [name for name, here in wanted if here]


@pytest.fixture
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", processor.CHOICE):
        monkeypatch.delenv(name, raising=False)
    processor.level.cache_clear()
    yield
    processor.level.cache_clear()


@pytest.mark.usefixtures("_no_choice")
def test_the_choice_of_a_level(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = processor.levels_of_this_machine()
    assert processor.level() == (levels[-1] if levels else None)
    for chosen, taken in [("compile", None), *((level, level) for level in levels)]:
        processor.level.cache_clear()
        monkeypatch.setenv(processor.CHOICE, chosen)
        assert processor.level() == taken
    processor.level.cache_clear()
    monkeypatch.setenv(processor.CHOICE, "x86-64-v5")
    with pytest.raises(ValueError, match=r"UMAPCORE_KERNELS='x86-64-v5' is not allowed.*'compile'"):
        processor.level()


KERNELS = """
from typing import NamedTuple
import numpy as np
from umapcore._kit.jit import kernel

class Bundle(NamedTuple):
    x: object
    scale: object

@kernel(allocates=False)
def scaled_sum(bundle, dims):
    total = bundle.x[0] * np.float32(0.0)
    for i in range(bundle.x.shape[0]):
        total += bundle.x[i]
    return total * bundle.scale * np.float32(len(dims))

@kernel()
def squares(n, out):
    some = np.empty(n, np.int64)
    for i in range(n):
        some[i] = {factor} * i
    for i in range(n):
        out[i] = some[i]
    return n, np.uint64(n) << np.uint64(60), 0.5, np.float32(0.25)

@kernel(allocates=False)
def nothing(a, b):
    if b:
        a[0] = 7

def use(x):
    out = np.zeros(8, np.int64)
    found = squares(8, out[::2][:4].repeat(2)), squares(4, out[::2])
    nothing.bound(True)(out)
    nothing(out[1:], np.bool_(False))
    return scaled_sum(Bundle(x, np.float32(3)), (0, 0)), found, out.tolist()
"""
RUN = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from umapcore._kit.precompiled import library
library.FOLDER = Path({folder!r})
import numpy as np
import umapcore_kernels
print(umapcore_kernels.use(np.arange(6, dtype=np.float32)[::-2]), "numba" in sys.modules)
"""
BUILD = """
from umapcore._kit.precompiled.build import build
from umapcore._kit.processor import level
build({level!r}, library.FOLDER)
"""
RESULT = "54.0, ((8, 9223372036854775808, 0.5, 0.25), (4, 4611686018427387904, 0.5, 0.25)), "
LEVELS = processor.levels_of_this_machine()


def run(folder: Path, code: str = RUN, **environment: str) -> tuple[str, str]:
    path = [str(folder), *(p for p in sys.path if p)]
    without = {"NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", processor.CHOICE}
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(
        [sys.executable, "-c", code.format(path=path, folder=str(folder), level=LEVELS[-1])],
        env={**inherited, "NUMBA_CACHE_DIR": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


needs_linker = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc").split()[0]) is None or not LEVELS,
    reason="needs a C compiler to link with, and a processor for which code is shipped",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "umapcore_kernels.py").write_text(KERNELS.format(factor=10))
    run(folder, RUN + BUILD, UMAPCORE_KERNELS="compile")
    shutil.rmtree(folder / "cache")
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir()
    for file in built.iterdir():
        if file.is_file():
            text = file.read_bytes().replace(str(built).encode(), str(tmp_path).encode())
            (tmp_path / file.name).write_bytes(
                text if file.suffix == ".json" else file.read_bytes()
            )
    return tmp_path


@needs_linker
def test_shipped_kernels_need_no_compiler(folder: Path) -> None:
    expected = f"({RESULT}[7, 0, 10, 0, 20, 0, 30, 0])"
    assert run(folder) == (f"{expected} False", "")
    assert run(folder, UMAPCORE_KERNELS="compile")[0] == f"{expected} True"


@needs_linker
def test_a_changed_source_is_compiled(folder: Path) -> None:
    (folder / "umapcore_kernels.py").write_text(KERNELS.format(factor=20))
    printed, said = run(folder)
    assert printed == f"({RESULT}[7, 0, 20, 0, 40, 0, 60, 0]) True"
    assert "umapcore_kernels.py has changed: kernels are compiled" in said


@needs_linker
@pytest.mark.parametrize("ending", [".kernels", ".json"])
def test_a_damaged_library_is_not_used(folder: Path, ending: str) -> None:
    file = folder / f"{LEVELS[-1]}{ending}"
    file.write_bytes(file.read_bytes()[:100])
    printed, said = run(folder)
    assert printed.startswith(f"({RESULT}")
    assert printed.endswith("True")
    assert "the shipped kernels cannot be used, so they are compiled" in said


@needs_linker
def test_types_that_were_not_foreseen_are_compiled(folder: Path) -> None:
    more = RUN + "print(umapcore_kernels.squares(2, np.zeros(2, np.int32)))"
    assert run(folder, more)[0].endswith("False\n(2, 2305843009213693952, 0.5, 0.25)")


@needs_linker
def test_failed_allocations_raise(folder: Path) -> None:
    more = RUN + (
        "try: umapcore_kernels.squares(2**60, np.zeros(2, np.int64))\n"
        "except MemoryError as error: print(error, 'numba' in sys.modules)"
    )
    assert run(folder, more)[0].endswith("a kernel could not allocate memory False")


@needs_linker
def test_kernels_that_need_numbas_runtime_are_refused(tmp_path: Path) -> None:
    (tmp_path / "umapcore_kernels.py").write_text(
        "from umapcore._kit.jit import kernel\n\n"
        "@kernel()\ndef use(x):\n    return x.reshape(-1)[0]\n"
    )
    refused = BUILD.replace("build(", "try: build(").rstrip() + (
        "\nexcept RuntimeError as error: print(error)"
    )
    said, _ = run(tmp_path, RUN.replace("[::-2]", "") + refused, UMAPCORE_KERNELS="compile")
    assert said.endswith("kernels that call numba_attempt_nocopy_reshape cannot be shipped")


def test_only_levels_of_this_machine_are_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        precompile.main(["x86-64-v9"])
    assert "'x86-64-v9' is not one of" in capsys.readouterr().err
