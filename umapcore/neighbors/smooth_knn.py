"""UMAP's smooth kNN: a weight from 0 to 1 for each neighbour of a vertex.

McInnes, Healy and Melville 2018, algorithm 3. A vertex gives a neighbour at distance d the weight
exp(-max(0, d - rho) / sigma). rho is the distance of its nearest neighbour, and sigma is such that
the weights of its neighbours sum to log2(k). The weights of one row are the view of its vertex.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore._kit.jit import inline, kernel
from umapcore._kit.simd import SIMD_WIDTH, any_lane, least, load, single_bits, store, where
from umapcore.neighbors.bandwidth import LEAST_BANDWIDTH, NO_NEIGHBOR, fade, find_scales
from umapcore.neighbors.entries import COLUMN_SHIFT, NO_ENTRY, entry_of, sort_lanes

#: A fractional part of the local connectivity is ignored up to this, as in umap-learn.
_INTERPOLATED = 1e-5
_LEAST_WEIGHT = np.float64(np.finfo(np.float32).tiny)


@kernel()
def sum_of_distances(first: Any, last: Any, distances: Any) -> Any:
    """Sum the finite distances of some rows, row by row, and count them."""
    total = 0.0
    count = 0
    for i in range(first, last):
        of_row = 0.0
        for j in range(distances.shape[1]):
            d: Any = np.float64(distances[i, j])
            is_there = d < np.inf
            of_row += d if is_there else 0.0
            count += is_there
        total += of_row
    return total, count


@kernel(seconds=4)
def memberships(
    first: Any,
    last: Any,
    indices: Any,
    distances: Any,
    target: Any,
    local_connectivity: Any,
    least_of_all: Any,
    views: Any,
    counts: Any,
) -> Any:
    """Compute the weights of the rows `first` … `last` - 1, as entries sorted by column.

    Parameters
    ----------
    indices, distances
        int32 and float32, (n, k): neighbours in order of increasing distance, each vertex first
        in its own row; -1 or an infinite distance where there are fewer.
    target
        Required sum of the weights of a row, without that of the vertex itself.
    local_connectivity
        Number of nearest neighbours that get the weight 1; may have a fractional part.
    least_of_all
        Minimum sigma of a vertex that coincides with its neighbours.
    views, counts
        int64, (n, width), width > k, and (n,): receive the entries of each row, without zeros and
        with `NO_ENTRY` after them, and their number.

    Returns
    -------
    A vertex that has the same neighbour twice, or -1.
    """
    k = indices.shape[1]
    # For a group of eight rows: all first neighbours, then all second ones, and so on.
    excess, shares = np.empty(k * SIMD_WIDTH, np.float64), np.empty(k * SIMD_WIDTH, np.float64)
    found = np.empty(k * SIMD_WIDTH, np.int64)
    near, far = np.empty(SIMD_WIDTH, np.float64), np.empty(SIMD_WIDTH, np.float64)
    most = np.empty(SIMD_WIDTH, np.float64)
    zero = np.uint64(0)
    for group in range(first, last, SIMD_WIDTH):
        rows = min(SIMD_WIDTH, last - group)
        for lane in range(SIMD_WIDTH):
            i = min(group + lane, last - 1)
            rho = _nearest(distances[i], local_connectivity)
            mean = _load(lane, i, indices, distances, rho, excess, shares, found, near, far)
            # The scale of a row of zeros is the mean of all rows.
            smallest = LEAST_BANDWIDTH * mean if rho > 0.0 else least_of_all
            most[lane] = 1.0 / smallest if smallest > 0.0 else np.inf
        s = find_scales(excess, shares, k, load(near, zero), load(far, zero), target)
        limit = load(most, zero)
        if any_lane(s > limit):
            fade(excess, shares, k, least(s, limit))
        _add_weights(shares, found)
        sort_lanes(found, k)
        for lane in range(rows):
            if not _store(lane, group + lane, found, views, counts):
                return group + lane
    return -1


@inline
def _nearest(row: Any, local_connectivity: Any) -> Any:
    """Return rho: the distance of the nearest neighbour above 0, or a value between two."""
    whole = np.int64(np.floor(local_connectivity))
    part = local_connectivity - whole
    rho = 0.0
    before = 0.0
    seen = 0
    for j in range(row.shape[0]):
        d = np.float64(row[j])
        if not 0.0 < d < np.inf:
            continue
        seen += 1
        if seen > whole:
            # This neighbour follows the last one that counts in full; the first if none does.
            if whole == 0 or part > _INTERPOLATED:
                rho = before + part * (d - before)
            return np.float64(np.float32(rho))
        before = d
        rho = d
    return rho


@inline
def _load(
    lane: Any,
    i: Any,
    indices: Any,
    distances: Any,
    rho: Any,
    excess: Any,
    shares: Any,
    found: Any,
    near: Any,
    far: Any,
) -> Any:
    """Load a row's excess distances and columns into its lane; return the mean distance."""
    total = 0.0
    present = 0
    n_near = 0
    n_far = 0
    for j in range(indices.shape[1]):
        at = j * SIMD_WIDTH + lane
        column = indices[i, j]
        d: Any = np.float64(distances[i, j])
        is_there = (column >= 0) & (d < np.inf)
        is_far = d > rho
        d = d if is_there else 0.0
        total += d
        present += is_there
        n_near += is_there & (j > 0) & (not is_far)
        n_far += is_there & (j > 0) & is_far
        beyond = d - rho if is_far else 0.0
        excess[at] = beyond if is_there else NO_NEIGHBOR
        shares[at] = np.float64(is_there)
        entry = entry_of(column, np.float32(0.0))
        found[at] = entry if is_there & (column != i) else NO_ENTRY
    near[lane] = n_near
    far[lane] = n_far
    return total / present


@inline
def _add_weights(shares: Any, found: Any) -> None:
    """Add the weights to the entries; remove entries with weights too small for a float32."""
    for at in range(np.uint64(0), np.uint64(found.shape[0]), np.uint64(SIMD_WIDTH)):
        share = load(shares, at)
        entry = load(found, at) | single_bits(share)
        store(found, at, where(share >= _LEAST_WEIGHT, entry, NO_ENTRY))


@inline
def _store(lane: Any, i: Any, found: Any, views: Any, counts: Any) -> Any:
    """Write the entries of a lane; return False when two have the same column."""
    count = 0
    alike = 0
    previous = np.int64(-1)
    for j in range(found.shape[0] // SIMD_WIDTH):
        entry = found[j * SIMD_WIDTH + lane]
        views[i, j] = entry
        column = entry >> COLUMN_SHIFT
        is_there = entry != NO_ENTRY
        count += is_there
        alike += is_there & (column == previous)
        previous = column
    for j in range(found.shape[0] // SIMD_WIDTH, views.shape[1]):
        views[i, j] = NO_ENTRY
    counts[i] = count
    return alike == 0
