"""Vectors of eight lanes as values in kernels: ``x * s + 1.0`` works on all lanes at once.

A compiler that must vectorise a loop by itself often fails, or vectorises the wrong loop. These
are vectors of LLVM's intermediate language, which LLVM maps to the instructions of the processor.
Lanes are added and multiplied separately, so the bits do not depend on the processor.

A scalar next to a vector stands for a vector with that value in all lanes. Comparisons return
vectors of booleans, for :func:`where` and :func:`any_lane`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from umapcore._kit.jit import inline, intrinsic
from umapcore._kit.later import Later, types

#: Their type and their operators.
vectors = Later("umapcore._kit.vectors")

#: Lanes of a vector, as many as the widest vectors of processors have float64 numbers.
SIMD_WIDTH = 8
_INT32 = ir.IntType(32)


@intrinsic
def where(typingctx: Any, mask: Any, a: Any, b: Any) -> Any:
    """Select `a` in lanes where `mask` is true, else `b`; at least one of them is a vector."""
    kind = vectors.kind_of(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pairs = zip(signature.args[1:], args[1:], strict=True)
        both = (vectors.vector_of(context, builder, kind, *each) for each in pairs)
        return builder.select(args[0], *both)

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

    return vectors.Lanes(types.int32)(vector), codegen


@intrinsic
def fill(typingctx: Any, value: Any) -> Any:
    """Return a vector with a number in all lanes."""
    kind = vectors.Lanes(value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return vectors.vector_of(context, builder, kind, value, args[0])

    return kind(value), codegen


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Return a pointer to the vector at index ``args[1]`` of the array ``args[0]``."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    kind = context.get_value_type(vectors.Lanes(signature.args[0].dtype))
    return builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())


@intrinsic
def load(typingctx: Any, array: Any, at: Any) -> Any:
    """Return the eight numbers from index `at` (uint64) of a contiguous 1-D array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _place(context, builder, signature, args)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return vectors.Lanes(array.dtype)(array, types.uint64), codegen


@intrinsic
def store(typingctx: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector to a contiguous 1-D array, from index `at` (uint64)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _place(context, builder, signature, args)
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, vector), codegen


@intrinsic
def same_bits(typingctx: Any, value: Any) -> Any:
    """Reinterpret the bits of a float as an integer, or the reverse; also of vectors."""
    pairs = ((types.float32, types.int32), (types.float64, types.int64))
    others = {kind: other for pair in pairs for kind, other in (pair, pair[::-1])}
    is_vector = isinstance(value, vectors.Lanes)
    other = vectors.Lanes(others[value.element]) if is_vector else others[value]

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

    return vectors.Lanes(types.int64)(vector), codegen
