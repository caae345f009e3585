"""The repulsion of a group of heads by their samples.

All samples of a fire act on a head where its attraction left it, so that they can be worked on
side by side, on a CPU as on a GPU: see :mod:`umapcore_numba.layout.repel_interleaved`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore._kit.rng import mix64_of
from umapcore.layout.constants import SAMPLE_BITS, SAMPLES_A_WORD
from umapcore_numba.floats import ZERO, clip, exp2
from umapcore_numba.forces import curve_exponent, curve_power, repulsion
from umapcore_numba.layout.lanes import LANES, NOBODY, POOL_STRIDE, SEVERAL
from umapcore_numba.layout.repel_interleaved import repel_lanes

U1 = np.uint64(1)
OFFSET_BITS = np.uint64(SAMPLE_BITS)


@inline
def repel_samples(
    dims: Any,
    d: Any,
    live: Any,
    m: Any,
    fire: Any,
    key: Any,
    base: Any,
    n_samples: Any,
    y: Any,
    stand: Any,
    kept: Any,
    squared: Any,
    power: Any,
    walker: Any,
    heads: Any,
    plain: Any,
    pool: Any,
    pool_places: Any,
    meets_itself: Any,
    b: Any,
    log2_a: Any,
    factor: Any,
    limit: Any,
    target: Any,
    claims: Any,
) -> None:
    """Move `live` heads away from their samples of one fire.

    Sample r of lane i is entry ``base + i + offset`` of the pool, where a hash of `key` gives the
    fire's r-th offset. `m` is `live` rounded up to whole vectors. `stand`, `kept`, `squared` and
    `power` are scratch. `meets_itself` tells at which offsets some lane would meet its own head,
    which exerts no force; that is rare, and such lanes are done again without it. Lines of `target`
    are claimed meanwhile.
    """
    mask = np.uint64(pool_places.shape[0] - 1)
    # All at once, the heads need not be copied: they are read before they are written.
    at_once = len(dims) > 0 and n_samples == SAMPLES_A_WORD
    if not at_once:
        for j in range(d * LANES):
            stand[j] = y[j]
    number = fire * np.uint64((n_samples + SAMPLES_A_WORD - 1) // SAMPLES_A_WORD)
    for first in range(0, n_samples, SAMPLES_A_WORD):
        word = mix64_of(key + number)
        number += U1
        n = min(SAMPLES_A_WORD, n_samples - first)
        someone = False
        for r in range(n):
            begin, end = _themselves(meets_itself[_offset(word, r, mask)], live)
            someone |= begin < end
            for i in range(begin, end):
                for k in range(d):
                    kept[k * LANES + i] = y[k * LANES + i]
        if len(dims) > 0 and n == SAMPLES_A_WORD:
            windows = (
                _window(word, 0, base, mask),
                _window(word, 1, base, mask),
                _window(word, 2, base, mask),
                _window(word, 3, base, mask),
                _window(word, 4, base, mask),
            )
            repel_lanes(
                dims, m, y if at_once else stand, y, pool, windows, b, log2_a, factor, limit,
                target, claims,
            )  # fmt: skip
        else:
            for r in range(n):
                window = _window(word, r, base, mask)
                if len(dims) > 0:
                    repel_lanes(
                        dims, m, stand, y, pool, (window,), b, log2_a, factor, limit, target,
                        claims,
                    )  # fmt: skip
                else:
                    _repel_loops(
                        d, m, stand, y, pool[np.int64(window) :], squared, power, b, log2_a,
                        factor, limit,
                    )  # fmt: skip
        if someone:
            for r in range(n):
                begin, end = _themselves(meets_itself[_offset(word, r, mask)], live)
                for i in range(begin, end):
                    home = np.int64(walker[i]) if plain else np.int64(heads[walker[i]])
                    _repel_again(
                        d, i, home, word, n, base, y, kept if at_once else stand, kept, pool,
                        pool_places, b, log2_a, factor, limit,
                    )  # fmt: skip


@inline
def _themselves(lane: Any, live: Any) -> Any:
    """Give the range of lanes that may meet their own head; those past the live ones do not."""
    if lane == NOBODY:
        return 0, 0
    if lane == SEVERAL:
        return 0, live
    return np.int64(lane), min(np.int64(lane) + 1, live)


@inline
def _offset(word: Any, r: Any, mask: Any) -> Any:
    """Offset of the r-th sample of a hash."""
    return (word >> (np.uint64(r) * OFFSET_BITS)) & mask


@inline
def _window(word: Any, r: Any, base: Any, mask: Any) -> Any:
    """Entry of the pool that lane 0 meets as the r-th sample of a hash."""
    return (np.uint64(base) + _offset(word, r, mask)) & mask


@inline
def _repel_again(
    d: Any,
    i: Any,
    home: Any,
    word: Any,
    n: Any,
    base: Any,
    y: Any,
    stand: Any,
    kept: Any,
    pool: Any,
    pool_places: Any,
    b: Any,
    log2_a: Any,
    factor: Any,
    limit: Any,
) -> None:
    """Redo lane `i` from where it was `kept`, without samples that are its own head `home`."""
    mask = np.uint64(pool_places.shape[0] - 1)
    for k in range(d):
        y[k * LANES + i] = kept[k * LANES + i]
    for r in range(n):
        entry = (_window(word, r, base, mask) + np.uint64(i)) & mask
        if pool_places[entry] != home:
            _repel_alone(d, i, stand, y, pool, np.int64(entry), b, log2_a, factor, limit)


@inline
def _repel_alone(
    d: Any,
    i: Any,
    stand: Any,
    y: Any,
    pool: Any,
    entry: Any,
    b: Any,
    log2_a: Any,
    factor: Any,
    limit: Any,
) -> None:
    """Move lane `i` away from an entry of the pool."""
    squared = ZERO
    for k in range(d):
        apart = stand[k * LANES + i] - pool[k * POOL_STRIDE + entry]
        squared += apart * apart
    coefficient = factor * repulsion(squared, curve_power(squared, b, log2_a))
    for k in range(d):
        apart = stand[k * LANES + i] - pool[k * POOL_STRIDE + entry]
        y[k * LANES + i] += clip(coefficient * apart, limit)


@inline
def _repel_loops(
    d: Any,
    m: Any,
    stand: Any,
    y: Any,
    window: Any,
    squared: Any,
    power: Any,
    b: Any,
    log2_a: Any,
    factor: Any,
    limit: Any,
) -> None:
    """Move the heads away from one sample each, in any number of dimensions."""
    for i in range(m):
        squared[i] = ZERO
    for k in range(d):
        for i in range(m):
            apart = stand[k * LANES + i] - window[k * POOL_STRIDE + i]
            squared[i] += apart * apart
    for i in range(m):
        power[i] = curve_exponent(squared[i], b, log2_a)
    for i in range(m):
        squared[i] = factor * repulsion(squared[i], exp2(power[i]))
    for k in range(d):
        for i in range(m):
            apart = stand[k * LANES + i] - window[k * POOL_STRIDE + i]
            y[k * LANES + i] += clip(squared[i] * apart, limit)
