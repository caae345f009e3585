"""Make the shared library of the kernels that this process has compiled.

numba compiles each kernel to a module of LLVM's language. They are linked to one module, in which
every kernel gets an entry that takes its arguments as words
(:mod:`umapcore._kit.precompiled.words`). LLVM compiles it, and the system's C compiler links it.
Nothing of numba or Python is left in it; memory comes from ``malloc``.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core.registry import cpu_target
from numba.np import numpy_support

from umapcore._kit.jit import KERNELS
from umapcore._kit.later import types
from umapcore._kit.precompiled.library import ENDING, digest_of
from umapcore._kit.sources import files_of

_WORD = ir.IntType(64)
_STATUS = ir.IntType(32)
_BYTES = ir.IntType(8).as_pointer()

#: What kernels may call: functions that are in every process, and roots, which are instructions.
_SYSTEM = {
    *("malloc", "free", "memset", "memcpy", "memmove", "sched_yield", "SwitchToThread"),
    *("sqrt", "sqrtf"),
}

# Kernels allocate with these functions of numba's runtime. A block begins with numba's description
# of it: references, two words about its end, the address of the data, and two words more.
_RUNTIME = """
declare i8* @malloc(i64)
declare void @free(i8*)

define i8* @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %wide = zext i32 %align to i64
  %room = add i64 %wide, 48
  %total = add i64 %size, %room
  %block = call i8* @malloc(i64 %total)
  %found = icmp ne i8* %block, null
  br i1 %found, label %describe, label %end
describe:
  %address = ptrtoint i8* %block to i64
  %last = add i64 %room, -1
  %beyond = add i64 %address, %last
  %mask = sub i64 0, %wide
  %data = and i64 %beyond, %mask
  %words = bitcast i8* %block to i64*
  store i64 1, i64* %words
  %place = getelementptr i64, i64* %words, i64 3
  store i64 %data, i64* %place
  br label %end
end:
  ret i8* %block
}

define void @NRT_MemInfo_call_dtor(i8* %block) {
  call void @free(i8* %block)
  ret void
}
"""


def build(level: str, folder: Path) -> Path:
    """Write the library of all kernels that have been compiled in this process, and its list.

    Parameters
    ----------
    level
        The level of processors that numba compiles for; it names the files.
    folder
        Where to write; it is made if need be.

    Returns
    -------
    Path of the library.

    Raises
    ------
    RuntimeError
        When a kernel needs something that the library does not have, or when linking fails.
    """
    compiled = [
        (kernel, result)
        for kernel in sorted(KERNELS, key=lambda kernel: kernel.name)
        if kernel.is_compiled
        for result in kernel.dispatcher.overloads.values()
    ]
    entries = ir.Module("umapcore")
    described: dict[str, dict[str, tuple[str, str]]] = {}
    sources: set[Path] = set()
    for number, (kernel, result) in enumerate(compiled):
        symbol = f"umapcore_{number}"
        returned = _add_entry(entries, symbol, result)
        form = "".join(map(form_of, result.signature.args))
        described.setdefault(kernel.name, {})[form] = (symbol, returned)
        sources |= files_of(kernel.function.__module__)
    module = _linked(str(entries), [result.library for _, result in compiled])
    path = folder / f"{level}{ENDING}"
    folder.mkdir(parents=True, exist_ok=True)
    _write(module, path)
    root = Path(__file__).parents[3]
    names = {_name(file, root): digest_of(file) for file in sorted(sources)}
    text = json.dumps({"level": level, "kernels": described, "sources": names}, indent=0)
    path.with_suffix(".json").write_text(text, "utf-8")
    return path


def _name(file: Path, root: Path) -> str:
    """Return a source file's name as it is where the package is installed."""
    inside = file.resolve().is_relative_to(root.resolve())
    name = file.resolve().relative_to(root.resolve()) if inside else file.resolve()
    return name.as_posix().removeprefix("backends/")


def form_of(kind: Any) -> str:
    """Return what `words.pack` calls the form of an argument of a type of numba's."""
    if isinstance(kind, types.BaseNamedTuple):
        return f"{kind.instance_class.__name__}({''.join(map(form_of, kind.types))})"
    if isinstance(kind, types.BaseTuple):
        return f"tuple({''.join(map(form_of, kind))})"
    if isinstance(kind, types.Array):
        return f"{numpy_support.as_dtype(kind.dtype).str}{kind.ndim}{kind.layout}"
    if isinstance(kind, types.NoneType):
        return "None"
    return str(np.dtype(numpy_support.as_dtype(kind)).str)


def _add_entry(entries: ir.Module, symbol: str, result: Any) -> str:
    """Define the function that unpacks words and calls a kernel; describe what it returns."""
    context, signature = cpu_target.target_context, result.signature
    kind = context.call_conv.get_function_type(signature.return_type, signature.args)
    kernel = ir.Function(entries, kind, result.fndesc.llvm_func_name)
    place_of_words = ir.IntType(64).as_pointer()
    entry = ir.Function(entries, ir.FunctionType(_STATUS, [place_of_words] * 2), symbol)
    if sys.platform == "win32":
        entry.storage_class = "dllexport"
    builder = ir.IRBuilder(entry.append_basic_block())
    found = builder.alloca(kind.args[0].pointee)
    failure = builder.alloca(kind.args[1].pointee)
    given = []
    for number, wanted in enumerate(kind.args[2:]):
        place = builder.gep(entry.args[0], [ir.Constant(_STATUS, number)])
        given.append(_from_word(builder, builder.load(place), wanted))
    status = builder.call(kernel, [found, failure, *given])
    returned: list[str] = []
    if not isinstance(signature.return_type, types.NoneType):
        leaves = list(_leaves(builder, builder.load(found), signature.return_type))
        for number, (letter, word) in enumerate(leaves):
            returned.append(letter)
            builder.store(word, builder.gep(entry.args[1], [ir.Constant(_STATUS, number)]))
    builder.ret(status)
    letters = "".join(returned)
    return f"({letters})" if isinstance(signature.return_type, types.BaseTuple) else letters


def _from_word(builder: Any, word: Any, wanted: Any) -> Any:
    if isinstance(wanted, ir.PointerType):
        return builder.inttoptr(word, wanted)
    if isinstance(wanted, ir.DoubleType):
        return builder.bitcast(word, wanted)
    if isinstance(wanted, ir.FloatType):
        return builder.bitcast(builder.trunc(word, ir.IntType(32)), wanted)
    return word if wanted == _WORD else builder.trunc(word, wanted)


def _leaves(builder: Any, value: Any, kind: Any) -> Any:
    """Yield the numbers in a value: what the module struct calls them, and their words."""
    if isinstance(kind, types.BaseTuple):
        for number, inner in enumerate(kind):
            yield from _leaves(builder, builder.extract_value(value, number), inner)
    elif isinstance(kind, types.Float):
        if kind.bitwidth < 64:
            value = builder.fpext(value, ir.DoubleType())
        yield "d", builder.bitcast(value, _WORD)
    elif isinstance(kind, types.Integer) and kind.signed:
        yield "q", value if value.type == _WORD else builder.sext(value, _WORD)
    elif isinstance(kind, types.Integer):
        yield "Q", value if value.type == _WORD else builder.zext(value, _WORD)
    else:
        msg = f"a kernel that returns {kind} cannot be shipped"
        raise RuntimeError(msg)


def _linked(entries: str, libraries: list[Any]) -> Any:
    """Return one module with all kernels, in which only the entries are visible."""
    module = binding.parse_assembly(entries)
    visible = {function.name for function in module.functions if not function.is_declaration}
    for each in [binding.parse_assembly(_RUNTIME), *map(_copy_of, libraries)]:
        module.link_in(each)
    for value in [*module.functions, *module.global_variables]:
        if not value.is_declaration and value.name not in visible:
            value.linkage = "internal"
    return module


def _copy_of(library: Any) -> Any:
    return binding.parse_bitcode(library._final_module.as_bitcode())


def _write(module: Any, path: Path) -> None:
    """Compile a module for the processor that numba compiles for, and link it."""
    codegen = cpu_target.target_context.codegen()
    triple, name, features = codegen.magic_tuple()
    if sys.platform == "win32":
        triple = "x86_64-w64-windows-gnu"  # what MinGW's compiler links
    machine = binding.Target.from_triple(triple).create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="default"
    )
    module.triple = triple
    module.data_layout = str(machine.target_data)
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(3))
    passes = binding.create_new_module_pass_manager()
    if hasattr(passes, "add_global_dead_code_eliminate_pass"):
        passes.add_global_dead_code_eliminate_pass()
    else:  # llvmlite 0.44 has it only together with all others
        passes = builder.getModulePassManager()
    passes.run(module, builder)
    module.verify()
    needed = {function.name for function in module.functions if function.is_declaration}
    foreign = [name for name in needed - _SYSTEM if not name.startswith("llvm.")]
    if foreign:
        msg = f"kernels that call {', '.join(sorted(foreign))} cannot be shipped"
        raise RuntimeError(msg)
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "kernels.o"
        compiled.write_bytes(machine.emit_object(module))
        compiler = shlex.split(os.environ.get("CC", "gcc" if sys.platform == "win32" else "cc"))
        options = ["-shared", "-o", str(path), str(compiled)]
        done = subprocess.run([*compiler, *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{' '.join(compiler)} could not link the kernels: {done.stderr.strip()}"
        raise RuntimeError(msg)
