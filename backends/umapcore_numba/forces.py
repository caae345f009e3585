"""The law of forces: what two points at a given distance exert on each other.

The gradients of UMAP's objective point along the difference of the two points. With p = a d^(2b),
their factors are 2 b p / (d² (1 + p)) for the attraction and 2 b / ((0.001 + d²) (1 + p)) for the
repulsion (McInnes, Healy and Melville 2018, section 3.2). All loops over heads and samples call
these functions; `umapcore_numba.layout.repel_interleaved` has the same formulas for LLVM's vectors.
"""

from __future__ import annotations

import numpy as np

from umapcore._kit.jit import inline
from umapcore.layout import constants
from umapcore_numba.floats import ONE, exp2, log2, reciprocal

TINY = np.float32(constants.TINY)
NEAR = np.float32(constants.NEAR)
CLIP = np.float32(constants.CLIP)


@inline
def curve_exponent(squared: np.float32, b: np.float32, log2_a: np.float32) -> np.float32:
    """Compute log2(a d^(2b)) from d², the only logarithm that a force needs."""
    return b * log2(max(squared, TINY)) + log2_a


@inline
def curve_power(squared: np.float32, b: np.float32, log2_a: np.float32) -> np.float32:
    """Compute p = a d^(2b) from d²."""
    return exp2(curve_exponent(squared, b, log2_a))


@inline
def membership(power: np.float32) -> np.float32:
    """Compute 1 / (1 + p), the membership strength of two points in the embedding."""
    return reciprocal(ONE + power)


@inline
def attraction(squared: np.float32, power: np.float32) -> np.float32:
    """Compute p / (d² (1 + p)) from d² and p."""
    return power * reciprocal(max(squared, TINY) * (ONE + power))


@inline
def repulsion(squared: np.float32, power: np.float32) -> np.float32:
    """Compute 1 / ((0.001 + d²) (1 + p)) from d² and p."""
    return reciprocal((NEAR + squared) * (ONE + power))
