"""The end of a bucket: heads stand where they walked to, and everything moves by its pulls."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore.jit import inline
from umapcore_numba.floats import ONE
from umapcore_numba.lanes import LANES_STEP, dimensions
from umapcore_numba.prefetch import LINE, prefetch_to_write
from umapcore_numba.shares import next_piece

#: Positions that one thread takes at a time when pulls are added, at most.
SLICE = 16_384
#: Positions whose lines are asked for at a time while those before them are moved.
CHUNK = 512


@inline
def add_pulls(
    first: Any,
    last: Any,
    bucket_first: Any,
    bucket_last: Any,
    positions: Any,
    walked: Any,
    pulls: Any,
    unit: Any,
) -> None:
    """Bring the flat positions `first` … `last` - 1 to the end of the bucket.

    Heads of the bucket stand where they walked to; then everything moves by its pulls, of which
    every row of `pulls` holds a part. Clears the pulls. With several workers, most of these lines
    were last written by another one, so they are asked for ahead.
    """
    for i in range(max(first, bucket_first), min(last, bucket_last)):
        positions[i] = walked[i]
    for begin in range(first, last, CHUNK):
        end = min(last, begin + CHUNK)
        for i in range(end, min(last, end + CHUNK), LINE):
            prefetch_to_write(positions, i)
            for part in range(pulls.shape[0]):
                prefetch_to_write(pulls[part], i)
        # Slices are indexed from 0, which lets LLVM rule out negative indices and vectorise.
        moved = positions[begin:end]
        pull = pulls[0, begin:end]
        for part in range(1, pulls.shape[0]):
            more = pulls[part, begin:end]
            for i in range(more.shape[0]):
                pull[i] += more[i]
                more[i] = 0
        for i in range(moved.shape[0]):
            moved[i] += np.float32(pull[i]) * unit
            pull[i] = 0


@inline
def add_share(
    number: Any,
    n_workers: Any,
    dims: Any,
    n_components: Any,
    start: Any,
    end: Any,
    positions: Any,
    walked: Any,
    pulls: Any,
    unit: Any,
    tickets: Any,
) -> None:
    """Add pulls to slices of the positions, as worker `number`, until none is left."""
    d = dimensions(dims, n_components)
    worker = np.int64(number)
    size = positions.shape[0]
    slice_size = min(SLICE, (size // (4 * n_workers) // LANES_STEP + 1) * LANES_STEP)
    n_slices = (size + slice_size - 1) // slice_size
    while True:
        number_of_slice = next_piece(worker, n_workers, n_slices, tickets, 8)
        if number_of_slice < 0:
            break
        first = number_of_slice * slice_size
        add_pulls(
            first, min(size, first + slice_size), start * d, end * d,
            positions, walked, pulls, ONE / unit,
        )  # fmt: skip
