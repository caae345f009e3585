"""Points scaled to length 1: their Euclidean distances give cosine and correlation distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import is_sparse
from umapcore._kit.mapped import empty_beside

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows that are scaled at a time.
_ROWS = 16_384


def directions(points: Any, *, centred: bool) -> Any:
    """Scale points to length 1, after centring each one if `centred`; dense points stay dense.

    A point without a direction is at cosine distance 1 from all points with a direction and 0
    from all others without. An additional last column, 1 for such points only, ensures this.
    """
    if is_sparse(points) and centred:
        points = points.toarray()
    if is_sparse(points):
        # Powers of two, so that the squares fit in float32; the directions keep their bits.
        largest = abs(points).max(axis=1).toarray().ravel().astype(np.float64)
        powers = np.ldexp(1.0, -np.frexp(largest)[1])
        points = sparse.csr_array(sparse.diags_array(powers).tocsr() @ points).astype(np.float32)
        squares = np.asarray(points.multiply(points).sum(axis=1, dtype=np.float64)).ravel()
        scale = 1.0 / np.sqrt(np.where(squares > 0.0, squares, 1.0))
        scaled = sparse.csr_array(sparse.diags_array(scale).tocsr() @ points).astype(np.float32)
        extra = sparse.csr_array((squares == 0.0).astype(np.float32)[:, None])
        wide = sparse.csr_array(sparse.hstack([scaled, extra], format="csr"))
        wide.sum_duplicates()
        return wide
    found = empty_beside(points, points.shape, np.float32)
    nothing = np.empty(points.shape[0], np.bool_)
    ranges = [slice(first, first + _ROWS) for first in range(0, points.shape[0], _ROWS)]
    for some in ranges:
        found[some], nothing[some] = _of_rows(points[some], centred=centred)
    if not nothing.any():
        return found
    longer = empty_beside(points, (points.shape[0], points.shape[1] + 1), np.float32)
    for some in ranges:
        longer[some, :-1], longer[some, -1] = found[some], nothing[some]
    return longer


def _of_rows(points: Any, *, centred: bool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the directions of some points, zeros for those without, and which these are."""
    dense = points.astype(np.float64)
    if centred:
        dense -= _row_sums(dense)[:, None] / max(1, dense.shape[1])
    largest = np.abs(dense).max(axis=1, initial=0.0)
    # After centring, a constant point consists of rounding errors only.
    with np.errstate(under="ignore"):
        nothing = largest <= 1e-6 * np.abs(points).max(axis=1, initial=0.0)
    dense /= np.where(nothing, 1.0, largest)[:, None]
    dense /= np.sqrt(np.where(nothing, 1.0, _row_sums(dense * dense)))[:, None]
    dense[nothing] = 0.0
    return dense, nothing


def _row_sums(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum rows from the first to the last column; NumPy's own order depends on the processor."""
    total = np.zeros(matrix.shape[0])
    for column in matrix.T:
        total += column
    return total
