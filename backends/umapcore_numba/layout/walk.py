"""The walk of one group of walkers: the inner loop of the layout.

A walker takes its head along a row, one firing edge after another, seeing all other vertices as
they stood when the bucket began. SIMD runs over walkers: every lane is one of the group, in the
order of their ranks by falling fires, so that in round r those that still have an r-th fire are a
prefix, and that the samples of all of them are one stretch of the pool.

The attraction of a round is split into short loops over small arrays instead of one loop. A fused
loop carries a chain of some hundred cycles of dependent operations, of which a core can overlap
only two or three; the short loops overlap well (measured: 1.3 ns instead of 2.2 a pair). The
repulsions, which do not wait for one another, are written as chains that take turns instead:
:mod:`umapcore_numba.layout.interleaved`.

Scalar loops index by unsigned integers: for a signed index numba adds Python's wrap-around, which
cost more than the loads themselves (measured: 2.8 ns an edge scanned instead of 1.0).

Lanes past the live ones, up to a multiple of ``LANES_STEP``, compute something finite that nobody
reads: cheaper than a scalar remainder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.atomics import fetch_add
from umapcore._kit.jit import inline
from umapcore._kit.rng import mix64_of
from umapcore.layout.constants import LONGEST_MOVE
from umapcore_numba.floats import ONE, clip
from umapcore_numba.forces import CLIP
from umapcore_numba.layout.attraction import attract, find_tails, spot, take, whole
from umapcore_numba.layout.density import attract_and_spread, begin_terms, meet
from umapcore_numba.layout.lanes import (
    LANES,
    LANES_STEP,
    NOBODY,
    dimensions,
    mark_own,
    sort_lanes,
)
from umapcore_numba.layout.pairs import subtract_pair
from umapcore_numba.layout.repulsion import repel_samples
from umapcore_numba.layout.schedule import find_fires

U0 = np.uint64(0)
U1 = np.uint64(1)

TWO = np.float32(2.0)


@inline
def walk_group(
    dims: Any,
    n_components: Any,
    epoch: Any,
    key: Any,
    first: Any,
    last: Any,
    bucket_start: Any,
    first_walkers: Any,
    heads: Any,
    row_offsets: Any,
    tails: Any,
    rates: Any,
    positions: Any,
    target: Any,
    claims: Any,
    walked: Any,
    pulls: Any,
    shared_pulls: Any,
    pool: Any,
    pool_places: Any,
    own_entries: Any,
    alpha: Any,
    b: Any,
    log2_a: Any,
    gamma: Any,
    n_samples: Any,
    unit: Any,
    floats_scratch: Any,
    ints_scratch: Any,
    fired: Any,
    words: Any,
    before: Any,
    meets_itself: Any,
    density: Any,
) -> None:
    """Take a group, the walkers `first` … `last` - 1 of the plan, through one epoch.

    Reads `positions`, writes where the heads went to `walked` and adds their tails' moves to
    `pulls`, all three flat, of n × d. With `shared_pulls` other threads add to `pulls` as well.
    `target`, `claims`: see :mod:`umapcore_numba.layout.repel_interleaved`.
    `bucket_start` is the bucket's first walker, by which samples are numbered. Lane i reads the
    pool's entries from ``i`` on: `pool` has its columns, each a group longer than the pool itself,
    so that no stretch has an end. `density`: see :mod:`umapcore_numba.layout.density`, or ``()``.
    """
    d = dimensions(dims, n_components)
    stride = np.uint64(d)
    n_walkers = last - first
    y = floats_scratch[0 : d * LANES]
    # Where tails are is not needed any more when the heads' stands are noted.
    other = stand = floats_scratch[d * LANES : 2 * d * LANES]
    apart = floats_scratch[2 * d * LANES : 3 * d * LANES]
    squared = floats_scratch[3 * d * LANES : (3 * d + 1) * LANES]
    power = floats_scratch[(3 * d + 1) * LANES : (3 * d + 2) * LANES]
    start = ints_scratch[0:LANES]
    count = ints_scratch[LANES : 2 * LANES]
    lane_of = ints_scratch[2 * LANES : 3 * LANES]
    walker = ints_scratch[3 * LANES : 4 * LANES]
    cursor = ints_scratch[4 * LANES : 5 * LANES]
    tail = ints_scratch[5 * LANES : 6 * LANES]
    left = ints_scratch[6 * LANES : 7 * LANES]
    pull = ints_scratch[7 * LANES : (7 + d) * LANES]
    bins = ints_scratch[(7 + d) * LANES :]

    find_fires(
        epoch, first, n_walkers, row_offsets, tails, rates, start, count, fired, words, before,
        density,
    )  # fmt: skip
    sort_lanes(n_walkers, count, lane_of, bins)
    # Without hubs, every head has one walker and is numbered as it is.
    plain = heads.shape[0] == first_walkers.shape[0] - 1
    for i in range(n_walkers):
        w = np.uint64(lane_of[i])
        walker[i] = np.uint64(first) + w
        cursor[i] = start[w]
        left[i] = count[w]
        count[w] = i
        place = np.uint64(walker[i])
        if not plain:
            place = np.uint64(heads[place])
        for k in range(d):
            y[k * LANES + i] = positions[place * stride + np.uint64(k)]

    if len(density) > 0:
        terms = floats_scratch[(3 * d + 2) * LANES :]
        first_edge = np.uint64(row_offsets[first])
        begin_terms(n_walkers, walker, heads, terms, density)

    limit = CLIP * alpha
    longest_move = np.float32(LONGEST_MOVE)
    attraction = -TWO * b * alpha
    repulsion = TWO * gamma * b * alpha
    base = first - bucket_start
    meets_itself[:] = NOBODY
    # `count` now says which lane each walker is.
    mark_own(plain, base, first, last, first_walkers, pool_places, own_entries, count, meets_itself)
    sample_key = mix64_of(~key)
    live = n_walkers
    fire: Any = U0
    while True:
        while live > 0 and np.uint64(left[live - 1]) <= fire:
            live -= 1
            home = np.int64(walker[live])
            n_sharing = np.int64(1)
            if not plain:
                home = np.int64(heads[home])
                n_sharing = first_walkers[home + 1] - first_walkers[home]
            if n_sharing == 1:
                for k in range(d):
                    walked[np.uint64(home) * stride + np.uint64(k)] = y[k * LANES + live]
            else:
                # A hub stays, and is moved by its walkers' pulls on it: their mean move.
                share = ONE / np.float32(n_sharing)
                for k in range(d):
                    i = home * d + k
                    walked[i] = positions[i]
                    move = clip((y[k * LANES + live] - positions[i]) * share, longest_move * share)
                    units = whole(move * unit)
                    if shared_pulls:
                        fetch_add(pulls, i, units)
                    else:
                        pulls[i] += units
        if live == 0:
            break
        m = (live + LANES_STEP - 1) // LANES_STEP * LANES_STEP

        for i in range(live):
            j = fired[np.uint64(cursor[i]) + fire]
            if len(density) > 0:
                j = meet(first_edge + np.uint64(j), tails, rates, i, terms, density)
            tail[i] = j
            take(dims, d, positions, np.uint64(j), other, i)
        find_tails(dims, d, y, other, apart, squared, power, m, b, log2_a)
        if len(density) > 0:
            attract_and_spread(
                dims, d, y, apart, squared, power, pull, m, attraction, limit, unit, b, alpha, terms
            )
        else:
            attract(dims, d, y, apart, squared, power, pull, m, attraction, limit, unit)
        if shared_pulls:
            for i in range(live):
                for k in range(d):
                    fetch_add(pulls, tail[i] * d + k, np.int32(-pull[spot(dims, k, i)]))
        elif len(dims) == 2:
            for i in range(live):
                subtract_pair(pulls, np.uint64(tail[i]), pull, np.uint64(i))
        else:
            for i in range(live):
                for k in range(d):
                    pulls[np.uint64(tail[i]) * stride + np.uint64(k)] -= pull[spot(dims, k, i)]

        repel_samples(
            dims, d, live, m, fire, sample_key, base, n_samples, y, stand, apart, squared, power,
            walker, heads, plain, pool, pool_places, meets_itself, b, log2_a, repulsion, limit,
            target, claims,
        )  # fmt: skip
        fire += U1
