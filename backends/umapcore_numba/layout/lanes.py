"""The lanes of a group of walkers: scratch, order, and lanes whose own head is in the pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import U0, U1, inline
from umapcore.layout.constants import GROUP, MAX_POOL

#: Distance between the columns of the pool.
POOL_STRIDE = MAX_POOL + GROUP
#: Values in place of the lane that would meet its own head: no lane, or several.
NOBODY, SEVERAL = -1, -2
#: Lanes with fewer fires are sorted by counting, the others by insertion.
COUNT_BINS = 64


def float_scratch(n_components: int, *, density: bool = False) -> int:
    """Return how many float32 of scratch a walk needs.

    Three columns for each dimension: positions of heads, positions of other vertices, differences;
    and two for intermediates. A density needs five more: two terms of the heads, two of their
    tails, and rates.
    """
    return (3 * n_components + (7 if density else 2)) * GROUP


def int_scratch(n_components: int) -> int:
    """Return how many int32 of scratch a walk needs: seven columns of lanes, pulls, and bins."""
    return (7 + n_components) * GROUP + COUNT_BINS + 1


@inline
def dimensions(dims: Any, n_components: Any) -> Any:
    """Return the length of `dims`, known to the compiler, or `n_components` if it is 0."""
    return len(dims) if len(dims) > 0 else n_components


@inline
def is_plain(plan: Any) -> Any:
    """Return whether every head has one walker with the same number, so there are no hubs."""
    return plan.heads.shape[0] == plan.first_walkers.shape[0] - 1


@inline
def sort_lanes(n_walkers: Any, count: Any, lane_of: Any, bins: Any) -> None:
    """Sort walkers by falling number of fires."""
    # Indices are unsigned: for signed ones numba adds Python's wrap-around.
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
    """Find the offsets at which a lane of the group would meet its own head in the pool.

    `lane_of` holds the lane of each walker. Lane i reads entry base + i + offset of the pool. For
    such an offset `meets_itself` receives i, or `SEVERAL` if there are several such lanes.
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
