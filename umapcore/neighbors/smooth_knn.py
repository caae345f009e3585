"""UMAP's smooth kNN: how near each neighbour of a vertex counts as being, from 0 to 1.

McInnes, Healy and Melville 2018, algorithm 3. A vertex sees a neighbour at distance d by the
weight exp(-max(0, d - rho) / sigma). rho is the distance of its nearest neighbour, and sigma is
such that the weights of its neighbours sum to log2(k).

umap-learn finds sigma by bisection, until the sum is within 1e-5. The sum is a convex, falling
function of 1 / sigma, so that Newton's method from 0 comes to the root from one side, without
overshooting: here the step is that of Newton on the logarithm of the sum, in which a single
exponential is a straight line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from umapcore.jit import inline, kernel
from umapcore.neighbors import exp64
from umapcore.neighbors.exp64 import exp_of_minus

#: umap-learn's MIN_K_DIST_SCALE: least sigma, as a share of the mean distance.
LEAST_SIGMA = 1e-3
#: A fractional part of the local connectivity up to this is none, as in umap-learn.
_INTERPOLATED = 1e-5
#: The sum is taken for its target when it is nearer than this share of it.
_CLOSE = 1e-10
#: Newton's steps at most; three to six are usual.
_MOST_STEPS = 100
#: Up to so many neighbours a row is sorted by insertion.
_FEW = 48
_LEAST_WEIGHT = np.float32(np.finfo(np.float32).tiny)


@kernel()
def sum_of_distances(first: Any, last: Any, distances: Any) -> Any:
    """Sum the finite distances of some rows, in order, and count them."""
    total = 0.0
    count = 0
    for i in range(first, last):
        for j in range(distances.shape[1]):
            d = np.float64(distances[i, j])
            if d < np.inf:
                total += d
                count += 1
    return total, count


@kernel(exp64)
def memberships(
    first: Any,
    last: Any,
    indices: Any,
    distances: Any,
    target: Any,
    local_connectivity: Any,
    least_of_all: Any,
    columns: Any,
    weights: Any,
    counts: Any,
) -> Any:
    """Write the weights of the rows `first` … `last` - 1, sorted by column, without zeros.

    Parameters
    ----------
    indices, distances
        int32 and float32, (n, k): neighbours by growing distance, each vertex first in its own
        row; -1 or an infinite distance where there are fewer.
    target
        What the weights of a row are to sum to, without that of the vertex itself.
    local_connectivity
        How many of the nearest neighbours get the weight 1; may have a fractional part.
    least_of_all
        Least sigma of a vertex that coincides with its neighbours.
    columns, weights, counts
        int32 (n, k), float32 (n, k) and int64 (n,): receive the result.

    Returns
    -------
    A vertex that has some neighbour twice, or -1.
    """
    k = indices.shape[1]
    beyond = np.empty(k, np.float64)
    faded = np.empty(k, np.float64)
    for i in range(first, last):
        rho = _nearest(distances[i], local_connectivity)
        total = 0.0
        present = 0
        near = 0
        far = 0
        for j in range(k):
            d = np.float64(distances[i, j])
            if indices[i, j] < 0 or not d < np.inf:
                continue
            total += d
            present += 1
            if j > 0 and d > rho:
                beyond[far] = d - rho
                far += 1
            elif j > 0:
                near += 1
        scale = inverse_sigma(beyond, faded, far, target - near)
        # A row of zeros has the mean of all rows for its scale.
        least = LEAST_SIGMA * (total / present) if rho > 0.0 else least_of_all
        if least > 0.0:
            scale = min(scale, 1.0 / least)
        count = 0
        for j in range(k):
            column = indices[i, j]
            d = np.float64(distances[i, j])
            if column < 0 or column == i or not d < np.inf:
                continue
            weight = np.float32(1.0)
            if d > rho:
                weight = np.float32(exp_of_minus((d - rho) * scale))
            if weight < _LEAST_WEIGHT:
                continue
            columns[i, count] = column
            weights[i, count] = weight
            count += 1
        counts[i] = count
        _sort_row(columns[i, :count], weights[i, :count])
        for j in range(1, count):
            if columns[i, j] == columns[i, j - 1]:
                return i
    return -1


@inline
def _nearest(row: Any, local_connectivity: Any) -> Any:
    """Give rho: the distance of the nearest neighbour that is not at 0, or one between two."""
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
            # The neighbour after the last one that counts in full; the first when none does.
            if whole == 0 or part > _INTERPOLATED:
                rho = before + part * (d - before)
            return np.float64(np.float32(rho))
        before = d
        rho = d
    return rho


@inline
def inverse_sigma(beyond: Any, faded: Any, count: Any, target: Any) -> Any:
    """Find s such that the sum of exp(-d s) over `count` distances d above 0 is `target`.

    Returns
    -------
    0 where the sum is below the target even so; infinity where no s makes it small enough.
    """
    if count <= target:
        return 0.0
    if target <= _CLOSE:
        return np.inf
    s = 0.0
    for _ in range(_MOST_STEPS):
        # Written to an array first, so that exponentials are computed side by side; the sums
        # are taken in order.
        for j in range(count):
            faded[j] = exp_of_minus(beyond[j] * s)
        total = 0.0
        slope = 0.0
        for j in range(count):
            total += faded[j]
            slope += faded[j] * beyond[j]
        ratio = total / target
        if ratio - 1.0 <= _CLOSE:
            break
        # log(ratio) from below by a quotient: the step never goes beyond the root.
        log_ratio = 3.0 * (ratio * ratio - 1.0) / (ratio * ratio + 4.0 * ratio + 1.0)
        step = log_ratio * total / slope
        s += step
    return s


@inline
def _sort_row(columns: Any, weights: Any) -> None:
    """Sort by column, in place."""
    if columns.shape[0] > _FEW:
        order = np.argsort(columns)
        columns[:] = columns[order]
        weights[:] = weights[order]
        return
    for j in range(1, columns.shape[0]):
        column, weight, at = columns[j], weights[j], j
        while at > 0 and columns[at - 1] > column:
            columns[at] = columns[at - 1]
            weights[at] = weights[at - 1]
            at -= 1
        columns[at] = column
        weights[at] = weight
