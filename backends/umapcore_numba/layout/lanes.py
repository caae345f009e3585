"""The lanes of a group of walkers: their scratch, their order, and who meets itself in the pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore.layout.constants import GROUP, MAX_POOL

#: Distance of the columns of the pool.
POOL_STRIDE = MAX_POOL + GROUP
#: In place of the lane that would meet itself: none, or several.
NOBODY, SEVERAL = -1, -2
#: Lanes with fewer fires are sorted by counting, those with more by insertion.
COUNT_BINS = 64

U0, U1 = np.uint64(0), np.uint64(1)


def float_scratch(n_components: int, *, density: bool = False) -> int:
    """Float32 scratch: where walkers are, where they stand, whom they meet, two intermediates.

    With a density five columns more: the walkers' two terms, their tails', and rates.
    """
    return (3 * n_components + (7 if density else 2)) * GROUP


def int_scratch(n_components: int) -> int:
    """Int32 scratch of a walk: seven columns of the lanes, their pulls, and the bins."""
    return (7 + n_components) * GROUP + COUNT_BINS + 1


@inline
def dimensions(dims: Any, n_components: Any) -> Any:
    """Give the length of `dims`, which the compiler knows, or `n_components` where that is 0."""
    return len(dims) if len(dims) > 0 else n_components


@inline
def is_plain(plan: Any) -> Any:
    """Whether every head has one walker, numbered as it is: there are no hubs."""
    return plan.heads.shape[0] == plan.first_walkers.shape[0] - 1


@inline
def sort_lanes(n_walkers: Any, count: Any, lane_of: Any, bins: Any) -> None:
    """Order walkers by falling number of fires."""
    # Unsigned indices, as for signed ones numba adds Python's wrap-around.
    n = np.uint64(n_walkers)
    top = np.uint64(COUNT_BINS)
    bins[:] = 0
    for w in range(n):
        bins[min(np.uint64(count[w]), top)] += 1
    place = np.int32(0)
    for k in range(top + U1):
        c = top - k
        size = bins[c]
        bins[c] = place
        place += size
    n_crowded = np.uint64(bins[top - U1])
    for w in range(n):
        c = min(np.uint64(count[w]), top)
        lane_of[np.uint64(bins[c])] = w
        bins[c] += 1
    for i in range(U1, n_crowded):
        w = lane_of[i]
        j: Any = i
        while j > U0 and count[np.uint64(lane_of[j - U1])] < count[np.uint64(w)]:
            lane_of[j] = lane_of[j - U1]
            j -= U1
        lane_of[j] = w


@inline
def mark_own(
    plain: Any,
    base: Any,
    group: Any,
    first_walkers: Any,
    pool: Any,
    lane_of: Any,
    meets_itself: Any,
) -> None:
    """Note at which offsets which lane of the group would meet its own head in the pool.

    `lane_of` says which lane each walker is. Lane i reads entry base + i + offset; `meets_itself`
    receives i, or `SEVERAL`.
    """
    first, last = group.first, group.last
    mask = np.int64(pool.places.shape[0] - 1)
    for part in range(pool.own.shape[0]):
        own = pool.own[part]
        for number in range(own[own.shape[0] - 1]):
            entry = np.int64(own[number])
            place = np.int64(pool.places[entry])
            begin, end = place, place + 1
            if not plain:
                begin, end = first_walkers[place], first_walkers[place + 1]
            for w in range(max(first, begin), min(last, end)):
                lane = np.int64(lane_of[w - first])
                offset = (entry - base - lane) & mask
                meets_itself[offset] = lane if meets_itself[offset] == NOBODY else SEVERAL
