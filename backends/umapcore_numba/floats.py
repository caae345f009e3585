"""The arithmetic that every backend shares: the power function and its parts.

Only ``+ - * /``, integer operations, selects, bit casts and in-range conversions are used, all
in float32 or in explicit integer widths and in one written order. Do not use libm or fused
multiply-add: their rounding differs between machines, while the package promises the same bits on
all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from umapcore._kit.jit import inline, intrinsic
from umapcore._kit.later import types

# numba types a bare literal as float64 or int64, which would silently widen the whole expression.
ZERO = np.float32(0.0)
ONE = np.float32(1.0)
HALF = np.float32(0.5)
TWO = np.float32(2.0)

# log2(1 + u) / u on [sqrt(1/2) - 1, sqrt(2) - 1]: minimax polynomial, error of log2 below 1.5e-5.
LOG2_C0 = np.float32(1.4425785541534424)
LOG2_C1 = np.float32(-0.7202425599098206)
LOG2_C2 = np.float32(0.4866759479045868)
LOG2_C3 = np.float32(-0.39456719160079956)
LOG2_C4 = np.float32(0.2526974380016327)
# 2**f on [-1/2, 1/2]: minimax polynomial, relative error below 2.6e-6.
EXP2_C0 = np.float32(0.9999992847442627)
EXP2_C1 = np.float32(0.6931217908859253)
EXP2_C2 = np.float32(0.240247443318367)
EXP2_C3 = np.float32(0.05591785907745361)
EXP2_C4 = np.float32(0.009570102207362652)

# Larger numbers count as this, since their reciprocals are not normal.
RECIPROCAL_LIMIT = np.float32(2.0**125)
# All bits but the last.
EVEN = np.int32(-2)

SQRT_HALF_BITS = np.int32(0x3F3504F3)
EXPONENT_SHIFT = np.int32(23)
# Adding 1.5 * 2**23 leaves the nearest integer in the low bits of the sum.
ROUNDER = np.float32(12582912.0)
# Exponents outside of [-125, 125] would overflow to infinity or leave the normal numbers.
EXPONENT_LIMIT = np.float32(125.0)


@intrinsic
def bits_of(typingctx: Any, value: Any) -> Any:
    """Return the bits of a float32 as int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@intrinsic
def float_of(typingctx: Any, bits: Any) -> Any:
    """Return the float32 that has the given int32 bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@inline
def log2(x: np.float32) -> np.float32:
    """Compute log2(x) of a positive normal float32, absolute error below 1.6e-5."""
    bits = bits_of(x)
    exponent = np.int32(np.int32(bits - SQRT_HALF_BITS) >> EXPONENT_SHIFT)
    u = float_of(np.int32(bits - np.int32(exponent << EXPONENT_SHIFT))) - ONE
    # Estrin's scheme: its chain of dependent operations is half as long as Horner's.
    u2 = u * u
    low = np.float32(exponent) + u * LOG2_C0
    high = (LOG2_C1 + u * LOG2_C2) + u2 * (LOG2_C3 + u * LOG2_C4)
    return low + u2 * high


@inline
def exp2(z: np.float32) -> np.float32:
    """Compute 2**z of a float32, relative error below 3e-6, z clamped to [-125, 125]."""
    z = min(max(z, -EXPONENT_LIMIT), EXPONENT_LIMIT)
    shifted = z + ROUNDER
    f = z - (shifted - ROUNDER)
    f2 = f * f
    p = (EXP2_C0 + f * EXP2_C1) + f2 * ((EXP2_C2 + f * EXP2_C3) + f2 * EXP2_C4)
    # The low bits of `shifted` are the rounded exponent; the shift discards its upper bits.
    return float_of(np.int32(bits_of(p) + np.int32(bits_of(shifted) << EXPONENT_SHIFT)))


@inline
def reciprocal(x: np.float32) -> np.float32:
    """Compute 1 / min(x, 2**125) of a positive normal float32, relative error below 1.8e-7.

    It divides by x without its last bit. A GPU's own division has a branch for results that are not
    normal; for such an x, a few of its operations give the rounded result without a branch.
    """
    return ONE / float_of(np.int32(bits_of(min(x, RECIPROCAL_LIMIT)) & EVEN))


@inline
def clip(x: np.float32, limit: np.float32) -> np.float32:
    """Limit x to [-limit, limit]."""
    return min(max(x, -limit), limit)
