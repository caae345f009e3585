"""Exact nearest neighbours: every point is compared with every other.

Euclidean distances, and those of directions (cosine, correlation), are computed by our own kernel.
It computes every sum in a fixed order. The neighbours and the bits of their distances are therefore
the same on every processor and for any number of threads. SciPy computes the other metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import distance

from umapcore._kit.arrays import is_sparse
from umapcore.neighbors.directions import directions
from umapcore.neighbors.knn import KNN
from umapcore.neighbors.metrics import OWN_METRICS, from_squares, refuse_parameters, scipy_metric
from umapcore.neighbors.partitions import knn_by_partitions
from umapcore.neighbors.products import knn_by_products
from umapcore.neighbors.tiles import knn_by_tiles
from umapcore.neighbors.top_k import keep_nearest, own_first, rows_of_block

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


def exact_knn(
    points: Any,
    n_neighbors: int,
    *,
    metric: str | Callable[..., float] = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    report: Callable[[float], None] | None = None,
) -> KNN:
    """Find the exact nearest neighbours.

    Parameters
    ----------
    points
        float32, finite, (n, p), dense in C order or CSR in canonical form.
    n_neighbors
        k, from 1 to n; every point is its own first neighbour.
    metric, metric_kwds
        One of ``umapcore.neighbors.metrics.METRICS`` or a function of two points, and its
        parameters.
    n_threads
        Threads to use; None takes the settings' number.
    report
        Called with each share of the work that has been done, for our own metrics.

    Returns
    -------
    Arrays of shape (n, k). Of neighbours at equal distances, the one with the smaller number is
    first.

    Raises
    ------
    ValueError
        When the metric is not available for the points, or a distance is NaN or beyond float32.
    """
    own = OWN_METRICS.get(metric) if isinstance(metric, str) else None
    if own is None:
        knn = _by_scipy(points, n_neighbors, metric, metric_kwds or {})
        if np.isnan(knn.distances).any():
            msg = f"metric={metric!r} gives distances that are NaN for these data."
            raise ValueError(msg)
        if isinstance(metric, str) and (knn.indices < 0).any():
            msg = f"metric={metric!r} gives distances that are beyond float32 for these data."
            raise ValueError(msg)
        return knn
    refuse_parameters(metric, metric_kwds)
    if own in {"cosine", "correlation"}:
        points = directions(points, centred=own == "correlation")
    if is_sparse(points):
        indices, squares = knn_by_products(points, n_neighbors, n_threads)
    else:
        indices, squares = knn_by_tiles(points, n_neighbors, n_threads, report)
    return KNN(indices, from_squares(squares, own))


def approximate_knn(
    points: NDArray[np.float32],
    n_neighbors: int,
    *,
    metric: str = "euclidean",
    accuracy: float,
    seed: int = 0,
    n_threads: int | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[KNN, float]:
    """Find most of the nearest neighbours of dense points; see :mod:`.partitions`.

    Parameters
    ----------
    points, n_neighbors, n_threads, report
        As for :func:`exact_knn`; k is at least 2.
    metric
        One of our own: ``OWN_METRICS``.
    accuracy
        The recall that is aimed at.
    seed
        From 0 to 2**64 - 1.

    Returns
    -------
    Arrays of shape (n, k), as from :func:`exact_knn`, and the measured recall.
    """
    own = OWN_METRICS[metric]
    if own in {"cosine", "correlation"}:
        points = directions(points, centred=own == "correlation")
    found = knn_by_partitions(points, n_neighbors, accuracy, seed, n_threads, report)
    return KNN(found.indices, from_squares(found.squares, own)), found.recall


def _by_scipy(points: Any, k: int, metric: Any, metric_kwds: Mapping[str, Any]) -> KNN:
    """Find neighbours among all distances, which SciPy computes block by block."""
    if is_sparse(points):
        msg = f"metric={metric!r}: an exact search of sparse data supports only "
        msg += ", ".join(map(repr, OWN_METRICS)) + "."
        raise ValueError(msg)
    name, options = scipy_metric(metric, metric_kwds, points)
    n = points.shape[0]
    indices, distances = own_first(n, k)
    step = rows_of_block(n)
    for first in range(0, n, step):
        block = distance.cdist(points[first : first + step], points, name, **options)
        keep_nearest(first, block, indices, distances)
    return KNN(indices, distances)
