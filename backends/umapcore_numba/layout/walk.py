"""The walk of one group of walkers: the inner loop of the layout.

A walker moves its head along a row, one firing edge after another. It sees all other vertices at
their positions when the bucket began. SIMD runs over walkers: every lane is one walker of the
group, and lanes are sorted by falling number of fires. So in round r the walkers that still have an
r-th fire are a prefix, and their samples are one contiguous part of the pool.

The attraction of a round is split into short loops over small arrays. One fused loop would have a
chain of dependent operations of some hundred cycles, and a core can overlap only two or three such
chains; the short loops overlap well (measured: 1.3 ns instead of 2.2 a pair). The repulsions do not
depend on one another, so their instructions are interleaved instead:
:mod:`umapcore_numba.layout.interleaved`.

Scalar loops use unsigned indices: for a signed index numba adds Python's wrap-around, which cost
more than the loads themselves (measured: 2.8 ns an edge scanned instead of 1.0).

Lanes after the live ones, up to a multiple of ``GROUP_STEP``, compute finite numbers that are not
used. This is cheaper than a scalar loop for the remainder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.atomics import fetch_add
from umapcore._kit.jit import U0, U1, inline
from umapcore._kit.rng import mix64_of
from umapcore.layout.constants import GROUP, GROUP_STEP, LONGEST_MOVE
from umapcore_numba.floats import ONE, clip
from umapcore_numba.layout.attraction import attract, find_tails, spot, take, whole
from umapcore_numba.layout.bundles import Columns, Draw
from umapcore_numba.layout.density import attract_and_spread, begin_terms, meet
from umapcore_numba.layout.lanes import NOBODY, dimensions, is_plain, mark_own, sort_lanes
from umapcore_numba.layout.pairs import subtract_pair
from umapcore_numba.layout.repulsion import repel_samples
from umapcore_numba.layout.schedule import find_fires
from umapcore_numba.layout.work_queue import is_stopped


@inline
def walk_group(
    dims: Any,
    group: Any,
    plan: Any,
    law: Any,
    step: Any,
    moves: Any,
    pool: Any,
    own: Any,
    density: Any,
) -> None:
    """Walk a group through one epoch; see :mod:`umapcore_numba.layout.bundles` for the bundles.

    `own` is the scratch of the worker. Lane i reads the pool's entries from ``i`` on. Lines of the
    target are claimed at the same time: see :mod:`umapcore_numba.layout.repel_interleaved`.
    `density` is described in :mod:`umapcore_numba.layout.density`, or is ``()``.
    """
    d = dimensions(dims, law.n_components)
    stride = np.uint64(d)
    positions, walked, pulls = moves.source, moves.walked, moves.pulls
    first_walkers, heads = plan.first_walkers, plan.heads
    n_walkers = group.last - group.first
    floats, ints = own.floats, own.ints
    start = ints[0:GROUP]
    count = ints[GROUP : 2 * GROUP]
    lane_of = ints[2 * GROUP : 3 * GROUP]
    cursor = ints[4 * GROUP : 5 * GROUP]
    left = ints[6 * GROUP : 7 * GROUP]
    bins = ints[(7 + d) * GROUP :]
    home = ints[3 * GROUP : 4 * GROUP]
    tail = ints[5 * GROUP : 6 * GROUP]
    pull = ints[7 * GROUP : (7 + d) * GROUP]
    columns = Columns(
        floats[0 : d * GROUP],
        floats[d * GROUP : 2 * d * GROUP],
        floats[2 * d * GROUP : 3 * d * GROUP],
        floats[3 * d * GROUP : (3 * d + 1) * GROUP],
        floats[(3 * d + 1) * GROUP : (3 * d + 2) * GROUP],
    )
    y = columns.y

    find_fires(group, plan, start, count, own, density)
    sort_lanes(n_walkers, count, lane_of, bins)
    plain = is_plain(plan)
    for i in range(n_walkers):
        w = np.uint64(lane_of[i])
        cursor[i] = start[w]
        left[i] = count[w]
        count[w] = i
        place = np.uint64(group.first) + w
        if not plain:
            place = np.uint64(heads[place])
        home[i] = place
        for k in range(d):
            y[k * GROUP + i] = positions[place * stride + np.uint64(k)]

    if len(density) > 0:
        terms = floats[(3 * d + 2) * GROUP :]
        first_edge = np.uint64(plan.row_offsets[group.first])
        begin_terms(n_walkers, home, terms, density)

    longest_move = np.float32(LONGEST_MOVE)
    base = group.first - group.bucket_start
    own.meets_itself[:] = NOBODY
    # `count` now holds the lane of each walker.
    mark_own(plain, base, group, first_walkers, pool, count, own.meets_itself)
    sample_key = mix64_of(~group.key)
    live = n_walkers
    fire: Any = U0
    while not is_stopped(own.claims):
        while live > 0 and np.uint64(left[live - 1]) <= fire:
            live -= 1
            head = np.int64(home[live])
            n_sharing = np.int64(1)
            if not plain:
                n_sharing = first_walkers[head + 1] - first_walkers[head]
            if n_sharing == 1:
                for k in range(d):
                    walked[np.uint64(head) * stride + np.uint64(k)] = y[k * GROUP + live]
            else:
                # A hub does not move here. Its walkers pull on it, in total by their mean move.
                share = ONE / np.float32(n_sharing)
                for k in range(d):
                    i = head * d + k
                    walked[i] = positions[i]
                    move = clip((y[k * GROUP + live] - positions[i]) * share, longest_move * share)
                    units = whole(move * step.unit)
                    if moves.shared:
                        fetch_add(pulls, i, units)
                    else:
                        pulls[i] += units
        if live == 0:
            break
        m = (live + GROUP_STEP - 1) // GROUP_STEP * GROUP_STEP

        for i in range(live):
            j = own.fired[np.uint64(cursor[i]) + fire]
            if len(density) > 0:
                j = meet(first_edge + np.uint64(j), plan, i, terms, density)
            tail[i] = j
            take(dims, d, positions, np.uint64(j), columns.other, i)
        find_tails(dims, d, columns, m, step)
        if len(density) > 0:
            attract_and_spread(dims, d, columns, pull, m, step, terms)
        else:
            attract(dims, d, columns, pull, m, step)
        if moves.shared:
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

        draw = Draw(live, m, fire, sample_key, base, law.n_samples)
        repel_samples(
            dims, d, draw, columns, home, step, pool, own.meets_itself, moves.target, own.claims
        )
        fire += U1
