"""Base-2 logarithms in double precision, with the same bits on every machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def exact_log2(value: float) -> float:
    """Compute the base-2 logarithm of a positive finite number with basic arithmetic only.

    ``math.log2`` may differ in the last bit between maths libraries; this function does not. It
    uses the series of the inverse hyperbolic tangent. The error is a few times 1e-16.
    """
    mantissa, exponent = math.frexp(value)
    if mantissa < 0.7071067811865476:
        mantissa, exponent = 2.0 * mantissa, exponent - 1
    return exponent + float(_log2_of_mantissa(mantissa))


def exact_log2_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute `exact_log2` of each element of an array of positive finite numbers."""
    mantissa, exponent = np.frexp(values)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    found: NDArray[np.float64] = (exponent - low) + _log2_of_mantissa(mantissa)
    return found


def _log2_of_mantissa(mantissa: Any) -> Any:
    s = (mantissa - 1.0) / (mantissa + 1.0)
    total = 0.0 * s
    for k in range(41, 0, -2):  # |s| < 0.172: the omitted terms are below 1e-33
        total = total * s * s + 1.0 / k
    return 2.0 * s * total * 1.4426950408889634
