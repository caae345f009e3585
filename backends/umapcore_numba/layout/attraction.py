"""The attraction of a group of heads, as short loops over its lanes.

Heads are columns, coordinate k of lane i at ``k * LANES + i``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore_numba.floats import HALF, ZERO, clip, exp2
from umapcore_numba.forces import attraction, curve_exponent
from umapcore_numba.layout.lanes import LANES
from umapcore_numba.layout.pairs import copy_pair


@inline
def spot(dims: Any, k: Any, i: Any) -> Any:
    """Place of coordinate `k` of lane `i` in what is read from elsewhere or written there.

    In two dimensions a lane's coordinates lie side by side, and move as one word of 64 bits.
    """
    return 2 * i + k if len(dims) == 2 else k * LANES + i


@inline
def take(dims: Any, d: Any, positions: Any, place: Any, other: Any, i: Any) -> None:
    """Copy the position at a place to lane `i` of `other`."""
    if len(dims) == 2:
        copy_pair(other, np.uint64(i), positions, place)
    else:
        for k in range(d):
            other[k * LANES + i] = positions[place * np.uint64(d) + np.uint64(k)]


@inline
def find_tails(
    dims: Any,
    d: Any,
    y: Any,
    other: Any,
    apart: Any,
    squared: Any,
    power: Any,
    m: Any,
    b: Any,
    log2_a: Any,
) -> None:
    """Write how far heads are from their tails.

    Along the axes, squared, summed in the order of the dimensions, and as log2(a d^(2b)), the only
    logarithm that a force needs. Two dimensions are written out: LLVM vectorises an inner loop
    over dimensions only as long as there is little else in the outer one.
    """
    if len(dims) == 2:
        for i in range(m):
            first = y[i] - other[2 * i]
            second = y[LANES + i] - other[2 * i + 1]
            apart[i] = first
            apart[LANES + i] = second
            total = first * first + second * second
            squared[i] = total
            power[i] = curve_exponent(total, b, log2_a)
    else:
        for k in range(d):
            for i in range(m):
                apart[k * LANES + i] = y[k * LANES + i] - other[k * LANES + i]
        for i in range(m):
            squared[i] = ZERO
        for k in range(d):
            for i in range(m):
                squared[i] += apart[k * LANES + i] * apart[k * LANES + i]
        for i in range(m):
            power[i] = curve_exponent(squared[i], b, log2_a)


@inline
def whole(x: Any) -> Any:
    """Nearest integer of a float32 within range, halves away from zero."""
    return np.int32(x + (HALF if x >= ZERO else -HALF))


@inline
def attract(
    dims: Any,
    d: Any,
    y: Any,
    apart: Any,
    squared: Any,
    power: Any,
    pull: Any,
    m: Any,
    factor: Any,
    limit: Any,
    unit: Any,
) -> None:
    """Move the heads and note what their tails have to move, as whole units."""
    for i in range(m):
        squared[i] = factor * attraction(squared[i], exp2(power[i]))
    if len(dims) > 0:
        for i in range(m):
            for k in range(len(dims)):
                j = k * LANES + i
                step = clip(squared[i] * apart[j], limit)
                y[j] += step
                pull[spot(dims, k, i)] = whole(step * unit)
    else:
        for k in range(d):
            for i in range(m):
                j = k * LANES + i
                step = clip(squared[i] * apart[j], limit)
                y[j] += step
                pull[j] = whole(step * unit)
