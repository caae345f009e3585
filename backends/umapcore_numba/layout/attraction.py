"""The attraction that acts on a group of heads, as short loops over the group's lanes.

Heads are stored in columns: coordinate k of lane i is at ``k * GROUP + i``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline, inline_loop
from umapcore.layout.constants import GROUP
from umapcore_numba.floats import HALF, ZERO, clip, exp2
from umapcore_numba.forces import attraction, curve_exponent
from umapcore_numba.layout.pairs import copy_pair


@inline
def spot(dims: Any, k: Any, i: Any) -> Any:
    """Return the index of coordinate `k` of lane `i` in the arrays `other` and `pull`.

    In two dimensions the coordinates of a lane are adjacent, and are copied as one 64-bit word.
    """
    return 2 * i + k if len(dims) == 2 else k * GROUP + i


@inline
def take(dims: Any, d: Any, positions: Any, place: Any, other: Any, i: Any) -> None:
    """Copy the position at a place to lane `i` of `other`."""
    if len(dims) == 2:
        copy_pair(other, np.uint64(i), positions, place)
    else:
        for k in range(d):
            other[k * GROUP + i] = positions[place * np.uint64(d) + np.uint64(k)]


@inline_loop
def find_tails(dims: Any, d: Any, columns: Any, m: Any, step: Any) -> None:
    """Compute how far the heads are from their tails.

    The results are the differences along the axes, the squared distances (summed in the order of
    the dimensions) and log2(a d^(2b)), the only logarithm that a force needs. Two dimensions have
    code of their own: LLVM vectorises an inner loop over dimensions only if the outer loop does
    little else.
    """
    y, other, apart, squared, power = columns
    b, log2_a = step.b, step.log2_a
    if len(dims) == 2:
        for i in range(m):
            first = y[i] - other[2 * i]
            second = y[GROUP + i] - other[2 * i + 1]
            apart[i] = first
            apart[GROUP + i] = second
            total = first * first + second * second
            squared[i] = total
            power[i] = curve_exponent(total, b, log2_a)
    else:
        for k in range(d):
            for i in range(m):
                apart[k * GROUP + i] = y[k * GROUP + i] - other[k * GROUP + i]
        for i in range(m):
            squared[i] = ZERO
        for k in range(d):
            for i in range(m):
                squared[i] += apart[k * GROUP + i] * apart[k * GROUP + i]
        for i in range(m):
            power[i] = curve_exponent(squared[i], b, log2_a)


@inline
def whole(x: Any) -> Any:
    """Round a float32 within range to the nearest integer, halves away from zero."""
    return np.int32(x + (HALF if x >= ZERO else -HALF))


@inline_loop
def attract(dims: Any, d: Any, columns: Any, pull: Any, m: Any, step: Any) -> None:
    """Move the heads, and write the pulls on their tails in whole units, d columns of int32."""
    y, apart, squared, power = columns.y, columns.apart, columns.squared, columns.power
    limit, unit = step.limit, step.unit
    for i in range(m):
        squared[i] = step.attraction * attraction(squared[i], exp2(power[i]))
    if len(dims) > 0:
        for i in range(m):
            for k in range(len(dims)):
                j = k * GROUP + i
                moved = clip(squared[i] * apart[j], limit)
                y[j] += moved
                pull[spot(dims, k, i)] = whole(moved * unit)
    else:
        for k in range(d):
            for i in range(m):
                j = k * GROUP + i
                moved = clip(squared[i] * apart[j], limit)
                y[j] += moved
                pull[j] = whole(moved * unit)
