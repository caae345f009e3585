"""Comparison of all pairs of points within the leaves of a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import kernel
from umapcore.neighbors.codes import (
    MOST,
    Codes,
    encode,
    find_bests,
    find_centre,
    find_near,
    find_scale,
    limit_of,
)
from umapcore.neighbors.lists import Lists, keep, least_needed
from umapcore.neighbors.tile_products import QUERIES, TILE

if TYPE_CHECKING:
    from umapcore.neighbors.pairs import Points


@kernel(seconds=3)
def compare_leaves(
    first: Any, last: Any, points: Points, order: Any, bounds: Any, found: Lists
) -> None:
    """Compare all pairs within the leaves `first` … `last` - 1, and keep the nearest.

    Parameters
    ----------
    order, bounds
        int32, int64: the points, leaf after leaf, and where the leaves begin and end.
    found
        Lists of the nearest so far.
    """
    n_words = points.n_words
    padded = 0
    for leaf in range(first, last):
        padded = max(padded, -(-(bounds[leaf + 1] - bounds[leaf]) // TILE) * TILE)
    stride = np.int64(points.stride)
    codes = Codes(
        np.empty(padded * n_words, np.int32),
        np.empty(padded, np.int32),
        np.empty(stride, np.float32),
        np.empty(stride, np.int32),
    )
    near = np.empty(QUERIES * padded, np.int32)
    limits, bests = np.empty(padded, np.int32), np.empty(QUERIES, np.int32)
    minima = np.empty(QUERIES * TILE, np.int32)
    for leaf in range(first, last):
        members = order[bounds[leaf] : bounds[leaf + 1]]
        m = members.shape[0]
        n_tiles = -(-m // TILE)
        find_centre(points, members, codes.centre)
        scale = find_scale(points, members, codes.centre)
        encode(points, members, scale, codes, 0)
        for place in range(m, n_tiles * TILE):
            limits[place] = -1
        for q in range(0, m, QUERIES):
            for r in range(QUERIES):
                bests[r] = MOST
            if least_needed(found, members[q]) == np.inf:
                # A point itself is among those counted, hence k + 1 of them.
                parts = found.k // TILE + 1
                find_bests(codes, q, codes, (0, n_tiles, parts), n_words, minima, bests)
            for r in range(min(QUERIES, m - q)):
                worst = least_needed(found, members[q + r])
                limits[q + r] = limit_of(worst, bests[r], scale, n_words)
            count = find_near(codes, q, codes, (0, n_tiles), n_words, limits, near)
            for c in range(count):
                row, column = q + near[c] % QUERIES, near[c] // QUERIES
                if row < m and column < m and column != row:
                    keep(points, members[row], points, members[column], found)
