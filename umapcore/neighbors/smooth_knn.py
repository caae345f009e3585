"""UMAP's smooth kNN: how near each neighbour of a vertex counts as being, from 0 to 1.

McInnes, Healy and Melville 2018, algorithm 3. A vertex sees a neighbour at distance d by the
weight exp(-max(0, d - rho) / sigma). rho is the distance of its nearest neighbour, and sigma is
such that the weights of its neighbours sum to log2(k).

umap-learn finds sigma by bisection, until the sum is within 1e-5. Here the root is found by
Newton's method, on the logarithm of the sum, in which a single exponential is a straight line, and
with Halley's correction. The logarithm is a convex, falling function of 1 / sigma: a step of Newton
ends before the root, wherever it begins, and the next ones come nearer.
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
_CLOSE = 1e-9
#: Steps at most; two to four are usual.
_MOST_STEPS = 100
#: Distances that are worked out side by side.
_LANES = 8
_HALF = np.uint64(_LANES)
_GROUP = np.uint64(2 * _LANES)
#: Up to so many neighbours a row is sorted by counting.
_FEW = 48
_NO_COLUMN = np.int32(np.iinfo(np.int32).max)
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
    work = scratch(k)
    found = np.empty((k + _LANES - 1) // _LANES * _LANES, np.int32)
    seen_by = np.empty(k, np.float32)
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
                work[place_of(far)] = d - rho
                far += 1
            elif j > 0:
                near += 1
        scale = inverse_sigma(work, far, target - near)
        # A row of zeros has the mean of all rows for its scale.
        least = LEAST_SIGMA * (total / present) if rho > 0.0 else least_of_all
        if least > 0.0:
            scale = min(scale, 1.0 / least)
        _fade(work, far, scale)
        far = 0
        count = 0
        for j in range(k):
            column = indices[i, j]
            d = np.float64(distances[i, j])
            if column < 0 or not d < np.inf:
                continue
            weight = np.float32(1.0)
            if d > rho:
                if j == 0:  # the row does not begin with its vertex
                    weight = np.float32(exp_of_minus((d - rho) * scale))
                else:
                    weight = np.float32(work[place_of(far) + _HALF])
                    far += 1
            if column == i or weight < _LEAST_WEIGHT:
                continue
            found[count] = column
            seen_by[count] = weight
            count += 1
        counts[i] = count
        if not _sort_row(found, seen_by, count, columns[i], weights[i]):
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
def scratch(count: Any) -> Any:
    """Make the array for so many distances that :func:`inverse_sigma` takes.

    Groups of distances alternate with room for their exponentials: of two arrays a compiler
    would not know that they are apart, and would work out one exponential after another.
    """
    return np.zeros((count + _LANES - 1) // _LANES * _LANES * 2, np.float64)


@inline
def place_of(j: Any) -> Any:
    """Place of the distance with number j in the array of :func:`scratch`."""
    j = np.uint64(j)
    return j + (j & ~(_HALF - np.uint64(1)))


@inline
def inverse_sigma(work: Any, count: Any, target: Any) -> Any:
    """Find s such that the sum of exp(-d s) over `count` distances d above 0 is `target`.

    Parameters
    ----------
    work
        From :func:`scratch`, with the distances at their places.
    count, target
        How many of them count, and the sum wanted.

    Returns
    -------
    0 where the sum is below the target even so; infinity where no s makes it small enough.
    """
    if count <= target:
        return 0.0
    if target <= _CLOSE:
        return np.inf
    total = 0.0
    for j in range(count):
        total += work[place_of(j)]
    # The first step, from 0, where every exponential is 1.
    s = _log_below(count / target) * (count / total)
    for _ in range(_MOST_STEPS):
        # The sums are taken in order.
        _fade(work, count, s)
        total = 0.0
        slope = 0.0
        bend = 0.0
        for j in range(count):
            d, faded = work[place_of(j)], work[place_of(j) + _HALF]
            moment = faded * d
            total += faded
            slope += moment
            bend += moment * d
        ratio = total / target
        if abs(ratio - 1.0) <= _CLOSE:
            break
        mean = slope / total
        step = _log_below(ratio) / mean
        # Halley's correction for the bend of the logarithm, which is the variance of the
        # distances. It may lead beyond the root; from there Newton's step leads back.
        variance = bend / total - mean * mean
        if step > 0.0:
            step += min(0.5 * variance / mean * step * step, 0.5 * step)
        s = max(s + step, 0.5 * s)
    return s


@inline
def _fade(work: Any, count: Any, s: Any) -> None:
    """Write exp(-d s) of each distance d of a scratch array behind it."""
    # Groups of a fixed length are worked out side by side. Unsigned numbers: a negative index
    # would count from the end, which takes a branch.
    for group in range(np.uint64(0), np.uint64(2 * count), _GROUP):
        for lane in range(np.uint64(0), _HALF, np.uint64(1)):
            work[group + _HALF + lane] = exp_of_minus(work[group + lane] * s)


@inline
def _log_below(ratio: Any) -> Any:
    """Logarithm by a quotient that is nearer to 0 than it is, and exact to third order at 1."""
    return 3.0 * (ratio * ratio - 1.0) / (ratio * ratio + 4.0 * ratio + 1.0)


@inline
def _sort_row(found: Any, seen_by: Any, count: Any, columns: Any, weights: Any) -> Any:
    """Write a row sorted by column; False when it has a column twice."""
    if count > _FEW:
        order = np.argsort(found[:count])
        for j in range(count):
            columns[j] = found[order[j]]
            weights[j] = seen_by[order[j]]
            if j > 0 and columns[j] == columns[j - 1]:
                return False
        return True
    for j in range(count, found.shape[0]):
        found[j] = _NO_COLUMN
    twice = False
    for j in range(count):
        # The place of an entry is the number of smaller ones: no branch that depends on data.
        column = found[j]
        place = np.int32(0)
        alike = np.int32(0)
        for group in range(np.uint64(0), np.uint64(count), _HALF):
            for lane in range(np.uint64(0), _HALF, np.uint64(1)):
                place += np.int32(found[group + lane] < column)
                alike += np.int32(found[group + lane] == column)
        if alike > 1:
            twice = True
        columns[place] = column
        weights[place] = seen_by[j]
    return not twice
