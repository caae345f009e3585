"""Points scaled to length 1, whose Euclidean distances tell those by cosine and correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import is_sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray


def directions(points: Any, *, centred: bool) -> Any:
    """Scale points to length 1, centring each first if so wanted; dense stay dense.

    A point without a direction is at cosine distance 1 of all others and 0 of its like: it gets
    a coordinate of its own kind, which is added as a last column.
    """
    if is_sparse(points) and centred:
        points = points.toarray()
    if is_sparse(points):
        squares = np.asarray(points.multiply(points).sum(axis=1, dtype=np.float64)).ravel()
        scale = 1.0 / np.sqrt(np.where(squares > 0.0, squares, 1.0))
        scaled = sparse.csr_array(sparse.diags_array(scale).tocsr() @ points).astype(np.float32)
        extra = sparse.csr_array((squares == 0.0).astype(np.float32)[:, None])
        wide = sparse.csr_array(sparse.hstack([scaled, extra], format="csr"))
        wide.sum_duplicates()
        return wide
    dense = points.astype(np.float64)
    if centred:
        dense -= _row_sums(dense)[:, None] / max(1, dense.shape[1])
    largest = np.abs(dense).max(axis=1, initial=0.0)
    # What is left of a constant point after centring is rounding.
    nothing = largest <= 1e-6 * np.abs(points).max(axis=1, initial=0.0)
    dense /= np.where(nothing, 1.0, largest)[:, None]
    dense /= np.sqrt(np.where(nothing, 1.0, _row_sums(dense * dense)))[:, None]
    dense[nothing] = 0.0
    if nothing.any():
        dense = np.hstack([dense, nothing[:, None]])
    return np.ascontiguousarray(dense, dtype=np.float32)


def _row_sums(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum rows from the first column to the last: NumPy's order depends on the processor."""
    total = np.zeros(matrix.shape[0])
    for column in matrix.T:
        total += column
    return total
