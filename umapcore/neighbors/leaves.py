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
    find_pairs,
    find_scale,
    limit_of,
    parts_of,
)
from umapcore.neighbors.lists import Lists, insert, is_listed, key_of, least_needed
from umapcore.neighbors.pairs import square
from umapcore.neighbors.tile_products import QUERIES, TILE

if TYPE_CHECKING:
    from umapcore.neighbors.pairs import Points


@kernel(seconds=3)
def compare_leaves(
    first: Any, last: Any, points: Points, order: Any, names: Any, bounds: Any, found: Lists
) -> None:
    """Compare all pairs within the leaves `first` … `last` - 1, and keep the nearest.

    Parameters
    ----------
    order, names, bounds
        int32, int32, int64: rows of the points, and what the points are called in the lists, leaf
        after leaf; and where the leaves begin and end.
    found
        Lists of the nearest so far.
    """
    rows, stride, n_words = points
    rank = found.k + 1  # a point itself is among those counted
    padded = 0
    for leaf in range(first, last):
        padded = max(padded, -(-(bounds[leaf + 1] - bounds[leaf]) // TILE) * TILE)
    codes = Codes(
        np.empty(padded * n_words, np.int32),
        np.empty(padded, np.int32),
        np.empty(np.int64(stride), np.float32),
        np.empty(np.int64(stride), np.int32),
    )
    near = np.empty(QUERIES * padded, np.int32)
    limits, bests = np.empty(padded, np.int32), np.empty(QUERIES, np.int32)
    minima = np.empty(parts_of(rank) * QUERIES * TILE, np.int32)
    for leaf in range(first, last):
        members = order[bounds[leaf] : bounds[leaf + 1]]
        called = names[bounds[leaf] : bounds[leaf + 1]]
        m = members.shape[0]
        n_tiles = -(-m // TILE)
        find_centre(points, members, codes.centre)
        scale = find_scale(points, members, codes.centre)
        encode(points, members, scale, np.float32(np.inf), codes, 0)
        for place in range(m, n_tiles * TILE):
            limits[place] = -1
        for q in range(0, m, QUERIES):
            for r in range(QUERIES):
                bests[r] = MOST
            if least_needed(found, called[q]) == np.inf:
                find_bests(codes, q, codes, (0, n_tiles), rank, n_words, minima, bests)
            for r in range(min(QUERIES, m - q)):
                worst = least_needed(found, called[q + r])
                limits[q + r] = limit_of(worst, bests[r], scale, n_words)
        for q in range(0, m, QUERIES):
            count = find_pairs(codes, q, n_tiles, n_words, limits, near)
            for c in range(count):
                pair = near[c] >> 2
                row, column = q + pair % QUERIES, pair // QUERIES
                if column <= row or column >= m:
                    continue
                a, b = called[row], called[column]
                to_a = near[c] & 1 != 0 and not is_listed(found, a, b)
                to_b = near[c] & 2 != 0 and not is_listed(found, b, a)
                if to_a or to_b:
                    at, other = np.uint64(members[row]), np.uint64(members[column])
                    d = square(rows, at * stride, rows, other * stride, stride)
                    if to_a:
                        insert(found, a, key_of(d, b))
                    if to_b:
                        insert(found, b, key_of(d, a))
