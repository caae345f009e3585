"""Coordinates whose squares are too large or too small for float32."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from umapcore._kit.arrays import is_sparse
from umapcore._kit.mapped import empty_beside
from umapcore.logs import logger
from umapcore.neighbors.metrics import OWN_METRICS

#: If all coordinates are below 2 to the power of this, squares of their differences may be 0.
_LEAST_EXPONENT = -40
#: Rows that are scaled at a time.
_ROWS = 16_384


def small_exponent(metric: Any, *matrices: Any) -> int:
    """Return the k for which points × 2**-k are large enough to be compared; 0 if they are.

    Parameters
    ----------
    metric
        Only Euclidean distances and their squares are concerned. For 0 nothing else is needed.
    matrices
        float32, (…, p): points, dense or sparse.

    Raises
    ------
    ValueError
        When the square of a distance may be beyond float32. Such points are not scaled, because
        other points may be so close to each other that they would coincide.
    """
    if not isinstance(metric, str) or OWN_METRICS.get(metric) not in {"euclidean", "sqeuclidean"}:
        return 0
    largest = max(largest_coordinate(matrix) for matrix in matrices)
    check_squares(largest, matrices[0].shape[1], metric)
    return exponent_of(largest)


def largest_coordinate(matrix: Any) -> float:
    """Return the largest absolute value of points, dense or sparse."""
    values = matrix.data if is_sparse(matrix) else matrix
    return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))


def check_squares(largest: float, n_columns: int, metric: str) -> None:
    """Refuse coordinates that are so large that squares of distances may be beyond float32."""
    most = math.sqrt(float(np.finfo(np.float32).max) / (4 * max(1, n_columns)))
    if largest > most:
        msg = (
            f"the representation has coordinates of up to {largest:.3g}: above {most:.3g}, squares "
            f"of distances (metric={metric!r}) may be beyond float32. Scale the coordinates."
        )
        raise ValueError(msg)


def exponent_of(largest: float) -> int:
    """Return the k for which such points × 2**-k are large enough; 0 if they are."""
    exponent = math.frexp(largest)[1]
    return exponent if largest > 0.0 and exponent < _LEAST_EXPONENT else 0


def scaled(points: Any, exponent: int) -> Any:
    """Return points × 2**-exponent, which is exact."""
    factor = 2.0**-exponent
    if is_sparse(points):
        return (points.astype(np.float64) * factor).astype(np.float32)
    found = empty_beside(points, points.shape, np.float32)
    for first in range(0, points.shape[0], _ROWS):
        some = slice(first, first + _ROWS)
        found[some] = points[some].astype(np.float64) * factor
    return found


def unscaled(distances: Any, exponent: int, metric: str) -> Any:
    """Return the distances between the points before they were scaled."""
    power = 2 if OWN_METRICS[metric] == "sqeuclidean" else 1
    with np.errstate(under="ignore"):
        found = np.ldexp(distances.astype(np.float64), power * exponent).astype(np.float32)
    lost = int(((found == 0) & (distances > 0)).sum())
    if lost:
        logger.warning("%d distances above 0 are 0 in float32 (metric=%r)", lost, metric)
    return found
