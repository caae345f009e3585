"""The scale s = 1 / sigma that gives a vertex's weights a required sum; eight vertices at once.

Given the excess distances x of a vertex's neighbours, find the s for which the sum of exp(-x s)
equals the target (McInnes, Healy and Melville 2018, algorithm 3). umap-learn finds sigma by
bisection, until the sum is within 1e-5. Here Newton's method finds the root, with Halley's
correction. It is applied to the logarithm of the sum, where a single exponential is a straight
line. The logarithm is a convex, decreasing function of s, so a Newton step from any point ends
before the root, and the next steps come closer.

Each lane of a group is a vertex. The result of a lane does not depend on the other lanes: its s is
frozen once it is accurate enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.exp64 import exp_of_minus
from umapcore._kit.jit import inline
from umapcore._kit.simd import SIMD_WIDTH, any_lane, fill, greatest, least, load, store, where

#: umap-learn's MIN_K_DIST_SCALE: least sigma, as a share of the mean distance.
LEAST_BANDWIDTH = 1e-3
#: Stands for the distance of a missing neighbour: its exp(-x s) is negligible beside any other.
NO_NEIGHBOR = 1e60
#: Stands for an infinite s: its product with 0 is 0.
_LARGEST = 1e300
#: A sum is accepted when it differs from its target by no more than this share of the target.
_CLOSE = 1e-9
#: Maximum number of steps; two to four are usual.
_MOST_STEPS = 100
_STEP = np.uint64(SIMD_WIDTH)


@inline
def find_scales(excess: Any, weights: Any, k: Any, near: Any, far: Any, target: Any) -> Any:
    """Find the s of each lane, and the weights for this s.

    Parameters
    ----------
    excess
        float64, (8 k,): excess distances of the first neighbours of all lanes, then of the
        second ones, and so on; `NO_NEIGHBOR` where there is none. The first neighbours are
        usually the vertices themselves and are left out of the sums.
    weights
        float64, (8 k,): 1 where there is a neighbour, else 0. Receives exp(-x s).
    near, far
        Vectors: numbers of neighbours in the sums with an excess distance of 0, and above 0.
    target
        Required sum of the weights.

    Returns
    -------
    s; 0 in the lanes where even the largest possible sum is below the target.
    """
    wanted = fill(target) - near
    is_open = (far > wanted) & (wanted > _CLOSE)
    s = where(far > wanted, where(wanted > _CLOSE, fill(0.0), _LARGEST), 0.0)
    per_wanted = 1.0 / wanted
    total, slope, bend = fill(0.0), fill(0.0), fill(0.0)
    for at in range(_STEP, np.uint64(k) * _STEP, _STEP):
        x, weight = load(excess, at), load(weights, at)
        moment = weight * x
        total, slope, bend = total + weight, slope + moment, bend + moment * x
    first = True
    for _ in range(_MOST_STEPS):
        total = total - near
        ratio = total * per_wanted
        error = ratio - 1.0
        is_open = is_open & ((error > _CLOSE) | (error < -_CLOSE))
        if not (first or any_lane(is_open)):
            break
        first = False
        # The quotient approximates the logarithm: closer to 0 than it, and exact to third order.
        square = ratio * ratio
        step = (square - 1.0) * 3.0 * total / ((square + ratio * 4.0 + 1.0) * slope)
        # Halley's correction for the curvature of the logarithm, which is the variance of the
        # distances. It may go beyond the root; the next Newton step then goes back.
        curvature = (bend * total - slope * slope) / (slope * total)
        ahead = step + least(curvature * step, 1.0) * step * 0.5
        step = where(step > 0.0, ahead, step)
        s = where(is_open, greatest(s + step, s * 0.5), s)
        total, slope, bend = fade(excess, weights, k, s)
    return s


@inline
def fade(excess: Any, weights: Any, k: Any, s: Any) -> Any:
    """Write the weights for the scales s; return their sums and two moments of the distances."""
    total, slope, bend = fill(0.0), fill(0.0), fill(0.0)
    store(weights, np.uint64(0), exp_of_minus(load(excess, np.uint64(0)) * s))
    for at in range(_STEP, np.uint64(k) * _STEP, _STEP):
        x = load(excess, at)
        weight = exp_of_minus(x * s)
        store(weights, at, weight)
        moment = weight * x
        total, slope, bend = total + weight, slope + moment, bend + moment * x
    return total, slope, bend
