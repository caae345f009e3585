"""Epochs of the layout: for every bucket draw the pool, walk the heads, add the pulls.

Each of these three steps is a phase. Its pieces are done by workers that share a work queue. Pulls
are integers, and every head writes to a place of its own. So the bits do not depend on which worker
does a piece, or when. Each worker is a call of the same kernel in a thread of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore.layout import plan
from umapcore_numba.floats import TWO
from umapcore_numba.forces import CLIP
from umapcore_numba.layout.bundles import Group, Moves, Scratch, Step
from umapcore_numba.layout.density import DENSITY_STAGES, count_pieces, density_piece
from umapcore_numba.layout.lanes import dimensions
from umapcore_numba.layout.sample_pool import POOL_PARTS, bucket_key, draw_pool
from umapcore_numba.layout.updates import apply_updates, slice_size
from umapcore_numba.layout.walk import walk_group
from umapcore_numba.layout.work_queue import (
    MOST_SHARES,
    abandon,
    claim_row,
    claimed_rows,
    end_phase,
    is_stopped,
    next_piece,
    open_phase,
    owner_of,
    share_of,
)

#: The phases of a bucket, in their order, and their number.
_DRAW, _WALK, _ADD = 0, 1, 2
PHASES = 3


_group_size = inline(plan.group_size)


def phases(n_buckets: Any, n_stages: Any) -> Any:
    """Return the number of phases of an epoch, which begins with some stages for densities."""
    return n_stages + PHASES * n_buckets


_phases = inline(phases)


@inline
def step_of(law: Any, epoch: Any, n_epochs: Any) -> Any:
    """Return the law in an epoch: its step size falls linearly from `alpha` to 0."""
    alpha = np.float32(law.alpha * (1.0 - np.float64(epoch) / np.float64(n_epochs)))
    return Step(
        alpha,
        law.b,
        law.log2_a,
        -TWO * law.b * alpha,
        TWO * law.gamma * law.b * alpha,
        CLIP * alpha,
        law.unit,
    )


def _purpose(types: Any) -> str:
    """Tell what the kernel below is compiled for, from the types of its arguments."""
    dims, density = types[2], types[-1]
    dimensions = f"{len(dims)}" if len(dims) > 0 else "other numbers of"
    return f"layouts in {dimensions} dimensions" + (" with densities" if len(density) > 0 else "")


@kernel(allocates=False, seconds=5, purpose=_purpose)
def run_worker(
    worker: Any,
    span: Any,
    dims: Any,
    plan: Any,
    law: Any,
    state: Any,
    pool: Any,
    scratch: Any,
    queue: Any,
    density: Any,
) -> None:
    """Run the phases of a span as one of its workers, which are numbered from 0.

    The bundles are described in :mod:`umapcore_numba.layout.bundles`. There are as many workers as
    rows of scratch, and each must be called only once, or not at all if another one has returned.
    `queue` must be all 0 before the first call, or begin at a later phase. Another thread can stop
    the workers by their stop words; positions are then those of no epoch. If `density` is ``()``,
    the compiler removes the code for densities.
    """
    n_workers = scratch.floats.shape[0]
    own = Scratch(
        scratch.floats[worker],
        scratch.ints[worker],
        scratch.fired[worker],
        scratch.words[worker],
        scratch.before[worker],
        scratch.meets_itself[worker],
        scratch.claims[worker],
    )
    n_shares = min(n_workers, MOST_SHARES)
    home = worker * n_shares // n_workers
    n_pulls = state.pulls.shape[0]
    pulls, shared = state.pulls[0], False
    n_rows = state.positions.shape[0]
    d = dimensions(dims, law.n_components)
    size = (plan.first_walkers.shape[0] - 1) * d
    own_start, own_end = plan.own_places[0] * d, plan.own_places[1] * d
    a_slice = slice_size(own_end - own_start, n_workers)
    # Without places, one empty slice.
    n_slices = max(1, (own_end - own_start + a_slice - 1) // a_slice)
    n_stages = DENSITY_STAGES if len(density) > 0 else 0
    per_epoch = _phases(plan.bucket_offsets.shape[0] - 1, n_stages)
    phase = open_phase(queue)
    while phase < span.end:
        epoch = span.first + phase // per_epoch
        stage = phase % per_epoch
        measuring = stage < n_stages
        bucket = 0 if measuring else (stage - n_stages) // PHASES
        kind = (stage - n_stages) % PHASES
        start, stop = plan.bucket_offsets[bucket], plan.bucket_offsets[bucket + 1]
        walkers_start, walkers_end = plan.first_walkers[start], plan.first_walkers[stop]
        a_group = max(1, _group_size(walkers_end - walkers_start))
        own_first, own_last = plan.own_walkers[bucket, 0], plan.own_walkers[bucket, 1]
        key = bucket_key(span.seed, epoch, bucket)
        # Positions may alternate between two arrays. The number of buckets is even, so an epoch
        # begins and ends in the first array.
        source = state.positions[bucket % n_rows][:size]
        target = state.positions[(bucket + 1) % n_rows][:size]
        if measuring:
            count = count_pieces(stage, plan)
        elif kind == _DRAW:
            count = POOL_PARTS
        elif kind == _WALK:
            # Without walkers, one empty piece.
            count = max(1, (own_last - own_first + a_group - 1) // a_group)
            own.claims[0] = share_of(worker, n_workers, n_slices) * a_slice
            share_end = min(size, share_of(worker + 1, n_workers, n_slices) * a_slice)
            own.claims[1] = 0 if n_rows == 1 else share_end
        else:
            count = n_slices
        done = 0
        owner = home
        while not is_stopped(own.claims):
            piece = next_piece(queue, owner, n_shares, phase, count)
            if piece < 0:
                break
            owner = owner_of(piece, n_shares, count)
            done += 1
            if done == 1 and kind == _WALK and not measuring:
                row = claim_row(queue, worker, n_workers, n_pulls, phase)
                pulls, shared = state.pulls[row], n_pulls < n_workers and row == n_pulls - 1
            if measuring:
                if len(density) > 0:
                    density_piece(stage, piece, dims, plan, source, law, own.floats, density)
            elif kind == _DRAW:
                draw_pool(piece, dims, law.n_components, key, start, stop, source, pool)
            elif kind == _WALK and own_first < own_last:
                first = own_first + piece * a_group
                last = min(own_last, first + a_group)
                group = Group(epoch, key, first, last, walkers_start)
                step = step_of(law, epoch, span.n_epochs)
                moves = Moves(source, target, state.walked, pulls, shared)
                walk_group(dims, group, plan, law, step, moves, pool, own, density)
            elif kind == _ADD:
                first = own_start + piece * a_slice
                claimed = claimed_rows(queue, n_workers, n_pulls, phase - 1)
                apply_updates(
                    first, min(own_end, first + a_slice), start * d, stop * d, source, target,
                    state, claimed, law.unit, own.ints,
                )  # fmt: skip
        if is_stopped(own.claims):
            abandon(queue)
            break
        phase = end_phase(queue, n_shares, phase, done, count)
