"""The pool of vertices that serve as negative samples for a bucket."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore._kit.rng import HALF_WORD, LOW_HALF, mix64_of
from umapcore.layout.constants import GROUP
from umapcore_numba.layout.lanes import POOL_STRIDE, dimensions

#: Number of pieces of work in which a pool is drawn.
POOL_PARTS = 4


@inline
def bucket_key(seed: Any, epoch: Any, bucket: Any) -> Any:
    """Return the key of the random numbers of one bucket in one epoch."""
    return mix64_of(mix64_of(seed) ^ ((np.uint64(epoch) << np.uint64(32)) | np.uint64(bucket)))


@inline
def draw_pool(
    part: Any,
    dims: Any,
    n_components: Any,
    key: Any,
    start: Any,
    end: Any,
    positions: Any,
    pool: Any,
) -> None:
    """Draw one part of the vertices that serve as negative samples for a bucket.

    The bucket has the places `start` … `end` - 1. Each column of the pool is followed by a copy of
    its beginning: the w-th walker of a group reads entries from w on, modulo the pool's size.
    """
    pool_places = pool.places
    d = dimensions(dims, n_components)
    stride = np.uint64(d)
    n = np.uint64(positions.shape[0]) // stride
    size = pool_places.shape[0]
    half = size // 2
    quota = half // POOL_PARTS
    own = pool.own[part]
    n_own = 0
    for e in range(part * quota, (part + 1) * quota):
        # Both halves of a hash are used: the upper one for entry e, the lower for half + e.
        bits = mix64_of(key + np.uint64(e))
        pool_places[e] = np.int64(((bits >> HALF_WORD) * n) >> HALF_WORD)
        pool_places[half + e] = np.int64(((bits & LOW_HALF) * n) >> HALF_WORD)
    for begin in (part * quota, half + part * quota):
        for e in range(begin, begin + quota):
            place = pool_places[e]
            for k in range(d):
                x = positions[np.uint64(place) * stride + np.uint64(k)]
                pool.points[k * POOL_STRIDE + e] = x
                if e < GROUP:
                    pool.points[k * POOL_STRIDE + size + e] = x
            own[n_own] = e
            n_own += start <= place < end
    own[own.shape[0] - 1] = n_own
