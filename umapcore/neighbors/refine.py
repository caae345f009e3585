"""A pass in which every point looks at the neighbours of its neighbours.

All points read the lists of before the pass, so its result does not depend on their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import U0, kernel
from umapcore._kit.prefetch import LINE, prefetch_to_read
from umapcore.neighbors.lists import NO_KEY, Lists, keep, number_of

if TYPE_CHECKING:
    from umapcore.neighbors.pairs import Points

#: Places in the table of points that were looked at; the last one at each place is known.
_PLACES = 1024
_MASK = _PLACES - 1
#: The rows of points are fetched so many comparisons ahead, lists of neighbours so many points.
_AHEAD, _POINTS_AHEAD = 12, 3
_LINE, _KEYS_OF_LINE = np.uint64(LINE), np.uint64(LINE // 2)
_HALF = np.int64(32)


@kernel(seconds=2)
def look_around(
    first: Any, last: Any, points: Points, before: Lists, found: Lists, reach: Any
) -> None:
    """Add to the lists of the points `first` … `last` - 1 near points that their neighbours list.

    Parameters
    ----------
    before, found
        Lists of all points before and after the pass.
    reach
        How many of their first entries are looked at: those of the point, and those of each of
        these neighbours.
    """
    rows, stride, _ = points
    keys, k, places = before
    seen = np.empty(_PLACES, np.int64)
    for place in range(_PLACES):
        seen[place] = 0
    others = np.empty(reach * reach, np.int32)
    for i in range(first, last):
        if i + _POINTS_AHEAD < last:
            coming = np.int64(i + _POINTS_AHEAD) * places
            for q in range(reach):
                key = keys[coming + q]
                if key != NO_KEY:
                    begin = np.uint64(number_of(key)) * np.uint64(places)
                    prefetch_to_read(keys, begin)
                    prefetch_to_read(keys, begin + _KEYS_OF_LINE)
        base = np.int64(i) * places
        tag = np.int64(i + 1) << _HALF
        seen[i & _MASK] = tag | np.int64(i)
        for place in range(base, base + places):
            found.keys[place] = keys[place]
        for q in range(k):
            key = keys[base + q]
            number = number_of(key)
            seen[number & _MASK] = tag | np.int64(number)
        count = np.int64(0)
        for q in range(reach):
            key = keys[base + q]
            if key == NO_KEY:
                break
            beyond = np.int64(number_of(key)) * places
            for r in range(reach):
                key = keys[beyond + r]
                if key == NO_KEY:
                    break
                number = number_of(key)
                mark = tag | np.int64(number)
                # No branch, which would go either way equally often.
                others[count] = number
                count += np.int64((seen[number & _MASK] != mark) & (number != i))
                seen[number & _MASK] = mark
        for c in range(count):
            if c + _AHEAD < count:
                ahead = np.uint64(others[c + _AHEAD]) * stride
                for line in range(U0, stride, _LINE):
                    prefetch_to_read(rows, ahead + line)
            keep(points, i, points, others[c], found)
