"""Points rounded to 16-bit integers, and the comparison of many pairs by them.

Processors add products of such integers three times as fast as of floats, and exactly. The integers
only decide which pairs are looked at more closely: how far they can be from the points is known, so
no pair that matters is left out. The neighbours, and all bits, are those of the points.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from umapcore._kit.jit import U0, U1, inline
from umapcore._kit.simd import SIMD_WIDTH, greatest, least, load, lowest_bit, store, truncated
from umapcore.neighbors.pairs import Points, square
from umapcore.neighbors.tile_products import (
    QUERIES,
    TILE,
    WORDS_OF_BITS,
    bits_near,
    bits_near_both,
    lower_minima,
    number_up_to,
)

#: Largest length of a rounded point: the square of twice this fits in an int32.
LONGEST = 23_100.0
#: More than any squared distance between rounded points.
MOST = np.int32(np.iinfo(np.int32).max)
#: Squared length at a place without a point: it is far from all others, and no sum overflows.
NO_POINT = np.int32(1_600_000_000)
#: Added to make a number positive before it is truncated, so that it is rounded to the nearest.
_SHIFT = np.float32(32768.5)
_LONGEST = np.float32(LONGEST)
#: More than the rounding of a coordinate in steps: half a step, and the error of float32.
_ROUNDING = 0.51
#: More than the relative error of a distance in float32 for each pair of coordinates, and for all.
_ERROR_OF_PAIR, _ERROR = 1e-8, 1e-6
#: Points of less squared length are not told apart: squares of their differences may be denormal.
_LEAST_LENGTH = np.float32(1e-30)
_U8 = np.uint64(SIMD_WIDTH)
#: A distance of a rank is found up to 1 / 2 to the power of this.
_PRECISION = 6


class Codes(NamedTuple):
    """Rounded points in tiles.

    Attributes
    ----------
    words
        int32: of each tile, for each pair of coordinates, the pairs of its points.
    squares
        int32: squared length of each point; `NO_POINT` where there is none.
    centre
        float32: what is subtracted from each point before it is rounded.
    row
        int32: scratch for a point.
    """

    words: Any
    squares: Any
    centre: Any
    row: Any


@inline
def find_centre(points: Points, members: Any, centre: Any) -> None:
    """Find the middle between the least and the greatest of each coordinate."""
    rows, stride, _ = points
    half = np.float32(0.5)
    for c in range(U0, stride, _U8):
        low = load(rows, np.uint64(members[0]) * stride + c)
        high = low
        for i in range(1, members.shape[0]):
            x = load(rows, np.uint64(members[i]) * stride + c)
            low = least(low, x)
            high = greatest(high, x)
        store(centre, c, low * half + high * half)


@inline
def find_scale(points: Points, members: Any, centre: Any) -> Any:
    """Return the steps per unit of length with which the longest point just fits."""
    rows, stride, n_words = points
    longest = np.float32(0.0)
    for i in range(members.shape[0]):
        longest = max(longest, square(rows, np.uint64(members[i]) * stride, centre, U0, stride))
    return scale_of(longest, n_words)


@inline
def scale_of(longest: Any, n_words: Any) -> Any:
    """Return the steps per unit of length for points of at most this squared length.

    0: all points are rounded to the same, so that all of them are looked at.
    """
    if longest < _LEAST_LENGTH:
        return np.float32(0.0)
    # Rounding can make a point longer by half the root of its number of coordinates.
    return np.float32(LONGEST - np.sqrt(np.float64(n_words))) / np.sqrt(longest)


@inline
def encode(
    points: Points, members: Any, scale: Any, longest: Any, codes: Codes, first: Any
) -> None:
    """Round some points, and write them from place `first`, the beginning of a tile, on.

    Points of more than the squared length `longest` are moved towards the centre, to that length;
    none if it is infinite. Like all projections onto a ball, this brings no two points further
    apart.
    """
    rows, stride, n_words = points
    m = members.shape[0]
    for i in range(m):
        at = np.uint64(members[i]) * stride
        own = scale
        if longest < np.inf:
            length = square(rows, at, codes.centre, U0, stride)
            if length > longest:
                own = scale * np.sqrt(longest / length)
        for c in range(U0, stride, _U8):
            d = (load(rows, at + c) - load(codes.centre, c)) * own
            d = least(greatest(d, -_LONGEST), _LONGEST)
            store(codes.row, c, truncated(d + _SHIFT) - np.int32(32768))
        place = first + i
        base = (place // TILE) * n_words * TILE + place % TILE
        total = np.int32(0)
        for w in range(n_words):
            x, y = codes.row[2 * w], codes.row[2 * w + 1]
            codes.words[base + w * TILE] = (x & np.int32(0xFFFF)) | (y << np.int32(16))
            total += x * x + y * y
        codes.squares[place] = total
    for place in range(first + m, -(-(first + m) // TILE) * TILE):
        blank(codes, place, n_words)


@inline
def blank(codes: Codes, place: Any, n_words: Any) -> None:
    """Write that there is no point at a place."""
    base = (place // TILE) * n_words * TILE + place % TILE
    for w in range(n_words):
        codes.words[base + w * TILE] = np.int32(0)
    codes.squares[place] = NO_POINT


@inline
def parts_of(rank: Any) -> Any:
    """Return into how many times `TILE` groups points are divided: about twice the rank."""
    return 2 * rank // TILE + 1


@inline
def find_bests(
    queries: Codes, q: Any, points: Codes, tiles: Any, rank: Any, n_words: Any, minima: Any,
    bests: Any,
) -> None:  # fmt: skip
    """Find, for some queries, a squared distance that enough points do not exceed.

    Of groups of points the least distances are known. The one of a rank among these is a little
    more than that of the same rank among all.

    Parameters
    ----------
    queries, q
        Rounded queries, and the place of the first, a multiple of `QUERIES`.
    points, tiles
        Rounded points; the first tile, and the one after the last.
    rank
        How many points do not exceed the distance.
    n_words
        Pairs of coordinates.
    minima, bests
        int32: scratch, `parts_of(rank)` × `QUERIES` × `TILE`, and where the squared distances, in
        steps, are written to.
    """
    first, last = tiles
    parts = parts_of(rank)
    for lane in range(parts * QUERIES * TILE):
        minima[lane] = MOST
    for tile in range(first, last):
        place = (tile - first) % parts * QUERIES * TILE
        lower_minima(
            queries.words, queries.squares, points.words, points.squares,
            np.uint64(q), np.uint64(tile), np.uint64(n_words), minima, np.uint64(place),
        )  # fmt: skip
    for r in range(QUERIES):
        # The least distance that enough of the minima do not exceed lies between two others.
        low, high = np.int64(-1), np.int64(MOST)
        while high - low > 1 + (high >> _PRECISION):
            middle = (low + high) >> 1
            count = np.int64(0)
            for part in range(parts):
                place = np.uint64((part * QUERIES + r) * TILE)
                count += np.int64(number_up_to(minima, place, np.int32(middle)))
            if count < rank:
                low = middle
            else:
                high = middle
        bests[r] = high


@inline
def find_near(
    queries: Codes, q: Any, points: Codes, tiles: Any, n_words: Any, limits: Any, near: Any
) -> Any:
    """List the points of some tiles that are within the limits of some queries.

    Parameters
    ----------
    queries, q, points, n_words
        As for :func:`find_bests`.
    tiles
        The first tile, and the one after the last.
    limits
        int32: largest squared distance, in steps, for each of all queries; -1 if it is none.
    near
        int32: for each pair that is found, the place of the point from the first tile on, times
        `QUERIES`, plus the number of the query.

    Returns
    -------
    The number of pairs.
    """
    count = 0
    for tile in range(tiles[0], tiles[1]):
        found = bits_near(
            queries.words, queries.squares, points.words, points.squares,
            np.uint64(q), np.uint64(tile), np.uint64(n_words), limits,
        )  # fmt: skip
        for word in range(WORDS_OF_BITS):
            bits = found[word]
            while bits != U0:
                place = np.int64(lowest_bit(bits))
                bits &= bits - U1
                r = word * (QUERIES // WORDS_OF_BITS) + place // TILE
                column = (tile - tiles[0]) * TILE + place % TILE
                near[count] = column * QUERIES + r
                count += 1
    return count


@inline
def find_pairs(points: Codes, q: Any, n_tiles: Any, n_words: Any, limits: Any, near: Any) -> Any:
    """List pairs of points of which one is within the limit of the other.

    Parameters
    ----------
    points, n_words, limits
        As for :func:`find_near`.
    q
        The place of the first of some points, which are compared with all from their tile on.
    n_tiles
        Tiles of points.
    near
        int32: for each pair that is found, the place of the other times `QUERIES`, plus the number
        of the point, times 4; plus 1 if the other is within the point's limit, plus 2 if the point
        is within the other's.

    Returns
    -------
    The number of pairs.
    """
    count = 0
    for tile in range(q // TILE, n_tiles):
        found = bits_near_both(
            points.words, points.squares, np.uint64(q), np.uint64(tile), np.uint64(n_words), limits
        )
        for word in range(WORDS_OF_BITS):
            to_row, to_column = found[word], found[word + WORDS_OF_BITS]
            bits = to_row | to_column
            while bits != U0:
                place = lowest_bit(bits)
                bits &= bits - U1
                sides = ((to_row >> place) & U1) | (((to_column >> place) & U1) << U1)
                r = word * (QUERIES // WORDS_OF_BITS) + np.int64(place) // TILE
                column = tile * TILE + np.int64(place) % TILE
                near[count] = (column * QUERIES + r) * 4 + np.int64(sides)
                count += 1
    return count


@inline
def greatest_error(n_words: Any) -> Any:
    """Return the steps by which the distance of two points and of their codes differ at most."""
    return 2.0 * _ROUNDING * np.sqrt(2.0 * n_words) + 1.0


@inline
def limit_of(worst: Any, best: Any, scale: Any, n_words: Any) -> Any:
    """Return the largest squared distance, in steps, of points that may be among the nearest.

    Parameters
    ----------
    worst
        float32: squared distance that a point must not exceed; infinite if there is none.
    best
        int32: squared distance in steps that enough places do not exceed. From `NO_POINT` on, some
        of them are without a point.
    scale, n_words
        Steps per unit of length, and pairs of coordinates.
    """
    off = greatest_error(n_words)
    wider = 1.0 + _ERROR + _ERROR_OF_PAIR * n_words
    reach = np.inf
    if worst < np.inf:
        reach = np.sqrt(np.float64(worst)) * np.float64(scale) * wider + off
    if best < NO_POINT:
        reach = min(reach, (np.sqrt(np.float64(best)) + off) * wider + off)
    return MOST if reach >= 46_340.0 else np.int32(reach * reach)
