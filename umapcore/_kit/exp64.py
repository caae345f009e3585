"""The exponential function in double precision, with the same bits on every machine.

Kernels that must give the same bits on every processor can use neither libm nor LLVM's vector
libraries. This module uses only ``+ - *``, a select, shifts and bit casts, in a fixed order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore._kit.simd import least, same_bits

_MINUS_LOG2_E = np.float64(-1.0 / math.log(2.0))
# Adding 1.5 * 2**52 puts the nearest integer into the low bits of the sum.
_ROUNDER = np.float64(1.5 * 2.0**52)
_EXPONENT_SHIFT = np.int64(52)
# exp(-700) is 1e-304: far below any float32, but still a normal number.
_LARGEST = np.float64(700.0)
# Taylor series of 2**f; on [-1/2, 1/2] the relative error of ten terms is below 3e-13.
_TERMS = tuple(np.float64(math.log(2.0) ** k / math.factorial(k)) for k in range(11))
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10 = _TERMS


@inline
def exp_of_minus(x: Any) -> Any:
    """Return exp(-x) of float64 lanes, relative error below 1e-12; x is limited to 700.

    Parameters
    ----------
    x
        From 0 to infinity, not NaN.
    """
    z = least(x, _LARGEST) * _MINUS_LOG2_E
    shifted = z + _ROUNDER
    f = z - (shifted - _ROUNDER)
    # Estrin's scheme: a shorter chain of dependent operations than Horner's.
    f2 = f * f
    f4 = f2 * f2
    low = (_C0 + f * _C1) + f2 * (_C2 + f * _C3)
    middle = (_C4 + f * _C5) + f2 * (_C6 + f * _C7)
    high = (_C8 + f * _C9) + f2 * _C10
    p = low + f4 * (middle + f4 * high)
    # The low bits of `shifted` are the rounded exponent; the shift drops its upper bits.
    return same_bits(same_bits(p) + (same_bits(shifted) << _EXPONENT_SHIFT))
