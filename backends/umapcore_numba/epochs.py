"""Epochs of the layout: for every bucket draw the pool, walk the heads, add the pulls.

The serial and the parallel form differ in how the work of a bucket is handed out and in nothing
else. Pulls are integers and every head writes to a place of its own, so who walks which group,
and when, cannot reach the bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from umapcore import counter, plan
from umapcore.jit import inline, kernel
from umapcore_numba import (
    atomics,
    bucket_end,
    density,
    floats,
    forces,
    lanes,
    pairs,
    prefetch,
    sample_pool,
    schedule,
    shares,
    walk,
)
from umapcore_numba.bucket_end import add_share
from umapcore_numba.density import log_radii_share, measure_share, weigh_share
from umapcore_numba.sample_pool import bucket_key, draw_pool
from umapcore_numba.shares import next_piece, reset_tickets
from umapcore_numba.walk import walk_group

#: Modules whose functions the kernels are made of.
_PARTS = (
    counter, floats, forces, lanes, atomics, pairs, prefetch, schedule, shares, density, walk, plan,
    sample_pool, bucket_end,
)  # fmt: skip

_group_size = inline(plan.group_size)


@inline
def step_size(alpha: Any, epoch: Any, n_epochs: Any) -> Any:
    """Step size of an epoch, falling linearly from `alpha` to 0."""
    return np.float32(alpha * (1.0 - np.float64(epoch) / np.float64(n_epochs)))


@inline
def walk_share(
    number: Any,
    dims: Any,
    n_components: Any,
    epoch: Any,
    key: Any,
    start: Any,
    end: Any,
    first_walkers: Any,
    heads: Any,
    row_offsets: Any,
    tails: Any,
    rates: Any,
    positions: Any,
    walked: Any,
    pulls: Any,
    pool: Any,
    pool_places: Any,
    own_entries: Any,
    step: Any,
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
    tickets: Any,
    density: Any,
) -> None:
    """Walk groups of the bucket `start` … `end` - 1 as worker `number`, until none is left.

    Each has scratch of its own, and pulls of its own if `pulls` has several rows.
    """
    worker = np.int64(number)  # prange counts in uint64, which 0 would turn to a float
    n_workers = floats_scratch.shape[0]
    shared = n_workers > 1 and pulls.shape[0] == 1
    part = 0 if shared else worker
    walkers_start = first_walkers[start]
    walkers_end = first_walkers[end]
    n_walkers = walkers_end - walkers_start
    size = _group_size(n_walkers)
    n_groups = (n_walkers + size - 1) // size
    while True:
        group = next_piece(worker, n_workers, n_groups, tickets, 0)
        if group < 0:
            break
        first = walkers_start + group * size
        walk_group(
            dims, n_components, epoch, key, first, min(walkers_end, first + size),
            walkers_start, first_walkers, heads, row_offsets, tails, rates,
            positions, walked, pulls[part], shared,
            pool, pool_places, own_entries, step, b, log2_a, gamma, n_samples, unit,
            floats_scratch[worker], ints_scratch[worker], fired[worker],
            words[worker], before[worker], meets_itself[worker], density,
        )  # fmt: skip


@kernel(*_PARTS)
def run_serial(
    dims: Any,
    n_components: Any,
    first_epoch: Any,
    stop_epoch: Any,
    n_epochs: Any,
    seed: Any,
    bucket_offsets: Any,
    first_walkers: Any,
    heads: Any,
    row_offsets: Any,
    tails: Any,
    rates: Any,
    positions: Any,
    walked: Any,
    pulls: Any,
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
    tickets: Any,
    density: Any,
) -> None:
    """Run the epochs `first_epoch` … `stop_epoch` - 1 on the calling thread.

    `tickets` are two counters for each worker, on cache lines of their own. `density` is what
    :mod:`umapcore_numba.density` needs, or ``()``: then all about it is compiled away.
    """
    n_workers = 1
    for epoch in range(first_epoch, stop_epoch):
        step = step_size(alpha, epoch, n_epochs)
        if len(density) > 0:
            reset_tickets(tickets, n_workers)
            for worker in range(1):
                measure_share(
                    worker, n_workers, dims, n_components, heads, row_offsets, tails, positions,
                    b, log2_a, floats_scratch[worker], tickets, density,
                )  # fmt: skip
            for worker in range(1):
                log_radii_share(worker, n_workers, first_walkers, tickets, density)
            reset_tickets(tickets, n_workers)
            for worker in range(1):
                weigh_share(worker, n_workers, first_walkers, tickets, density)
        for bucket in range(bucket_offsets.shape[0] - 1):
            start = bucket_offsets[bucket]
            end = bucket_offsets[bucket + 1]
            if start == end:
                continue
            key = bucket_key(seed, epoch, bucket)
            draw_pool(
                dims, n_components, key, start, end, positions, pool, pool_places, own_entries,
            )  # fmt: skip
            reset_tickets(tickets, n_workers)
            for worker in range(1):
                walk_share(
                    worker, dims, n_components, epoch, key, start, end,
                    first_walkers, heads, row_offsets, tails, rates, positions, walked, pulls,
                    pool, pool_places, own_entries, step, b, log2_a, gamma, n_samples, unit,
                    floats_scratch, ints_scratch, fired, words, before, meets_itself, tickets,
                    density,
                )  # fmt: skip
            for worker in range(1):
                add_share(
                    worker, n_workers, dims, n_components, start, end,
                    positions, walked, pulls, unit, tickets,
                )  # fmt: skip


@kernel(*_PARTS, parallel=True)
def run_parallel(
    dims: Any,
    n_components: Any,
    first_epoch: Any,
    stop_epoch: Any,
    n_epochs: Any,
    seed: Any,
    bucket_offsets: Any,
    first_walkers: Any,
    heads: Any,
    row_offsets: Any,
    tails: Any,
    rates: Any,
    positions: Any,
    walked: Any,
    pulls: Any,
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
    tickets: Any,
    density: Any,
) -> None:
    """Run the same epochs on as many workers as there is scratch."""
    n_workers = floats_scratch.shape[0]
    for epoch in range(first_epoch, stop_epoch):
        step = step_size(alpha, epoch, n_epochs)
        if len(density) > 0:
            reset_tickets(tickets, n_workers)
            for worker in prange(n_workers):
                measure_share(
                    worker, n_workers, dims, n_components, heads, row_offsets, tails, positions,
                    b, log2_a, floats_scratch[worker], tickets, density,
                )  # fmt: skip
            for worker in prange(n_workers):
                log_radii_share(worker, n_workers, first_walkers, tickets, density)
            reset_tickets(tickets, n_workers)
            for worker in prange(n_workers):
                weigh_share(worker, n_workers, first_walkers, tickets, density)
        for bucket in range(bucket_offsets.shape[0] - 1):
            start = bucket_offsets[bucket]
            end = bucket_offsets[bucket + 1]
            if start == end:
                continue
            key = bucket_key(seed, epoch, bucket)
            draw_pool(
                dims, n_components, key, start, end, positions, pool, pool_places, own_entries,
            )  # fmt: skip
            reset_tickets(tickets, n_workers)
            for worker in prange(n_workers):
                walk_share(
                    worker, dims, n_components, epoch, key, start, end,
                    first_walkers, heads, row_offsets, tails, rates, positions, walked, pulls,
                    pool, pool_places, own_entries, step, b, log2_a, gamma, n_samples, unit,
                    floats_scratch, ints_scratch, fired, words, before, meets_itself, tickets,
                    density,
                )  # fmt: skip
            for worker in prange(n_workers):
                add_share(
                    worker, n_workers, dims, n_components, start, end,
                    positions, walked, pulls, unit, tickets,
                )  # fmt: skip
