"""Epochs of the layout: for every bucket draw the pool, walk the heads, add the pulls.

Each of these is a phase, whose pieces a queue of workers does. Pulls are integers and every head
writes to a place of its own, so who does which piece, and when, cannot reach the bits. One thread
is a queue of one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from umapcore._kit.jit import inline, kernel
from umapcore.layout import plan
from umapcore_numba.layout.density import DENSITY_STAGES, density_piece, n_pieces
from umapcore_numba.layout.lanes import dimensions
from umapcore_numba.layout.sample_pool import POOL_PARTS, bucket_key, draw_pool
from umapcore_numba.layout.updates import apply_updates, slice_size
from umapcore_numba.layout.walk import walk_group
from umapcore_numba.layout.work_queue import end_phase, next_piece, open_phase, share_of

#: What is done in a bucket, one after the other, and how many phases that is.
_DRAW, _WALK, _ADD = 0, 1, 2
_PHASES = 3

_group_size = inline(plan.group_size)


@inline
def step_size(alpha: Any, epoch: Any, n_epochs: Any) -> Any:
    """Step size of an epoch, falling linearly from `alpha` to 0."""
    return np.float32(alpha * (1.0 - np.float64(epoch) / np.float64(n_epochs)))


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
    work_queue: Any,
    claims: Any,
    density: Any,
) -> None:
    """Go through the epochs `first_epoch` … `stop_epoch` - 1 as worker `number` of a queue.

    `positions` has one row, or two, of which the first counts between epochs. Each worker has
    scratch and `claims` of its own (see `repel_interleaved`), and pulls of its own if `pulls` has
    several rows; one row is shared. `queue` is all 0 at the beginning. `density` is what
    :mod:`umapcore_numba.layout.density` needs, or ``()``: then all about it is compiled away.
    """
    worker = np.int64(number)  # prange counts in uint64, which 0 would turn to a float
    n_workers = floats_scratch.shape[0]
    shared = n_workers > 1 and pulls.shape[0] == 1
    row = 0 if shared else worker
    in_place = positions.shape[0] == 1
    d = dimensions(dims, n_components)
    size = (first_walkers.shape[0] - 1) * d
    a_slice = slice_size(size, n_workers)
    n_slices = (size + a_slice - 1) // a_slice
    n_stages = DENSITY_STAGES if len(density) > 0 else 0
    per_epoch = n_stages + _PHASES * (bucket_offsets.shape[0] - 1)
    end = (stop_epoch - first_epoch) * per_epoch
    phase = open_phase(work_queue)
    while phase < end:
        epoch = first_epoch + phase // per_epoch
        stage = phase % per_epoch
        measuring = stage < n_stages
        bucket = 0 if measuring else (stage - n_stages) // _PHASES
        kind = (stage - n_stages) % _PHASES
        start, stop = bucket_offsets[bucket], bucket_offsets[bucket + 1]
        walkers_start, walkers_end = first_walkers[start], first_walkers[stop]
        a_group = max(1, _group_size(walkers_end - walkers_start))
        key = bucket_key(seed, epoch, bucket)
        # Positions may go to and fro between two arrays: the buckets are even in number, so that
        # an epoch begins and ends in the first.
        source = positions[bucket % positions.shape[0]][:size]
        target = positions[(bucket + 1) % positions.shape[0]][:size]
        if measuring:
            count = n_pieces(heads.shape[0] if stage == 0 else size // d)
        elif kind == _DRAW:
            count = POOL_PARTS
        elif kind == _WALK:
            # A bucket without heads is one piece, of nothing.
            count = max(1, (walkers_end - walkers_start + a_group - 1) // a_group)
            claims[worker, 0] = share_of(worker, n_workers, n_slices) * a_slice
            share_end = min(size, share_of(worker + 1, n_workers, n_slices) * a_slice)
            claims[worker, 1] = 0 if in_place else share_end
        else:
            count = n_slices
        done = 0
        while True:
            piece = next_piece(work_queue, worker, n_workers, phase, count)
            if piece < 0:
                break
            done += 1
            if measuring:
                if len(density) > 0:
                    density_piece(
                        stage, piece, dims, n_components, first_walkers, heads, row_offsets,
                        tails, source, b, log2_a, floats_scratch[worker], density,
                    )  # fmt: skip
            elif kind == _DRAW:
                draw_pool(
                    piece, dims, n_components, key, start, stop, source, pool, pool_places,
                    own_entries,
                )  # fmt: skip
            elif kind == _WALK and start < stop:
                first = walkers_start + piece * a_group
                walk_group(
                    dims, n_components, epoch, key, first, min(walkers_end, first + a_group),
                    walkers_start, first_walkers, heads, row_offsets, tails, rates, source,
                    target, claims[worker], walked, pulls[row], shared, pool, pool_places,
                    own_entries, step_size(alpha, epoch, n_epochs), b, log2_a, gamma, n_samples,
                    unit, floats_scratch[worker], ints_scratch[worker], fired[worker],
                    words[worker], before[worker], meets_itself[worker], density,
                )  # fmt: skip
            elif kind == _ADD:
                first = piece * a_slice
                apply_updates(
                    first, min(size, first + a_slice), start * d, stop * d, source, target, walked,
                    pulls, unit, ints_scratch[worker], in_place,
                )  # fmt: skip
        phase = end_phase(work_queue, n_workers, phase, done, count)


#: A queue of one: number 0 of one worker. Not a function that calls the other, as LLVM would then
#: go over all of its code once more, for a second.
run_serial = kernel(allocates=False)(take_part)
_take_part = inline(take_part)


@kernel(parallel=True)
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
    work_queue: Any,
    claims: Any,
    density: Any,
) -> None:
    """Run the same epochs on as many workers as there is scratch."""
    for worker in prange(floats_scratch.shape[0]):
        _take_part(
            worker, dims, n_components, first_epoch, stop_epoch, n_epochs, seed, bucket_offsets,
            first_walkers, heads, row_offsets, tails, rates, positions, walked, pulls, pool,
            pool_places, own_entries, alpha, b, log2_a, gamma, n_samples, unit, floats_scratch,
            ints_scratch, fired, words, before, meets_itself, work_queue, claims, density,
        )  # fmt: skip
