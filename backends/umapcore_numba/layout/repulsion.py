"""The repulsion of a group of heads by their samples.

All samples of a fire act on a head at the position where its attraction left it. So they can be
computed at the same time, on a CPU as on a GPU: see
:mod:`umapcore_numba.layout.repel_interleaved`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import U1, inline
from umapcore._kit.rng import mix64_of
from umapcore.layout.constants import GROUP, SAMPLE_BITS, SAMPLES_A_WORD
from umapcore_numba.floats import ZERO, clip, exp2
from umapcore_numba.forces import curve_exponent, curve_power, repulsion
from umapcore_numba.layout.lanes import NOBODY, POOL_STRIDE, SEVERAL
from umapcore_numba.layout.repel_interleaved import repel_lanes
from umapcore_numba.layout.work_queue import is_stopped

OFFSET_BITS = np.uint64(SAMPLE_BITS)


@inline
def repel_samples(
    dims: Any,
    d: Any,
    draw: Any,
    columns: Any,
    home: Any,
    step: Any,
    pool: Any,
    meets_itself: Any,
    target: Any,
    claims: Any,
) -> None:
    """Move the live heads away from their samples of one fire.

    Sample r of lane i is entry ``base + i + offset`` of the pool; the fire's r-th offset comes from
    a hash of the key. A head exerts no force on itself. `meets_itself` tells at which offsets a
    lane would meet its own head, whose place is in `home`. This is rare, and such lanes are
    computed again without it. Lines of `target` are claimed at the same time. `other`, `apart`,
    `squared` and `power` of the columns are overwritten.
    """
    y, stand, kept, live, base = columns.y, columns.other, columns.apart, draw.live, draw.base
    n_samples = draw.n_samples
    mask = np.uint64(pool.places.shape[0] - 1)
    # If all samples act in one call, heads need no copy: they are read before they are written.
    at_once = len(dims) > 0 and n_samples == SAMPLES_A_WORD
    if not at_once:
        for j in range(d * GROUP):
            stand[j] = y[j]
    number = draw.fire * np.uint64((n_samples + SAMPLES_A_WORD - 1) // SAMPLES_A_WORD)
    for first in range(0, n_samples, SAMPLES_A_WORD):
        if first > 0 and is_stopped(claims):
            return
        word = mix64_of(draw.key + number)
        number += U1
        n = min(SAMPLES_A_WORD, n_samples - first)
        someone = False
        for r in range(n):
            begin, end = _themselves(meets_itself[_offset(word, r, mask)], live)
            someone |= begin < end
            for i in range(begin, end):
                for k in range(d):
                    kept[k * GROUP + i] = y[k * GROUP + i]
        if len(dims) > 0 and n == SAMPLES_A_WORD:
            windows = (
                _window(word, 0, base, mask),
                _window(word, 1, base, mask),
                _window(word, 2, base, mask),
                _window(word, 3, base, mask),
                _window(word, 4, base, mask),
            )
            seen_from = y if at_once else stand
            repel_lanes(dims, draw.m, seen_from, y, pool.points, windows, step, target, claims)
        else:
            for r in range(n):
                window = _window(word, r, base, mask)
                if len(dims) > 0:
                    repel_lanes(
                        dims, draw.m, stand, y, pool.points, (window,), step, target, claims
                    )
                else:
                    _repel_loops(d, draw.m, columns, pool.points[np.int64(window) :], step)
        if someone:
            seen_from = kept if at_once else stand
            for r in range(n):
                begin, end = _themselves(meets_itself[_offset(word, r, mask)], live)
                for i in range(begin, end):
                    _repel_again(d, i, home[i], word, n, base, columns, seen_from, pool, step)


@inline
def _themselves(lane: Any, live: Any) -> Any:
    """Return the range of live lanes that may meet their own head."""
    if lane == NOBODY:
        return 0, 0
    if lane == SEVERAL:
        return 0, live
    return np.int64(lane), min(np.int64(lane) + 1, live)


@inline
def _offset(word: Any, r: Any, mask: Any) -> Any:
    """Return the offset of the r-th sample of a hash."""
    return (word >> (np.uint64(r) * OFFSET_BITS)) & mask


@inline
def _window(word: Any, r: Any, base: Any, mask: Any) -> Any:
    """Return the entry of the pool that is the r-th sample of a hash for lane 0."""
    return (np.uint64(base) + _offset(word, r, mask)) & mask


@inline
def _repel_again(
    d: Any,
    i: Any,
    home: Any,
    word: Any,
    n: Any,
    base: Any,
    columns: Any,
    stand: Any,
    pool: Any,
    step: Any,
) -> None:
    """Redo lane `i` from its kept position, without samples that are its own head `home`."""
    y, kept = columns.y, columns.apart
    mask = np.uint64(pool.places.shape[0] - 1)
    for k in range(d):
        y[k * GROUP + i] = kept[k * GROUP + i]
    for r in range(n):
        entry = (_window(word, r, base, mask) + np.uint64(i)) & mask
        if pool.places[entry] != home:
            _repel_alone(d, i, stand, y, pool.points, np.int64(entry), step)


@inline
def _repel_alone(d: Any, i: Any, stand: Any, y: Any, points: Any, entry: Any, step: Any) -> None:
    """Move lane `i` away from an entry of the pool."""
    squared = ZERO
    for k in range(d):
        apart = stand[k * GROUP + i] - points[k * POOL_STRIDE + entry]
        squared += apart * apart
    power = curve_power(squared, step.b, step.log2_a)
    coefficient = step.repulsion * repulsion(squared, power)
    for k in range(d):
        apart = stand[k * GROUP + i] - points[k * POOL_STRIDE + entry]
        y[k * GROUP + i] += clip(coefficient * apart, step.limit)


@inline
def _repel_loops(d: Any, m: Any, columns: Any, window: Any, step: Any) -> None:
    """Move each head away from one sample, in any number of dimensions."""
    y, stand, squared, power = columns.y, columns.other, columns.squared, columns.power
    b, log2_a, factor, limit = step.b, step.log2_a, step.repulsion, step.limit
    for i in range(m):
        squared[i] = ZERO
    for k in range(d):
        for i in range(m):
            apart = stand[k * GROUP + i] - window[k * POOL_STRIDE + i]
            squared[i] += apart * apart
    for i in range(m):
        power[i] = curve_exponent(squared[i], b, log2_a)
    for i in range(m):
        squared[i] = factor * repulsion(squared[i], exp2(power[i]))
    for k in range(d):
        for i in range(m):
            apart = stand[k * GROUP + i] - window[k * POOL_STRIDE + i]
            y[k * GROUP + i] += clip(squared[i] * apart, limit)
