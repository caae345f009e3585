"""Epochs of the layout: for every bucket draw the pool, walk the heads, add the pulls.

Each of these is a phase, whose pieces a team of workers does. Pulls are integers and every head
writes to a place of its own, so who does which piece, and when, cannot reach the bits. One thread
is a team of one.
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
    team,
    waiting,
    walk,
)
from umapcore_numba.bucket_end import add_pulls, slice_size
from umapcore_numba.density import density_piece, n_pieces
from umapcore_numba.lanes import dimensions
from umapcore_numba.sample_pool import POOL_PARTS, bucket_key, draw_pool
from umapcore_numba.team import end_phase, next_piece, open_phase
from umapcore_numba.walk import walk_group

#: Modules whose functions the kernels are made of.
_PARTS = (
    counter, floats, forces, lanes, atomics, pairs, prefetch, schedule, team, waiting, density,
    walk, plan, sample_pool, bucket_end,
)  # fmt: skip

#: Phases of a bucket, and those before the buckets where densities are preserved.
_PHASES = _DRAW, _WALK, _ADD = 0, 1, 2
_DENSITY_STAGES = 3

_group_size = inline(plan.group_size)


@inline
def step_size(alpha: Any, epoch: Any, n_epochs: Any) -> Any:
    """Step size of an epoch, falling linearly from `alpha` to 0."""
    return np.float32(alpha * (1.0 - np.float64(epoch) / np.float64(n_epochs)))


@inline
def take_part(
    number: Any,
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
    team: Any,
    density: Any,
) -> None:
    """Go through the epochs `first_epoch` … `stop_epoch` - 1 as worker `number` of a team.

    Each worker has scratch of its own, and pulls of its own if `pulls` has several rows. `density`
    is what :mod:`umapcore_numba.density` needs, or ``()``: then all about it is compiled away.
    """
    worker = np.int64(number)  # prange counts in uint64, which 0 would turn to a float
    n_workers = floats_scratch.shape[0]
    shared = n_workers > 1 and pulls.shape[0] == 1
    row = 0 if shared else worker
    d = dimensions(dims, n_components)
    size = positions.shape[0]
    a_slice = slice_size(size, n_workers)
    n_buckets = bucket_offsets.shape[0] - 1
    n_stages = _DENSITY_STAGES if len(density) > 0 else 0
    per_epoch = n_stages + len(_PHASES) * n_buckets
    end = (stop_epoch - first_epoch) * per_epoch
    phase = open_phase(team)
    while phase < end:
        epoch = first_epoch + phase // per_epoch
        stage = phase % per_epoch
        bucket = max(stage - n_stages, 0) // len(_PHASES)
        kind = (stage - n_stages) % len(_PHASES)
        start, stop = bucket_offsets[bucket], bucket_offsets[bucket + 1]
        walkers_start, walkers_end = first_walkers[start], first_walkers[stop]
        a_group = _group_size(walkers_end - walkers_start)
        key = bucket_key(seed, epoch, bucket)
        if stage < n_stages:
            count = n_pieces(heads.shape[0] if stage == 0 else size // d)
        elif kind == _DRAW:
            count = POOL_PARTS
        elif kind == _WALK:
            count = (walkers_end - walkers_start + a_group - 1) // a_group
        else:
            count = (size + a_slice - 1) // a_slice
        if start == stop:
            count = 1
        done = 0
        while True:
            piece = next_piece(team, worker, n_workers, phase, count)
            if piece < 0:
                break
            done += 1
            if stage < n_stages:
                if len(density) > 0:
                    density_piece(
                        stage, piece, dims, n_components, first_walkers, heads, row_offsets,
                        tails, positions, b, log2_a, floats_scratch[worker], density,
                    )  # fmt: skip
            elif start == stop:
                continue
            elif kind == _DRAW:
                draw_pool(
                    piece, dims, n_components, key, start, stop, positions, pool, pool_places,
                    own_entries,
                )  # fmt: skip
            elif kind == _WALK:
                first = walkers_start + piece * a_group
                walk_group(
                    dims, n_components, epoch, key, first, min(walkers_end, first + a_group),
                    walkers_start, first_walkers, heads, row_offsets, tails, rates, positions,
                    walked, pulls[row], shared, pool, pool_places, own_entries,
                    step_size(alpha, epoch, n_epochs), b, log2_a, gamma, n_samples, unit,
                    floats_scratch[worker], ints_scratch[worker], fired[worker], words[worker],
                    before[worker], meets_itself[worker], density,
                )  # fmt: skip
            else:
                first = piece * a_slice
                add_pulls(
                    first, min(size, first + a_slice), start * d, stop * d, positions, walked,
                    pulls, unit, ints_scratch[worker],
                )  # fmt: skip
        phase = end_phase(team, n_workers, phase, done, count)


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
    team: Any,
    density: Any,
) -> None:
    """Run the epochs `first_epoch` … `stop_epoch` - 1 on the calling thread."""
    take_part(
        0, dims, n_components, first_epoch, stop_epoch, n_epochs, seed, bucket_offsets,
        first_walkers, heads, row_offsets, tails, rates, positions, walked, pulls, pool,
        pool_places, own_entries, alpha, b, log2_a, gamma, n_samples, unit, floats_scratch,
        ints_scratch, fired, words, before, meets_itself, team, density,
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
    team: Any,
    density: Any,
) -> None:
    """Run the same epochs on as many workers as there is scratch."""
    for worker in prange(floats_scratch.shape[0]):
        take_part(
            worker, dims, n_components, first_epoch, stop_epoch, n_epochs, seed, bucket_offsets,
            first_walkers, heads, row_offsets, tails, rates, positions, walked, pulls, pool,
            pool_places, own_entries, alpha, b, log2_a, gamma, n_samples, unit, floats_scratch,
            ints_scratch, fired, words, before, meets_itself, team, density,
        )  # fmt: skip
