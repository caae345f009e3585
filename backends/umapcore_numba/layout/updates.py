"""The end of a bucket: heads get their walked positions, and every vertex moves by its pulls."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore._kit.prefetch import LINE, prefetch_to_write
from umapcore.layout.constants import GROUP_STEP
from umapcore_numba.floats import ONE

#: Largest number of flat positions in one piece of work.
SLICE = 16_384
#: Number of flat positions that are moved while the lines of the next ones are prefetched. A
#: worker's scratch of integers has room for them.
CHUNK = 2048


@inline
def slice_size(size: Any, n_workers: Any) -> Any:
    """Return the length of the slices into which `size` flat positions are divided."""
    return min(SLICE, (size // (4 * n_workers) // GROUP_STEP + 1) * GROUP_STEP)


@inline
def apply_updates(
    first: Any,
    last: Any,
    bucket_first: Any,
    bucket_last: Any,
    source: Any,
    target: Any,
    state: Any,
    claimed: Any,
    unit: Any,
    scratch: Any,
) -> None:
    """Move the flat positions `first` … `last` - 1 from `source` to `target` when a bucket ends.

    Heads of the bucket first get their walked positions. Then every vertex moves by its pulls;
    each row of `pulls` whose bit in `claimed` is set holds a part of them. The pulls are cleared.
    With one row of positions `target` is `source`.

    With several workers, most of these lines were last written by another worker. So they are
    prefetched, and every loop writes one array only: a store that waits for its line delays the
    stores behind it (measured for two workers: 3 nanoseconds a line, in one loop 5).
    """
    walked, pulls = state.walked, state.pulls
    in_place = state.positions.shape[0] == 1
    back = ONE / unit
    # Slices are indexed from 0, which lets LLVM rule out negative indices and vectorise.
    begin, end = max(first, bucket_first), min(last, bucket_last)
    if begin < end:
        heads, stands = source[begin:end], walked[begin:end]
        for i in range(end - begin):
            heads[i] = stands[i]
    alone = in_place and pulls.shape[0] == 1
    for begin in range(first, last, CHUNK):
        end = min(last, begin + CHUNK)
        if not alone:
            for i in range(end, min(last, end + CHUNK), LINE):
                prefetch_to_write(target, i)
                for part in range(pulls.shape[0]):
                    if claimed >> part & 1:
                        prefetch_to_write(pulls[part], i)
        stood = source[begin:end]
        moved = target[begin:end]
        size = moved.shape[0]
        if alone:
            pull = pulls[0, begin:end]
            for i in range(size):
                moved[i] += np.float32(pull[i]) * back
                pull[i] = 0
            continue
        total = scratch[0:size]
        total[:] = 0
        for part in range(pulls.shape[0]):
            if not claimed >> part & 1:
                continue
            pull = pulls[part, begin:end]
            for i in range(size):
                total[i] += pull[i]
            for i in range(size):
                pull[i] = 0
        if in_place:  # LLVM's loop for two arrays is slow if they are the same
            for i in range(size):
                moved[i] += np.float32(total[i]) * back
        else:
            for i in range(size):
                moved[i] = stood[i] + np.float32(total[i]) * back
