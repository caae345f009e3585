"""Prefetching of cache lines."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import types

_INT32 = ir.IntType(32)
_BYTE_POINTER = ir.IntType(8).as_pointer()
_TO_READ, _TO_WRITE, _KEEP, _DATA = (ir.Constant(_INT32, value) for value in (0, 1, 3, 1))

#: Number of 32-bit numbers on a cache line.
LINE = 16


def _prefetch(context: Any, builder: Any, signature: Any, args: Any, purpose: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    place = builder.bitcast(builder.gep(data, [args[1]]), _BYTE_POINTER)
    kind = ir.FunctionType(ir.VoidType(), [_BYTE_POINTER, _INT32, _INT32, _INT32])
    known = builder.module.globals.get("llvm.prefetch")
    function = known or ir.Function(builder.module, kind, "llvm.prefetch")
    builder.call(function, [place, purpose, _KEEP, _DATA])
    return context.get_dummy_value()


@intrinsic
def prefetch_to_read(typingctx: Any, array: Any, i: Any) -> Any:
    """Prefetch the cache line of element `i` (uint64) of a contiguous array for reading."""
    signature = types.void(array, types.uint64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _prefetch(context, builder, signature, args, _TO_READ)

    return signature, codegen


@intrinsic
def prefetch_to_write(typingctx: Any, array: Any, i: Any) -> Any:
    """Prefetch the cache line of element `i` of a contiguous array for writing.

    If another core wrote the line last, this core gets it in one step. It need not first read the
    line and then request the right to write it.
    """
    signature = types.void(array, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _prefetch(context, builder, signature, args, _TO_WRITE)

    return signature, codegen
