"""Independent chains of operations with interleaved instructions, in LLVM's own vectors.

A chain is the computation of one force: a sequence of some fifty operations, most of which depend
on the one before. It takes about a hundred cycles. Chains do not depend on each other. If they
follow one another, a core looks ahead only far enough to overlap two or three of them (measured on
Zen 4: 0.87 ns for one repulsion of a lane). If the instructions of ten chains are interleaved, the
core need not look ahead at all (0.60 ns), and intermediates stay in registers.

Vectors are of float32 or int32. The formulas are those of :mod:`umapcore_numba.floats`, operation
for operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir

from umapcore._kit.processor import AVX512
from umapcore_numba import floats

if TYPE_CHECKING:
    from collections.abc import Callable

#: Lanes of a vector. LLVM splits it where the vectors of the processor are narrower.
WIDTH = 16 if AVX512 else 8

VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
_INTS = ir.VectorType(ir.IntType(32), WIDTH)


class Interleaved:
    """One vector of every chain; each operation is written out for one chain after the other.

    An operand is an `Interleaved` of as many chains, or one number for all chains.
    """

    #: With this, NumPy's numbers leave operators to this class.
    __array_ufunc__ = None

    def __init__(self, builder: Any, vectors: list[Any]) -> None:
        self.vectors = vectors
        self._builder = builder

    def __add__(self, other: Any) -> Interleaved:
        return self._apply(self._builder.fadd if self._real else self._builder.add, other)

    def __sub__(self, other: Any) -> Interleaved:
        return self._apply(self._builder.fsub if self._real else self._builder.sub, other)

    def __mul__(self, other: Any) -> Interleaved:
        return self._apply(self._builder.fmul, other)

    def __rtruediv__(self, other: Any) -> Interleaved:
        return self._apply(lambda x, y: self._builder.fdiv(y, x), other)

    def __and__(self, other: Any) -> Interleaved:
        return self._apply(self._builder.and_, other)

    def __lshift__(self, other: Any) -> Interleaved:
        return self._apply(self._builder.shl, other)

    def __rshift__(self, other: Any) -> Interleaved:
        return self._apply(self._builder.ashr, other)

    # The next methods compare the bits of float32 numbers as integers. Positive numbers have the
    # same order in both forms. Comparisons of float32 would share two of a core's pipes with
    # additions (7 % of a repulsion).

    def at_least(self, least: Any) -> Interleaved:
        """Return the greater of each number and a limit; neither may be negative."""
        return self._choose(self._builder.icmp_signed, ">", self._bits_of(least))

    def at_most(self, most: Any) -> Interleaved:
        """Return the lesser of each number, of any sign, and a limit that is not negative."""
        return self._choose(self._builder.icmp_signed, "<", self._bits_of(most))

    def within(self, most: Any) -> Interleaved:
        """Limit numbers of any sign to [-most, most].

        As unsigned integers, all positive numbers are less than -most, and the negative numbers
        outside of the limits are greater.
        """
        least = self._builder.fneg(most) if isinstance(most, ir.Value) else -most
        return self._choose(self._builder.icmp_unsigned, "<", self._bits_of(least)).at_most(most)

    def bits(self) -> Interleaved:
        """Return the bits of float32 numbers as int32."""
        return self._convert(self._builder.bitcast, _INTS)

    def floats_of(self) -> Interleaved:
        """Return the float32 numbers that have the bits of int32."""
        return self._convert(self._builder.bitcast, VECTOR)

    def to_floats(self) -> Interleaved:
        """Convert int32 numbers to float32."""
        return self._convert(self._builder.sitofp, VECTOR)

    @property
    def _real(self) -> bool:
        return bool(self.vectors[0].type == VECTOR)

    def _apply(self, operation: Callable[[Any, Any], Any], other: Any) -> Interleaved:
        others = self._operands(other)
        pairs = zip(self.vectors, others, strict=True)
        return Interleaved(self._builder, [operation(x, y) for x, y in pairs])

    def _choose(self, compare: Callable[..., Any], relation: str, limit: Any) -> Interleaved:
        def choose(x: Any, y: Any) -> Any:
            return self._builder.select(compare(relation, x, y), x, y)

        return self.bits()._apply(choose, limit).floats_of()

    def _bits_of(self, number: Any) -> Any:
        if isinstance(number, ir.Value):
            return self._builder.bitcast(number, _INTS)
        return number.view("int32")

    def _convert(self, operation: Callable[[Any, Any], Any], kind: Any) -> Interleaved:
        return Interleaved(self._builder, [operation(x, kind) for x in self.vectors])

    def _operands(self, other: Any) -> list[Any]:
        if isinstance(other, Interleaved):
            return other.vectors
        if not isinstance(other, ir.Value):
            kind = VECTOR if self._real else _INTS
            other = ir.Constant(kind, [other.item()] * WIDTH)
        return [other] * len(self.vectors)


def spread(builder: Any, number: Any, width: int = WIDTH) -> Any:
    """Return a vector whose lanes all hold a number that is known at run time only."""
    nothing = ir.Constant(ir.VectorType(number.type, width), ir.Undefined)
    first = ir.Constant(ir.IntType(32), 0)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(
        builder.insert_element(nothing, number, first), nothing, everywhere
    )


def log2(x: Interleaved) -> Interleaved:
    """Apply :func:`umapcore_numba.floats.log2` to every chain."""
    bits = x.bits()
    exponent = (bits - floats.SQRT_HALF_BITS) >> floats.EXPONENT_SHIFT
    u = (bits - (exponent << floats.EXPONENT_SHIFT)).floats_of() - floats.ONE
    u2 = u * u
    low = exponent.to_floats() + u * floats.LOG2_C0
    high = (u * floats.LOG2_C2 + floats.LOG2_C1) + u2 * (u * floats.LOG2_C4 + floats.LOG2_C3)
    return low + u2 * high


def exp2(z: Interleaved) -> Interleaved:
    """Apply :func:`umapcore_numba.floats.exp2` to every chain."""
    z = z.within(floats.EXPONENT_LIMIT)
    shifted = z + floats.ROUNDER
    f = z - (shifted - floats.ROUNDER)
    f2 = f * f
    p = (f * floats.EXP2_C1 + floats.EXP2_C0) + f2 * (
        (f * floats.EXP2_C3 + floats.EXP2_C2) + f2 * floats.EXP2_C4
    )
    return (p.bits() + (shifted.bits() << floats.EXPONENT_SHIFT)).floats_of()


def reciprocal(x: Interleaved) -> Interleaved:
    """Apply :func:`umapcore_numba.floats.reciprocal` to every chain."""
    return floats.ONE / (x.at_most(floats.RECIPROCAL_LIMIT).bits() & floats.EVEN).floats_of()
