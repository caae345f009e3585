"""Vectors of eight lanes as values in kernels: ``x * s + 1.0`` works on all lanes at once.

A compiler that must vectorise a loop by itself often fails, or vectorises the wrong loop. These
are vectors of LLVM's intermediate language, which LLVM maps to the instructions of the processor.
Lanes are added and multiplied separately, so the bits do not depend on the processor.

A scalar next to a vector stands for a vector with that value in all lanes. Comparisons return
vectors of booleans, for :func:`where` and :func:`any_lane`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

from umapcore._kit.jit import inline

if TYPE_CHECKING:
    from collections.abc import Callable

#: Lanes of a vector, as many as the widest vectors of processors have float64 numbers.
SIMD_WIDTH = 8
_INT32 = ir.IntType(32)


class Lanes(types.Type):
    """numba type of a vector in kernels."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"Lanes({element})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        bits = kind.element == types.boolean
        element = ir.IntType(1) if bits else manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, SIMD_WIDTH))


def _vector(context: Any, builder: Any, kind: Any, given: Any, value: Any) -> Any:
    """Return a value as a vector of type `kind`."""
    if isinstance(given, Lanes):
        return value
    value = context.cast(builder, value, given, kind.element)
    undefined = ir.Constant(context.get_value_type(kind), ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(_INT32, 0))
    first = ir.Constant(ir.VectorType(_INT32, SIMD_WIDTH), [0] * SIMD_WIDTH)
    return builder.shuffle_vector(single, undefined, first)


def _kind_of(*given: Any) -> Any:
    """Return the first vector type among some types, or None."""
    return next((each for each in given if isinstance(each, Lanes)), None)


def _define(
    operation: Callable[[Any, Any], Any],
    of_floats: Callable[[Any, Any, Any], Any] | None,
    of_integers: Callable[[Any, Any, Any], Any] | None,
    *,
    compares: bool = False,
) -> None:
    """Define an operator on vectors, from functions that build its LLVM instruction."""

    @intrinsic
    def apply(typingctx: Any, a: Any, b: Any) -> Any:
        kind = _kind_of(a, b)
        build = of_floats if isinstance(kind.element, types.Float) else of_integers
        if build is None:
            return None

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pairs = zip(signature.args, args, strict=True)
            return build(builder, *(_vector(context, builder, kind, *each) for each in pairs))

        return (Lanes(types.boolean) if compares else kind)(a, b), codegen

    @overload(operation, strict=False)
    def _(a: Any, b: Any) -> Any:
        return (lambda a, b: apply(a, b)) if _kind_of(a, b) is not None else None


_define(operator.add, lambda on, a, b: on.fadd(a, b), lambda on, a, b: on.add(a, b))
_define(operator.sub, lambda on, a, b: on.fsub(a, b), lambda on, a, b: on.sub(a, b))
_define(operator.mul, lambda on, a, b: on.fmul(a, b), lambda on, a, b: on.mul(a, b))
_define(operator.truediv, lambda on, a, b: on.fdiv(a, b), None)
_define(operator.or_, None, lambda on, a, b: on.or_(a, b))
_define(operator.and_, None, lambda on, a, b: on.and_(a, b))
_define(operator.lshift, None, lambda on, a, b: on.shl(a, b))
_define(operator.rshift, None, lambda on, a, b: on.ashr(a, b))


def _define_comparison(operation: Callable[[Any, Any], Any], symbol: str) -> None:
    _define(
        operation,
        lambda on, a, b: on.fcmp_ordered(symbol, a, b),
        lambda on, a, b: on.icmp_signed(symbol, a, b),
        compares=True,
    )


_define_comparison(operator.lt, "<")
_define_comparison(operator.le, "<=")
_define_comparison(operator.gt, ">")
_define_comparison(operator.ge, ">=")
_define_comparison(operator.eq, "==")


@intrinsic
def where(typingctx: Any, mask: Any, a: Any, b: Any) -> Any:
    """Select `a` in lanes where `mask` is true, else `b`; at least one of them is a vector."""
    kind = _kind_of(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pairs = zip(signature.args[1:], args[1:], strict=True)
        return builder.select(args[0], *(_vector(context, builder, kind, *each) for each in pairs))

    return kind(mask, a, b), codegen


@inline
def least(a: Any, b: Any) -> Any:
    """Return the smaller number in each lane; `b` if one is NaN."""
    return where(a < b, a, b)


@inline
def greatest(a: Any, b: Any) -> Any:
    """Return the larger number in each lane; `b` if one is NaN."""
    return where(a > b, a, b)


@intrinsic
def any_lane(typingctx: Any, mask: Any) -> Any:
    """Return whether any lane is true."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(SIMD_WIDTH)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], word), ir.Constant(word, 0))

    return types.boolean(mask), codegen


@intrinsic
def lowest_bit(typingctx: Any, bits: Any) -> Any:
    """Return the place of the lowest bit that is set in an integer other than 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@intrinsic
def add_lanes(typingctx: Any, vector: Any) -> Any:
    """Return the sum of the lanes of a vector of integers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total = builder.extract_element(args[0], ir.Constant(_INT32, 0))
        for lane in range(1, SIMD_WIDTH):
            total = builder.add(total, builder.extract_element(args[0], ir.Constant(_INT32, lane)))
        return total

    return vector.element(vector), codegen


@intrinsic
def sum_of_halves(typingctx: Any, vector: Any) -> Any:
    """Return the sum of the lanes of a vector of floats: halves are added until one number is left.

    That is ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7)).
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, width = args[0], SIMD_WIDTH
        while width > 1:
            width //= 2
            low, high = (_part(builder, total, first, width) for first in (0, width))
            total = builder.fadd(low, high)
        return builder.extract_element(total, ir.Constant(_INT32, 0))

    return vector.element(vector), codegen


@intrinsic
def moved_up(typingctx: Any, before: Any, vector: Any) -> Any:
    """Return a vector's lanes moved up by one; the first becomes the last lane of `before`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = [SIMD_WIDTH - 1 + lane for lane in range(SIMD_WIDTH)]
        return builder.shuffle_vector(*args, ir.Constant(ir.VectorType(_INT32, SIMD_WIDTH), lanes))

    return vector(before, vector), codegen


def _part(builder: Any, vector: Any, first: int, width: int) -> Any:
    """Return some lanes of a vector."""
    order = ir.Constant(ir.VectorType(_INT32, width), [first + lane for lane in range(width)])
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)


@intrinsic
def truncated(typingctx: Any, vector: Any) -> Any:
    """Convert a float32 vector to int32, towards 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fptosi(args[0], ir.VectorType(_INT32, SIMD_WIDTH))

    return Lanes(types.int32)(vector), codegen


@intrinsic
def fill(typingctx: Any, value: Any) -> Any:
    """Return a vector with a number in all lanes."""
    kind = Lanes(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _vector(context, builder, kind, value, args[0])

    return kind(value), codegen


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Return a pointer to the vector at index ``args[1]`` of the array ``args[0]``."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    kind = context.get_value_type(Lanes(signature.args[0].dtype))
    return builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())


@intrinsic
def load(typingctx: Any, array: Any, at: Any) -> Any:
    """Return the eight numbers from index `at` (uint64) of a contiguous 1-D array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _place(context, builder, signature, args)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return Lanes(array.dtype)(array, types.uint64), codegen


@intrinsic
def store(typingctx: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector to a contiguous 1-D array, from index `at` (uint64)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _place(context, builder, signature, args)
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, vector), codegen


_BITS = {
    types.float32: types.int32,
    types.float64: types.int64,
    types.int32: types.float32,
    types.int64: types.float64,
}


@intrinsic
def same_bits(typingctx: Any, value: Any) -> Any:
    """Reinterpret the bits of a float as an integer, or the reverse; also of vectors."""
    other = Lanes(_BITS[value.element]) if isinstance(value, Lanes) else _BITS[value]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(other))

    return other(value), codegen


@intrinsic
def single_bits(typingctx: Any, vector: Any) -> Any:
    """Round a float64 vector to float32 and return the bits as int64, never negative."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        single = builder.fptrunc(args[0], ir.VectorType(ir.FloatType(), SIMD_WIDTH))
        words = builder.bitcast(single, ir.VectorType(_INT32, SIMD_WIDTH))
        return builder.zext(words, ir.VectorType(ir.IntType(64), SIMD_WIDTH))

    return Lanes(types.int64)(vector), codegen
