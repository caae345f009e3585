"""Find where two arrays differ that should have the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Most differing rows that are shown.
SHOWN = 8


def difference(found: NDArray[Any], wanted: NDArray[Any]) -> dict[str, Any]:
    """Compare arrays bit by bit: return how many rows differ, the first ones, and by how much."""
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        kinds = [f"{array.dtype} {array.shape}" for array in (found, wanted)]
        return {"equal": False, "found": kinds[0], "wanted": kinds[1]}
    rows = np.flatnonzero((_bits(found) != _bits(wanted)).any(axis=1))
    if rows.size == 0:
        return {"equal": True}
    some = rows[:SHOWN]
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(found[rows].astype(np.float64) - wanted[rows].astype(np.float64))
    return {
        "equal": False,
        "rows": found.shape[0],
        "rows_that_differ": rows.size,
        "first_rows": some.tolist(),
        "found": [str(row) for row in found[some].tolist()],
        "wanted": [str(row) for row in wanted[some].tolist()],
        # As text, since JSON has neither infinity nor NaN.
        "largest_difference": str(apart.max()),
    }


def _bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    n = array.shape[0]
    return np.ascontiguousarray(array).view(np.uint8).reshape(n, array.nbytes // max(1, n))
