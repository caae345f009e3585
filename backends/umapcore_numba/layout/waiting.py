"""Waiting for another worker: a hint to the processor, and yielding the processor."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

from llvmlite import binding, ir

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import types

_VOID = ir.FunctionType(ir.VoidType(), [])
_INT32 = ir.IntType(32)
#: LLVM's name of the instruction that marks a waiting loop, and its arguments. The instruction
#: saves power and leaves more of the core to another thread on it.
_HINTS: dict[str, tuple[str, list[ir.Constant]]] = {
    "x86_64": ("llvm.x86.sse2.pause", []),
    "amd64": ("llvm.x86.sse2.pause", []),
    "aarch64": ("llvm.aarch64.hint", [ir.Constant(_INT32, 1)]),
    "arm64": ("llvm.aarch64.hint", [ir.Constant(_INT32, 1)]),
}
_HINT = _HINTS.get(platform.machine().lower())

# Cached kernels refer to the function by name; its address is looked up when they are loaded.
_YIELD = "umapcore_yield_processor"
if sys.platform == "win32":
    _function = ctypes.windll.kernel32.SwitchToThread
else:
    _function = ctypes.CDLL(None).sched_yield
binding.add_symbol(_YIELD, ctypes.cast(_function, ctypes.c_void_p).value)


@intrinsic
def pause(typingctx: Any) -> Any:
    """Wait for a few dozen cycles."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _HINT is not None:
            name, values = _HINT
            known = builder.module.globals.get(name)
            kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
            builder.call(known or ir.Function(builder.module, kind, name), values)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def yield_processor(typingctx: Any) -> Any:
    """Let another thread use the processor, if one is ready to run."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        known = builder.module.globals.get(_YIELD)
        builder.call(known or ir.Function(builder.module, _VOID, _YIELD), [])
        return context.get_dummy_value()

    return types.void(), codegen
