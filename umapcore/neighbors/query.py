"""Nearest points in a reference: the search for them, and the check of given ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

from umapcore.logs import logger
from umapcore.neighbors import descent
from umapcore.neighbors.directions import directions
from umapcore.neighbors.knn import given_neighbours
from umapcore.neighbors.magnitudes import scaled, small_exponent, unscaled
from umapcore.neighbors.metrics import (
    METRICS,
    OWN_METRICS,
    from_squares,
    has_exact,
    scipy_metric,
    unknown_metric,
)
from umapcore.neighbors.tiles import knn_by_tiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: New points whose distances SciPy computes at a time.
_ROWS_PER_BLOCK = 256


def checked_neighbours(
    indices: Any, distances: Any, n_reference: int, name: str = "knn"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Check given neighbours in a reference, sort them and convert their dtypes.

    Parameters
    ----------
    indices, distances
        (n, k). -1 or an infinite distance means no neighbour.
    n_reference
        Number of points in the reference.
    name
        Prefix of their names in messages: ``name_indices``, ``name_distances``.

    Returns
    -------
    indices
        int32, (n, k), in order of increasing distance, -1 after the last one.
    distances
        float32, (n, k), infinite where there is no neighbour.

    Raises
    ------
    ValueError, TypeError
        When the shapes do not match, an index is out of range or twice in a row, or a distance is
        negative, NaN, or finite and beyond float32.
    """
    places, found = given_neighbours(indices, distances, name, n_points=n_reference)
    found = found + np.float32(0)  # no negative zeros
    if (found[:, 1:] < found[:, :-1]).any():
        logger.info("%s: rows sorted by distance", name)
        order = np.argsort(found, axis=1, kind="stable")
        places = np.take_along_axis(places, order, axis=1)
        found = np.take_along_axis(found, order, axis=1)
    by_place = np.sort(places, axis=1)
    twice = (by_place[:, 1:] == by_place[:, :-1]) & (by_place[:, 1:] >= 0)
    if twice.any():
        row = int(np.flatnonzero(twice.any(axis=1))[0])
        msg = f"{name}_indices has a neighbour twice in row {row}: each may be there once."
        raise ValueError(msg)
    return places, found


def nearest(
    reference: NDArray[Any],
    new: NDArray[Any],
    k: int,
    *,
    metric: str = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the k nearest points of a reference.

    For euclidean, cosine and correlation distances, a new point is compared with the whole
    reference, in a fixed order of operations. The bits are the same on every processor, and do not
    depend on the other new points. For SciPy's other metrics, it is compared with the whole
    reference too. All remaining metrics use pynndescent, whose search is approximate. Of two points
    at equal distances, the one with the lower number is nearer.

    Parameters
    ----------
    reference, new
        (n_reference, d) and (n, d), dense, finite.
    k
        At most n_reference.
    metric, metric_kwds
        Name of the metric, and its parameters.
    seed
        Seed of an approximate search.
    n_threads
        Threads to use.

    Returns
    -------
    indices, distances
        int32 and float32, (n, k), the nearest first.

    Raises
    ------
    ValueError, ImportError
        When no search supports the metric, pynndescent is needed and not installed, or
        coordinates are so large that squares of distances may be beyond float32.
    """
    points, queries = (np.ascontiguousarray(rows, np.float32) for rows in (reference, new))
    if metric in OWN_METRICS:
        exponent = small_exponent(metric, points, queries)
        if exponent:
            points, queries = scaled(points, exponent), scaled(queries, exponent)
        n, own = points.shape[0], OWN_METRICS[metric]
        if own in {"cosine", "correlation"}:
            both = directions(np.vstack([points, queries]), centred=own == "correlation")
            points, queries = both[:n], both[n:]
        indices, squares = knn_by_tiles(points, queries, k, n_threads)
        distances = from_squares(squares, own)
        return indices, unscaled(distances, exponent, metric) if exponent else distances
    if has_exact(metric, is_sparse=False):
        return _by_scipy(points, queries, k, metric, metric_kwds or {})
    return _by_pynndescent(points, queries, k, metric, metric_kwds or {}, seed)


def _by_scipy(
    points: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    metric: str,
    metric_kwds: Mapping[str, Any],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    name, options = scipy_metric(metric, metric_kwds, points)
    indices = np.empty((queries.shape[0], k), np.int32)
    distances = np.empty(indices.shape, np.float32)
    for first in range(0, queries.shape[0], _ROWS_PER_BLOCK):
        rows = slice(first, first + _ROWS_PER_BLOCK)
        block = cdist(queries[rows], points, name, **options)
        if np.isnan(block).any():
            msg = f"metric={metric!r} gives distances that are NaN for these data."
            raise ValueError(msg)
        order = np.argsort(block, axis=1, kind="stable")[:, :k]
        indices[rows] = order
        found = np.take_along_axis(block, order, axis=1)
        if (found > np.finfo(np.float32).max).any():
            msg = f"metric={metric!r} gives distances that are beyond float32 for these data."
            raise ValueError(msg)
        distances[rows] = found
    return indices, distances


def _by_pynndescent(
    points: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    metric: str,
    metric_kwds: Mapping[str, Any],
    seed: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    known = descent.known_metrics(is_sparse=False)
    if not known:
        msg = f"metric={metric!r} needs pynndescent: {descent.INSTALL}"
        raise ImportError(msg)
    if metric not in known:
        raise unknown_metric(metric, METRICS | known)
    from pynndescent import NNDescent

    index = NNDescent(
        points,
        metric=metric,
        metric_kwds=dict(metric_kwds),
        n_neighbors=max(k, 15),
        random_state=descent.random_state(seed),
        # Its result depends on the number of threads.
        n_jobs=1,
    )
    indices, distances = index.query(queries, k=k, epsilon=0.12)
    absent = indices < 0
    missing = int(absent.any(axis=1).sum())
    if missing:
        logger.warning("%d new points have fewer than %d neighbours", missing, k)
    return indices.astype(np.int32), np.where(absent, np.inf, distances).astype(np.float32)
