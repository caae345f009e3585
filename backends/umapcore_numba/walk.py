"""The walk of one group of walkers: the inner loop of the layout.

A walker takes its head along a row, one firing edge after another, seeing all other vertices as
they stood when the bucket began. SIMD runs over walkers: every lane is one of the group, in the
order of their ranks by falling fires, so that in round r those that still have an r-th fire are a
prefix, and that the samples of all of them are one stretch of the pool.

The arithmetic of a round is split into short loops over small arrays instead of one loop. A fused
loop carries a chain of some hundred cycles of dependent operations, of which a core can overlap
only two or three; the short loops overlap well (measured: 1.3 ns instead of 2.2 a pair). All
scratch lies in one array with constant distances, so that LLVM needs no alias checks.

Scalar loops index by unsigned integers: for a signed index numba adds Python's wrap-around, which
cost more than the loads themselves (measured: 2.8 ns an edge scanned instead of 1.0).

Lanes past the live ones, up to a multiple of ``LANES_STEP``, compute something finite that nobody
reads: cheaper than a scalar remainder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore.jit import inline
from umapcore.plan import GROUP, GROUP_STEP, LONGEST_MOVE, MAX_POOL
from umapcore_numba.atomics import fetch_add
from umapcore_numba.floats import HALF, ONE, ZERO, clip, exp2, log2, mix64, reciprocal
from umapcore_numba.pairs import copy_pair, subtract_pair
from umapcore_numba.schedule import find_fires

LANES = GROUP
#: Distance of the columns of the pool, and of what a group meets in place of it.
POOL_STRIDE = MAX_POOL + GROUP
#: In place of the lane that would meet itself: none, or several.
NOBODY, SEVERAL = -1, -2
#: Loops over lanes are rounded up to this.
LANES_STEP = GROUP_STEP
#: Lanes with fewer fires are sorted by counting, those with more by insertion.
COUNT_BINS = 64

#: Smaller squared distances count as this: nothing subnormal enters the logarithm.
TINY = np.float32(1e-30)
U0 = np.uint64(0)
U1 = np.uint64(1)

#: One hash gives the offsets of this many samples, so many bits each.
SAMPLES_A_WORD = 5
SAMPLE_BITS = np.uint64(12)

NEAR = np.float32(0.001)
TWO = np.float32(2.0)
FOUR = np.float32(4.0)


def float_scratch(n_components: int) -> int:
    """Float32 scratch: where walkers are, where they stand, whom they meet, two intermediates."""
    return (3 * n_components + 2) * LANES


def int_scratch(n_components: int) -> int:
    """Int32 scratch of a walk: seven columns of the lanes, their pulls, and the bins."""
    return (7 + n_components) * LANES + COUNT_BINS + 1


@inline
def dimensions(dims: Any, n_components: Any) -> Any:
    """Give the length of `dims`, which the compiler knows, or `n_components` where that is 0."""
    return len(dims) if len(dims) > 0 else n_components


@inline
def spot(dims: Any, k: Any, i: Any) -> Any:
    """Place of coordinate `k` of lane `i` in what is read from elsewhere or written there.

    In two dimensions a lane's coordinates lie side by side, and move as one word of 64 bits.
    """
    return 2 * i + k if len(dims) == 2 else k * LANES + i


@inline
def take(dims: Any, d: Any, source: Any, place: Any, other: Any, i: Any) -> None:
    """Copy what is at a place of positions or of the pool to lane `i` of `other`."""
    if len(dims) == 2:
        copy_pair(other, np.uint64(i), source, place)
    else:
        for k in range(d):
            other[k * LANES + i] = source[place * np.uint64(d) + np.uint64(k)]


@inline
def measure(
    dims: Any,
    d: Any,
    y: Any,
    other: Any,
    squared: Any,
    power: Any,
    m: Any,
    b: Any,
    log2_a: Any,
) -> None:
    """Write squared distances, summed in the order of the dimensions, and log2(a d^(2b)).

    The logarithm is the only one that attraction and repulsion need.
    """
    if len(dims) > 0:
        for i in range(m):
            total = ZERO
            for k in range(len(dims)):
                difference = y[k * LANES + i] - other[spot(dims, k, i)]
                total += difference * difference
            squared[i] = total
            power[i] = b * log2(max(total, TINY)) + log2_a
    else:
        for i in range(m):
            squared[i] = ZERO
        for k in range(d):
            for i in range(m):
                difference = y[k * LANES + i] - other[spot(dims, k, i)]
                squared[i] += difference * difference
        for i in range(m):
            power[i] = b * log2(max(squared[i], TINY)) + log2_a


@inline
def whole(x: Any) -> Any:
    """Nearest integer of a float32 within range, halves away from zero."""
    return np.int32(x + (HALF if x >= ZERO else -HALF))


@inline
def attract(
    dims: Any,
    d: Any,
    y: Any,
    other: Any,
    squared: Any,
    power: Any,
    pull: Any,
    m: Any,
    attraction: Any,
    limit: Any,
    unit: Any,
) -> None:
    """Move the heads and note what their tails have to move, as whole units."""
    for i in range(m):
        p = exp2(power[i])
        squared[i] = attraction * (p * reciprocal(max(squared[i], TINY) * (ONE + p)))
    if len(dims) > 0:
        for i in range(m):
            for k in range(len(dims)):
                j = k * LANES + i
                step = clip(squared[i] * (y[j] - other[spot(dims, k, i)]), limit)
                y[j] += step
                pull[spot(dims, k, i)] = whole(step * unit)
    else:
        for k in range(d):
            for i in range(m):
                j = k * LANES + i
                step = clip(squared[i] * (y[j] - other[j]), limit)
                y[j] += step
                pull[j] = whole(step * unit)


@inline
def repel(
    dims: Any,
    d: Any,
    y: Any,
    stand: Any,
    other: Any,
    squared: Any,
    power: Any,
    m: Any,
    b: Any,
    log2_a: Any,
    repulsion: Any,
    limit: Any,
) -> None:
    """Move the heads away from one of their samples, as seen from where they stand.

    Two dimensions are written out: LLVM vectorises an inner
    loop over dimensions only as long as there is little else in the outer one.
    """
    if len(dims) == 2:
        for i in range(m):
            first = stand[i] - other[i]
            second = stand[LANES + i] - other[LANES + i]
            total = first * first + second * second
            squared[i] = total
            power[i] = b * log2(max(total, TINY)) + log2_a
        for i in range(m):
            coefficient = repulsion * reciprocal((NEAR + squared[i]) * (ONE + exp2(power[i])))
            y[i] += clip(coefficient * (stand[i] - other[i]), limit)
            y[LANES + i] += clip(coefficient * (stand[LANES + i] - other[LANES + i]), limit)
        return
    for i in range(m):
        squared[i] = ZERO
    for k in range(d):
        for i in range(m):
            difference = stand[k * LANES + i] - other[k * LANES + i]
            squared[i] += difference * difference
    for i in range(m):
        power[i] = b * log2(max(squared[i], TINY)) + log2_a
    for i in range(m):
        squared[i] = repulsion * reciprocal((NEAR + squared[i]) * (ONE + exp2(power[i])))
    for k in range(d):
        for i in range(m):
            j = k * LANES + i
            y[j] += clip(squared[i] * (stand[j] - other[k * LANES + i]), limit)


@inline
def mark_own(
    plain: Any,
    base: Any,
    first: Any,
    last: Any,
    first_walkers: Any,
    pool_places: Any,
    own_entries: Any,
    lane_of_walker: Any,
    meets_itself: Any,
) -> None:
    """Note at which offsets which lane of the group would meet its own head in the pool.

    `own_entries` lists the entries that are heads of the bucket, and how many these are at its
    end. Lane i reads entry base + i + offset; `meets_itself` receives i, or `SEVERAL`.
    """
    mask = np.int64(pool_places.shape[0] - 1)
    for number in range(own_entries[own_entries.shape[0] - 1]):
        entry = np.int64(own_entries[number])
        place = np.int64(pool_places[entry])
        begin, end = place, place + 1
        if not plain:
            begin, end = first_walkers[place], first_walkers[place + 1]
        for w in range(max(first, begin), min(last, end)):
            lane = np.int64(lane_of_walker[w - first])
            offset = (entry - base - lane) & mask
            meets_itself[offset] = lane if meets_itself[offset] == NOBODY else SEVERAL


@inline
def sort_lanes(n_walkers: Any, count: Any, lane_of: Any, bins: Any) -> None:
    """Order walkers by falling number of fires."""
    top = COUNT_BINS
    for c in range(COUNT_BINS + 1):
        bins[c] = 0
    for w in range(n_walkers):
        bins[min(count[w], top)] += 1
    place = 0
    for c in range(top, -1, -1):
        size = bins[c]
        bins[c] = place
        place += size
    n_crowded = bins[top - 1]
    for w in range(n_walkers):
        c = min(count[w], top)
        lane_of[bins[c]] = w
        bins[c] += 1
    for i in range(1, n_crowded):
        w = lane_of[i]
        j = i
        while j > 0 and count[lane_of[j - 1]] < count[w]:
            lane_of[j] = lane_of[j - 1]
            j -= 1
        lane_of[j] = w


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
) -> None:
    """Take a group, the walkers `first` … `last` - 1 of the plan, through one epoch.

    Reads `positions`, writes where the heads went to `walked` and adds their tails' moves to
    `pulls`, all three flat, of n × d. With `shared_pulls` other threads add to `pulls` as well.
    `bucket_start` is the bucket's first walker, by which samples are numbered. Lane i reads the
    pool's entries from ``i`` on: `pool` has its columns, each a group longer than the pool itself,
    so that no stretch has an end.
    """
    d = dimensions(dims, n_components)
    stride = np.uint64(d)
    n_walkers = last - first
    y = floats_scratch[0 : d * LANES]
    other = floats_scratch[d * LANES : 2 * d * LANES]
    stand = floats_scratch[2 * d * LANES : 3 * d * LANES]
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
        epoch, first, n_walkers, row_offsets, tails, rates, start, count, fired, words, before
    )
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

    limit = FOUR * alpha
    longest_move = np.float32(LONGEST_MOVE)
    attraction = -TWO * b * alpha
    repulsion = TWO * gamma * b * alpha
    pool_mask = np.uint64(pool_places.shape[0] - 1)
    base = first - bucket_start
    meets_itself[:] = NOBODY
    # `count` now says which lane each walker is.
    mark_own(plain, base, first, last, first_walkers, pool_places, own_entries, count, meets_itself)
    sample_key = mix64(~key)
    word = U0
    hashed = U0
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
            tail[i] = j
            take(dims, d, positions, np.uint64(j), other, i)
        measure(dims, d, y, other, squared, power, m, b, log2_a)
        attract(dims, d, y, other, squared, power, pull, m, attraction, limit, unit)
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

        # All samples of a fire act on the head where the attraction left it: a GPU can work on
        # several at once.
        for k in range(d):
            for i in range(m):
                stand[k * LANES + i] = y[k * LANES + i]
        for r in range(n_samples):
            if r % SAMPLES_A_WORD == 0:
                word = mix64(sample_key + hashed)
                hashed += U1
            offset = word & pool_mask
            word >>= SAMPLE_BITS
            window = pool[np.int64((np.uint64(base) + offset) & pool_mask) :]
            for k in range(d):
                for i in range(m):
                    other[k * LANES + i] = window[k * POOL_STRIDE + i]
            lane = np.int64(meets_itself[offset])
            if lane != NOBODY:
                # A sample at the head's own position exerts no force.
                begin, end = (0, live) if lane == SEVERAL else (lane, min(lane + 1, live))
                for i in range(begin, end):
                    entry = (np.uint64(base + i) + offset) & pool_mask
                    home = np.int64(walker[i]) if plain else np.int64(heads[walker[i]])
                    if pool_places[entry] == home:
                        for k in range(d):
                            other[k * LANES + i] = stand[k * LANES + i]
            repel(dims, d, y, stand, other, squared, power, m, b, log2_a, repulsion, limit)
        fire += U1
