"""Operations on pairs of adjacent 32-bit numbers, which are loaded and stored as one word.

LLVM does not merge the two accesses by itself: a write might overlap with the next read.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from umapcore._kit.jit import intrinsic
from umapcore._kit.later import types

_INT64 = ir.IntType(64)
_TWO_INT32 = ir.VectorType(ir.IntType(32), 2)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, pair: Any, kind: Any) -> Any:
    """Return a pointer to a pair of a one-dimensional array."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.shl(pair, ir.Constant(_INT64, 1))
    return builder.bitcast(builder.gep(data, [first]), kind.as_pointer())


@intrinsic
def copy_pair(typingctx: Any, target: Any, i: Any, source: Any, j: Any) -> Any:
    """Copy pair `j` of `source` to pair `i` of `target`: contiguous arrays of 32-bit numbers."""
    signature = types.void(target, types.uint64, source, types.uint64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _pointer(context, builder, signature.args[0], args[0], args[1], _INT64)
        at = _pointer(context, builder, signature.args[2], args[2], args[3], _INT64)
        builder.store(builder.load(at, align=4), to, align=4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def subtract_pair(typingctx: Any, target: Any, i: Any, source: Any, j: Any) -> Any:
    """Subtract pair `j` of `source` from pair `i` of `target`: contiguous arrays of int32."""
    signature = types.void(target, types.uint64, source, types.uint64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _pointer(context, builder, signature.args[0], args[0], args[1], _TWO_INT32)
        at = _pointer(context, builder, signature.args[2], args[2], args[3], _TWO_INT32)
        less = builder.load(at, align=4)
        builder.store(builder.sub(builder.load(to, align=4), less), to, align=4)
        return context.get_dummy_value()

    return signature, codegen
