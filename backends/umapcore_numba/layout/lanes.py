"""The lanes of a group of walkers: their scratch, their order, and who meets itself in the pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline
from umapcore.layout.constants import GROUP, GROUP_STEP, MAX_POOL

LANES = GROUP
#: Loops over lanes are rounded up to this.
LANES_STEP = GROUP_STEP
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
    return (3 * n_components + (7 if density else 2)) * LANES


def int_scratch(n_components: int) -> int:
    """Int32 scratch of a walk: seven columns of the lanes, their pulls, and the bins."""
    return (7 + n_components) * LANES + COUNT_BINS + 1


@inline
def dimensions(dims: Any, n_components: Any) -> Any:
    """Give the length of `dims`, which the compiler knows, or `n_components` where that is 0."""
    return len(dims) if len(dims) > 0 else n_components


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
    first: Any,
    last: Any,
    first_walkers: Any,
    pool_places: Any,
    own_entries: Any,
    lane_of_walker: Any,
    meets_itself: Any,
) -> None:
    """Note at which offsets which lane of the group would meet its own head in the pool.

    A row of `own_entries` lists entries that are heads of the bucket, and how many these are at
    its end. Lane i reads entry base + i + offset; `meets_itself` receives i, or `SEVERAL`.
    """
    mask = np.int64(pool_places.shape[0] - 1)
    for part in range(own_entries.shape[0]):
        own = own_entries[part]
        for number in range(own[own.shape[0] - 1]):
            entry = np.int64(own[number])
            place = np.int64(pool_places[entry])
            begin, end = place, place + 1
            if not plain:
                begin, end = first_walkers[place], first_walkers[place + 1]
            for w in range(max(first, begin), min(last, end)):
                lane = np.int64(lane_of_walker[w - first])
                offset = (entry - base - lane) & mask
                meets_itself[offset] = lane if meets_itself[offset] == NOBODY else SEVERAL
