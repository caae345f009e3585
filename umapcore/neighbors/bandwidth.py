"""The scale of distances at which a vertex's neighbours count for a given sum, eight at a time.

Of the excess distances x of a vertex's neighbours the s is wanted at which the sum of exp(-x s) is
the target; s is 1 / sigma (McInnes, Healy and Melville 2018, algorithm 3). umap-learn finds sigma
by bisection, until the sum is within 1e-5. Here the root is found by Newton's method, on the
logarithm of the sum, in which a single exponential is a straight line, and with Halley's
correction. The logarithm is a convex, falling function of s: a step of Newton ends before the
root, wherever it begins, and the next ones come nearer.

The lanes of a group are vertices. What a lane gives depends on no other one: it keeps its s from
where it is near enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.exp64 import exp_of_minus
from umapcore._kit.jit import inline
from umapcore._kit.simd import SIMD_WIDTH, any_lane, fill, greatest, least, load, store, where

#: umap-learn's MIN_K_DIST_SCALE: least sigma, as a share of the mean distance.
LEAST_BANDWIDTH = 1e-3
#: In the place of the distance of a neighbour that is not there: exp(-x s) vanishes beside any.
NO_NEIGHBOR = 1e60
#: In the place of an infinite s: times 0 it is 0.
_LARGEST = 1e300
#: The sum is taken for its target when it is nearer than this share of it.
_CLOSE = 1e-9
#: Steps at most; two to four are usual.
_MOST_STEPS = 100
_STEP = np.uint64(SIMD_WIDTH)


@inline
def find_scales(excess: Any, weights: Any, k: Any, near: Any, far: Any, target: Any) -> Any:
    """Find the s of each lane, and the weights at it.

    Parameters
    ----------
    excess
        float64, (8 k,): excess distances of the first neighbours of all lanes, then of the
        second ones, and so on; `NO_NEIGHBOR` where there is none. The first ones, as a rule the
        vertices themselves, do not enter the sums.
    weights
        float64, (8 k,): 1 where there is a neighbour, else 0. Receives exp(-x s).
    near, far
        Vectors: how many of the neighbours in the sums have an excess distance of 0, and above.
    target
        What the weights are to sum to.

    Returns
    -------
    0 in the lanes where even the sum of all is below the target.
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
        # The logarithm by a quotient that is nearer to 0 than it is, and exact to third order.
        square = ratio * ratio
        step = (square - 1.0) * 3.0 * total / ((square + ratio * 4.0 + 1.0) * slope)
        # Halley's correction for the bend of the logarithm, which is the variance of the
        # distances. It may lead beyond the root; from there Newton's step leads back.
        curvature = (bend * total - slope * slope) / (slope * total)
        ahead = step + least(curvature * step, 1.0) * step * 0.5
        step = where(step > 0.0, ahead, step)
        s = where(is_open, greatest(s + step, s * 0.5), s)
        total, slope, bend = fade(excess, weights, k, s)
    return s


@inline
def fade(excess: Any, weights: Any, k: Any, s: Any) -> Any:
    """Write the weights at the scales s; give their sums and two moments of the distances."""
    total, slope, bend = fill(0.0), fill(0.0), fill(0.0)
    store(weights, np.uint64(0), exp_of_minus(load(excess, np.uint64(0)) * s))
    for at in range(_STEP, np.uint64(k) * _STEP, _STEP):
        x = load(excess, at)
        weight = exp_of_minus(x * s)
        store(weights, at, weight)
        moment = weight * x
        total, slope, bend = total + weight, slope + moment, bend + moment * x
    return total, slope, bend
