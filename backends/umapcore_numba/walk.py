"""The walk of one block of walkers: the inner loop of the layout.

A walker takes its head along a row, one firing edge after another, seeing all other vertices as
they stood when the bucket began. SIMD runs over walkers: every lane is one of the block, lanes
are sorted by how many of their edges fire, and in round r those that still have an r-th fire are
a prefix.

The arithmetic of a round is split into short loops over small arrays instead of one loop. A fused
loop carries a chain of some hundred cycles of dependent operations, of which a core can overlap
only two or three; the short loops overlap well (measured: 1.3 ns instead of 2.2 a pair). All
scratch lies in one array with constant distances, so that LLVM needs no alias checks.

Lanes past the live ones, up to a multiple of ``LANES_STEP``, compute something finite that nobody
reads: cheaper than a scalar remainder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore.jit import inline, kernel
from umapcore.plan import LONGEST_MOVE
from umapcore_numba import atomics, floats
from umapcore_numba.atomics import fetch_add
from umapcore_numba.floats import HALF, ONE, ZERO, clip, exp2, log2, mix64

#: Walkers a block: enough to fill the vectors, few enough for the scratch to stay in cache.
LANES = 256
#: Loops over lanes are rounded up to this, a multiple of every vector width.
LANES_STEP = 32
#: Lanes with fewer fires are sorted by counting, those with more by insertion.
COUNT_BINS = 64

#: Smaller squared distances count as this: nothing subnormal enters the logarithm.
TINY = np.float32(1e-30)
NEAR = np.float32(0.001)
TWO = np.float32(2.0)
FOUR = np.float32(4.0)


def float_scratch(n_components: int) -> int:
    """Float32 scratch of a walk: positions of the walkers, of what they meet, and two arrays of intermediates."""
    return (2 * n_components + 2) * LANES


def int_scratch(n_components: int) -> int:
    """Int32 scratch of a walk: six columns of the lanes, their pulls, and the bins."""
    return (6 + n_components) * LANES + COUNT_BINS + 1


@inline
def dimensions(dims: Any, n_components: Any) -> Any:
    """Number of dimensions: the length of `dims`, known to the compiler, unless that is 0."""
    return len(dims) if len(dims) > 0 else n_components


@inline
def squared_distances(dims: Any, d: Any, y: Any, other: Any, out: Any, m: Any) -> None:
    """Sum of squares in the order of the dimensions, one rounding an operation."""
    if len(dims) == 2:
        for i in range(m):
            dx = y[i] - other[i]
            dy = y[LANES + i] - other[LANES + i]
            out[i] = dx * dx + dy * dy
    elif len(dims) == 3:
        for i in range(m):
            dx = y[i] - other[i]
            dy = y[LANES + i] - other[LANES + i]
            dz = y[2 * LANES + i] - other[2 * LANES + i]
            out[i] = (dx * dx + dy * dy) + dz * dz
    else:
        for i in range(m):
            dx = y[i] - other[i]
            out[i] = dx * dx
        for k in range(1, d):
            for i in range(m):
                dx = y[k * LANES + i] - other[k * LANES + i]
                out[i] += dx * dx


@inline
def curve_powers(squared: Any, power: Any, m: Any, b: Any, log2_a: Any) -> None:
    """Write log2(a d^(2b)), the only logarithm that attraction and repulsion need."""
    for i in range(m):
        power[i] = b * log2(max(squared[i], TINY)) + log2_a


@inline
def whole(x: Any) -> Any:
    """Nearest integer of a float32 within range, halves away from zero."""
    return np.int32(x + (HALF if x >= ZERO else -HALF))


@inline
def attract(
    d: Any, y: Any, other: Any, coefficient: Any, pull: Any, m: Any, limit: Any, unit: Any
) -> None:
    """Move the heads and note what their tails have to move, as whole units."""
    for k in range(d):
        for i in range(m):
            step = clip(coefficient[i] * (y[k * LANES + i] - other[k * LANES + i]), limit)
            y[k * LANES + i] += step
            pull[k * LANES + i] = whole(step * unit)


@inline
def repel(d: Any, y: Any, other: Any, coefficient: Any, m: Any, limit: Any) -> None:
    """Move the heads away from their samples."""
    for k in range(d):
        for i in range(m):
            y[k * LANES + i] += clip(
                coefficient[i] * (y[k * LANES + i] - other[k * LANES + i]), limit
            )


@inline
def find_fires(
    epoch: Any,
    first: Any,
    n_walkers: Any,
    row_offsets: Any,
    tails: Any,
    rates: Any,
    start: Any,
    count: Any,
    fired: Any,
) -> None:
    """List the tails of the firing edges, row by row, without branches."""
    t = np.uint32(epoch)
    found = np.int64(0)
    for w in range(n_walkers):
        start[w] = found
        for e in range(row_offsets[first + w], row_offsets[first + w + 1]):
            rate = rates[e]
            fired[found] = tails[e]
            # numba widens uint32 * uint32 to 64 bits; the schedule needs it modulo 2**32.
            found += np.int64(np.uint32(t * rate) < rate)
        count[w] = found - start[w]


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


@kernel(floats, atomics)
def walk_block(
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
    own_sample: Any,
    alpha: Any,
    b: Any,
    log2_a: Any,
    gamma: Any,
    n_samples: Any,
    unit: Any,
    floats_scratch: Any,
    ints_scratch: Any,
    fired: Any,
) -> None:
    """Take the walkers `first` … `last` - 1 of the plan through one epoch.

    Reads `positions`, writes where the heads went to `walked` and adds their tails' moves to
    `pulls`, all three flat, of n × d. With `shared_pulls` other threads add to `pulls` as well.
    `bucket_start` is the bucket's first walker, by which samples are numbered.
    """
    d = dimensions(dims, n_components)
    n_walkers = last - first
    y = floats_scratch[0 : d * LANES]
    other = floats_scratch[d * LANES : 2 * d * LANES]
    squared = floats_scratch[2 * d * LANES : (2 * d + 1) * LANES]
    power = floats_scratch[(2 * d + 1) * LANES : (2 * d + 2) * LANES]
    start = ints_scratch[0:LANES]
    count = ints_scratch[LANES : 2 * LANES]
    lane_of = ints_scratch[2 * LANES : 3 * LANES]
    walker = ints_scratch[3 * LANES : 4 * LANES]
    cursor = ints_scratch[4 * LANES : 5 * LANES]
    tail = ints_scratch[5 * LANES : 6 * LANES]
    pull = ints_scratch[6 * LANES : (6 + d) * LANES]
    bins = ints_scratch[(6 + d) * LANES :]

    find_fires(epoch, first, n_walkers, row_offsets, tails, rates, start, count, fired)
    sort_lanes(n_walkers, count, lane_of, bins)
    for i in range(n_walkers):
        w = lane_of[i]
        walker[i] = first + w
        cursor[i] = start[w]
        place = np.int64(heads[first + w])
        for k in range(d):
            y[k * LANES + i] = positions[place * d + k]

    limit = FOUR * alpha
    longest_move = np.float32(LONGEST_MOVE)
    attraction = -TWO * b * alpha
    repulsion = TWO * gamma * b * alpha
    pool_mask = np.int64(pool_places.shape[0] - 1)
    sample_key = mix64(~key)
    sample = np.uint64(0)
    live = n_walkers
    fire = 0
    while True:
        while live > 0 and count[lane_of[live - 1]] <= fire:
            live -= 1
            place = np.int64(heads[walker[live]])
            n_sharing = first_walkers[place + 1] - first_walkers[place]
            if n_sharing == 1:
                for k in range(d):
                    walked[place * d + k] = y[k * LANES + live]
            else:
                # A hub stays, and is moved by its walkers' pulls on it: their mean move.
                share = ONE / np.float32(n_sharing)
                for k in range(d):
                    i = place * d + k
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
            j = np.int64(fired[cursor[i] + fire])
            tail[i] = j
            for k in range(d):
                other[k * LANES + i] = positions[j * d + k]
        squared_distances(dims, d, y, other, squared, m)
        curve_powers(squared, power, m, b, log2_a)
        for i in range(m):
            p = exp2(power[i])
            squared[i] = (attraction * p) / (max(squared[i], TINY) * (ONE + p))
        attract(d, y, other, squared, pull, m, limit, unit)
        if shared_pulls:
            for i in range(live):
                for k in range(d):
                    fetch_add(pulls, np.int64(tail[i]) * d + k, np.int32(-pull[k * LANES + i]))
        else:
            for i in range(live):
                for k in range(d):
                    pulls[np.int64(tail[i]) * d + k] -= pull[k * LANES + i]

        for _ in range(n_samples):
            offset = np.int64(mix64(sample_key + sample)) & pool_mask
            sample += np.uint64(1)
            shift = offset - bucket_start
            for i in range(live):
                e = (walker[i] + shift) & pool_mask
                for k in range(d):
                    other[k * LANES + i] = pool[e * d + k]
            if own_sample[offset]:
                # Somewhere in this bucket a head meets itself. A sample at the head's own
                # position exerts no force.
                for i in range(live):
                    if pool_places[(walker[i] + shift) & pool_mask] == heads[walker[i]]:
                        for k in range(d):
                            other[k * LANES + i] = y[k * LANES + i]
            squared_distances(dims, d, y, other, squared, m)
            curve_powers(squared, power, m, b, log2_a)
            for i in range(m):
                squared[i] = repulsion / ((NEAR + squared[i]) * (ONE + exp2(power[i])))
            repel(d, y, other, squared, m, limit)
        fire += 1
