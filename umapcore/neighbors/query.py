"""Nearest points in a reference: the search for them, and the check of given ones."""

from __future__ import annotations

from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from scipy.spatial.distance import cdist

from umapcore._kit.blocks import by_blocks, is_lazy
from umapcore.logs import logger
from umapcore.neighbors import descent
from umapcore.neighbors.directions import directions
from umapcore.neighbors.knn import given_neighbours, lazy_neighbours
from umapcore.neighbors.magnitudes import (
    check_squares,
    exponent_of,
    largest_coordinate,
    scaled,
    unscaled,
)
from umapcore.neighbors.metrics import (
    METRICS,
    OWN_METRICS,
    from_squares,
    has_exact,
    scipy_metric,
    unknown_metric,
)
from umapcore.neighbors.pairs import as_rows
from umapcore.neighbors.tiles import Search, nearest_by_tiles, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

#: New points whose distances SciPy computes at a time.
_ROWS_PER_BLOCK = 256
#: Neighbours and their distances in one array, as a block of a Dask array has them.
_FOUND = np.dtype([("index", np.int32), ("distance", np.float32)])

_T = TypeVar("_T")


def checked_neighbours(
    indices: Any, distances: Any, n_reference: int, name: str = "knn"
) -> tuple[Any, Any]:
    """Check given neighbours in a reference, sort them and convert their dtypes.

    Parameters
    ----------
    indices, distances
        (n, k). -1 or an infinite distance means no neighbour. If one is a Dask array, so are the
        results, with blocks of whole rows; values are checked when these are computed.
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
    if is_lazy(indices) or is_lazy(distances):
        given = lazy_neighbours(indices, distances, name)
        return _found_by("check", _Checker(n_reference, name), given, given[0].shape[1])
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
    new: Any,
    k: int,
    *,
    metric: str = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[Any, Any]:
    """Find the k nearest points of a reference.

    For euclidean, cosine and correlation distances, a new point is compared with the whole
    reference, in a fixed order of operations. The bits are the same on every processor, and do not
    depend on the other new points. For SciPy's other metrics, it is compared with the whole
    reference too. All remaining metrics use pynndescent, whose search is approximate. Of two points
    at equal distances, the one with the lower number is nearer.

    Parameters
    ----------
    reference, new
        (n_reference, d) and (n, d), dense, finite. `new` may be a Dask array with blocks of whole
        rows.
    k
        At most n_reference.
    metric, metric_kwds
        Name of the metric, and its parameters.
    seed
        Seed of an approximate search.
    n_threads
        Threads to use; in each block of a Dask array, None means one.

    Returns
    -------
    indices, distances
        int32 and float32, (n, k), the nearest first; Dask arrays if `new` is one.

    Raises
    ------
    ValueError, ImportError
        When no search supports the metric, pynndescent is needed and not installed, or
        coordinates are so large that squares of distances may be beyond float32.
    """
    index = Index(reference, k, metric, metric_kwds, seed)
    if not is_lazy(new):
        return index.nearest(new, n_threads)
    return _found_by("nearest", _Finder(index, n_threads or 1), [new], k)


@dataclass(frozen=True)
class _Finder:
    """Searches for the points of a block."""

    index: Index
    n_threads: int

    def __call__(self, block: NDArray[Any]) -> NDArray[Any]:
        return _as_one(*self.index.nearest(block, self.n_threads))


@dataclass(frozen=True)
class _Checker:
    """Checks the neighbours of a block."""

    n_reference: int
    name: str

    def __call__(self, indices: Any, distances: Any) -> NDArray[Any]:
        return _as_one(*checked_neighbours(indices, distances, self.n_reference, self.name))


def _as_one(indices: NDArray[np.int32], distances: NDArray[np.float32]) -> NDArray[Any]:
    found = np.empty(indices.shape, _FOUND)
    found["index"], found["distance"] = indices, distances
    return found


def _found_by(name: str, task: Any, arrays: Sequence[Any], k: int) -> tuple[Any, Any]:
    """Return indices and distances, as Dask arrays, of a task that finds both."""
    found = by_blocks(name, task, arrays, k, _FOUND)
    return found["index"], found["distance"]


class Index:
    """A reference in which neighbours are searched, by several threads at a time too.

    What a search needs to know of the reference is computed once, when it is first needed, and is
    not pickled.

    Parameters
    ----------
    reference, k, metric, metric_kwds, seed
        As for :func:`nearest`.

    Raises
    ------
    ValueError, ImportError
        When no search supports the metric, or pynndescent is needed and not installed.
    """

    def __init__(
        self,
        reference: NDArray[Any],
        k: int,
        metric: str = "euclidean",
        metric_kwds: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self._points = np.ascontiguousarray(reference, np.float32)
        self._k, self._metric, self._seed = k, metric, seed
        self._metric_kwds = dict(metric_kwds or {})
        self._kept: dict[str, Any] = {}
        self._lock = RLock()
        if not has_exact(metric, is_sparse=False):
            _check_descent(metric)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments()

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return type(self).__name__, *self._arguments()

    def _arguments(self) -> tuple[Any, ...]:
        return self._points, self._k, self._metric, self._metric_kwds, self._seed

    def nearest(
        self, new: NDArray[Any], n_threads: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Find the nearest points of new ones; see :func:`nearest`."""
        queries = np.ascontiguousarray(new, np.float32)
        if self._metric in OWN_METRICS:
            return self._by_tiles(queries, n_threads)
        if has_exact(self._metric, is_sparse=False):
            return self._by_scipy(queries)
        return self._by_pynndescent(queries)

    def _once(self, what: str, make: Callable[[], _T]) -> _T:
        """Return what `make` returned when it was called for the first time."""
        with self._lock:
            if what not in self._kept:
                self._kept[what] = make()
            found: _T = self._kept[what]
            return found

    def _by_tiles(
        self, queries: NDArray[np.float32], n_threads: int | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        own = OWN_METRICS[self._metric]
        if own in {"cosine", "correlation"}:
            centred = own == "correlation"
            points = self._once("directions", lambda: directions(self._points, centred=centred))
            queries = directions(queries, centred=centred)
            # A column more where a point has no direction. Zeros there change no distance.
            if queries.shape[1] < points.shape[1]:
                queries = _with_zeros(queries)
            wide = queries.shape[1] > points.shape[1]
            search = self._once(
                f"directions, {wide=}",
                lambda: _prepared(_with_zeros(points) if wide else points, n_threads),
            )
            indices, squares = nearest_by_tiles(search, queries, self._k, n_threads)
            return indices, from_squares(squares, own)
        largest = self._once("largest", lambda: largest_coordinate(self._points))
        check_squares(max(largest, largest_coordinate(queries)), queries.shape[1], self._metric)
        if largest > 0 and exponent_of(largest) == 0:
            return self._scaled(queries, 0, n_threads)
        # Coordinates are scaled point by point: others have no effect on where a point goes.
        exponents = np.array(
            [exponent_of(max(largest, largest_coordinate(query))) for query in queries], np.int64
        )
        indices = np.empty((queries.shape[0], self._k), np.int32)
        distances = np.empty(indices.shape, np.float32)
        for exponent in np.unique(exponents):
            rows = exponents == exponent
            indices[rows], distances[rows] = self._scaled(queries[rows], int(exponent), n_threads)
        return indices, distances

    def _scaled(
        self, queries: NDArray[np.float32], exponent: int, n_threads: int | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Search among points × 2**-exponent."""
        metric = self._metric
        if not exponent:
            search = self._once("points", lambda: _prepared(self._points, n_threads))
            indices, squares = nearest_by_tiles(search, queries, self._k, n_threads)
            return indices, from_squares(squares, OWN_METRICS[metric])
        search = _prepared(scaled(self._points, exponent), n_threads)
        queries = scaled(queries, exponent)
        indices, squares = nearest_by_tiles(search, queries, self._k, n_threads)
        return indices, unscaled(from_squares(squares, OWN_METRICS[metric]), exponent, metric)

    def _by_scipy(
        self, queries: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        k, metric = self._k, self._metric
        name, options = self._once(
            "options", lambda: scipy_metric(metric, self._metric_kwds, self._points)
        )
        indices = np.empty((queries.shape[0], k), np.int32)
        distances = np.empty(indices.shape, np.float32)
        for first in range(0, queries.shape[0], _ROWS_PER_BLOCK):
            rows = slice(first, first + _ROWS_PER_BLOCK)
            block = cdist(queries[rows], self._points, name, **options)
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
        self, queries: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        with self._lock:  # pynndescent's own index is for one thread
            index = self._once("descent", self._descent)
            indices, distances = index.query(queries, k=self._k, epsilon=0.12)
        absent = indices < 0
        missing = int(absent.any(axis=1).sum())
        if missing:
            logger.warning("%d new points have fewer than %d neighbours", missing, self._k)
        return indices.astype(np.int32), np.where(absent, np.inf, distances).astype(np.float32)

    def _descent(self) -> Any:
        from pynndescent import NNDescent

        return NNDescent(
            self._points,
            metric=self._metric,
            metric_kwds=self._metric_kwds,
            n_neighbors=max(self._k, 15),
            random_state=descent.random_state(self._seed),
            # Its result depends on the number of threads.
            n_jobs=1,
        )


def _check_descent(metric: str) -> None:
    known = descent.known_metrics(is_sparse=False)
    if not known:
        msg = f"metric={metric!r} needs pynndescent: {descent.INSTALL}"
        raise ImportError(msg)
    if metric not in known:
        raise unknown_metric(metric, METRICS | known)


def _prepared(points: NDArray[np.float32], n_threads: int | None) -> Search:
    return prepare(as_rows(points, None, n_threads), n_threads)


def _with_zeros(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hstack([points, np.zeros((points.shape[0], 1), np.float32)])
