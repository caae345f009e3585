"""Waiting for another worker: a hint to the processor, and yielding the processor."""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import types

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

#: The function of the system, which linkers and numba find by its name.
_YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"


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
        builder.call(known or ir.Function(builder.module, ir.FunctionType(_INT32, []), _YIELD), [])
        return context.get_dummy_value()

    return types.void(), codegen
