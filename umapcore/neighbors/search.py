"""Selection of the search for nearest neighbours: exact, approximate, or on a GPU."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import is_sparse
from umapcore._kit.progress import ProgressBar
from umapcore.device.select import announce_fall_back, cpu_backend, gpu_backend
from umapcore.errors import GPUUnavailableError
from umapcore.logs import logger
from umapcore.neighbors import descent
from umapcore.neighbors.knn import KNN, with_self_first
from umapcore.neighbors.magnitudes import scaled, small_exponent, unscaled
from umapcore.neighbors.metrics import (
    METRICS,
    OWN_METRICS,
    has_exact,
    refuse_parameters,
    unknown_metric,
)
from umapcore.neighbors.record import ACCURACY, Found, Search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from umapcore.device.protocol import Backend

#: Parts of the progress bar.
_PARTS = 100
_SAME = "The result has the same bits."
#: Up to this many products of coordinates, n²p, an exact search by our own metrics takes about a
#: second: 44,700 points in 50 dimensions.
EXACT_WORK = 1e11
#: If an approximate search of so many points does not find what is asked for, an exact one follows.
EXACT_AFTER = 150_000
#: As in scanpy, the search by other metrics is exact for fewer points than this.
EXACT_BELOW_OTHERS = 4096
#: Without pynndescent, the search is exact up to this many points, and refused above.
EXACT_UP_TO = 100_000
#: Sparse points are made dense, for an approximate search of our own, up to this many bytes.
DENSE_BYTES = 2**31


def nearest_neighbors(points: Any, n_neighbors: int, **options: Any) -> KNN:
    """Find the nearest neighbours of points; see :func:`find_neighbors` for the options."""
    return find_neighbors(points, n_neighbors, **options).knn


def find_neighbors(
    points: Any,
    n_neighbors: int,
    *,
    metric: str | Callable[..., float] = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    seed: int = 0,
    method: str = "umap",
    exact: bool | None = None,
    accuracy: float | None = None,
    n_threads: int | None = None,
    progress: bool | None = False,
) -> Found:
    """Find the nearest neighbours of points, and tell how.

    Parameters
    ----------
    points
        float32, finite, (n, p), dense in C order or canonical CSR.
    n_neighbors
        k, the point itself included, from 1 to n.
    metric, metric_kwds, seed, method, exact, accuracy, n_threads, progress
        As in :func:`umapcore.pp.neighbors`.

    Returns
    -------
    Arrays of shape (n, k), every point the first in its own row; and the record of the search.

    Raises
    ------
    ValueError
        For a metric that is unknown, or not available for the points, and for coordinates so large
        that squares of distances may be beyond float32.
    ImportError
        When pynndescent is needed and not installed.
    GPUUnavailableError
        When a GPU is requested but cannot be used or has too little memory, and
        ``umapcore.settings.gpu_fallback`` is False.
    """
    exponent = small_exponent(metric, points)
    if exponent:
        larger, search = find_neighbors(
            scaled(points, exponent), n_neighbors, metric=metric, metric_kwds=metric_kwds,
            seed=seed, method=method, exact=exact, accuracy=accuracy, n_threads=n_threads,
            progress=progress,
        )  # fmt: skip
        return Found(KNN(larger.indices, unscaled(larger.distances, exponent, str(metric))), search)
    if accuracy == 1.0:
        exact = True
    options: dict[str, Any] = {"metric": metric, "metric_kwds": metric_kwds}
    kind, points = _kind(points, n_neighbors, options, exact=exact)
    n = points.shape[0]
    if kind == "pynndescent":
        if method != "umap":
            announce_fall_back(method, f"metric={metric!r} needs pynndescent.", _SAME)
        logger.info("nearest neighbours: approximate search among %d points by pynndescent", n)
        found = descent.descent_knn(points, n_neighbors, seed=seed, **options)
        return Found(with_self_first(found, insert=True), Search(kind=kind))
    is_exact = kind == "exact"
    logger.info(
        "nearest neighbours: %s search among %d points", "exact" if is_exact else "approximate", n
    )

    def search_on(backend: Backend) -> Found:
        with ProgressBar(_PARTS, progress, "%", "neighbours") as bar:
            return search_with(backend, {"n_threads": n_threads, "report": _reporter(bar)})

    def search_with(backend: Backend, running: dict[str, Any]) -> Found:
        if is_exact:
            knn = backend.nearest(points, n_neighbors, **running, **options)
            return Found(knn, Search(kind=kind, accuracy=1.0))
        aim = ACCURACY if accuracy is None else accuracy
        knn, recall = backend.approximate(
            points, n_neighbors, str(metric), accuracy=aim, seed=seed, **running
        )
        if recall < aim and n <= EXACT_AFTER:
            logger.info("nearest neighbours: few are found that way, so all points are compared")
            knn, recall = backend.nearest(points, n_neighbors, **running, **options), 1.0
        elif recall < aim:
            logger.warning(
                "the recall of the neighbours is about %.3f, less than accuracy=%g; exact=True "
                "compares all points",
                recall,
                aim,
            )
        return Found(knn, Search(kind=kind, accuracy=aim, recall=recall))

    if method != "umap":
        try:
            with closing(gpu_backend()) as backend:
                return search_on(backend)
        except GPUUnavailableError as error:
            announce_fall_back(method, str(error), _SAME)
    return search_on(cpu_backend())


def _reporter(bar: ProgressBar) -> Callable[[float], None]:
    """Return a function that adds shares of the work, from any thread, to a bar of percents."""
    lock, done, shown = threading.Lock(), 0.0, 0

    def report(share: float) -> None:
        nonlocal done, shown
        with lock:
            done += share
            now = min(_PARTS, int(done * _PARTS + 1e-6))
            if now > shown:
                bar.update(now - shown)
                shown = now

    return report


def _kind(
    points: Any, n_neighbors: int, options: dict[str, Any], *, exact: bool | None
) -> tuple[str, Any]:
    """Return the kind of the search, and its points, which are made dense if it needs that.

    Raises
    ------
    ValueError
        For a metric that no search supports.
    ImportError
        When pynndescent is needed and not installed.
    """
    metric, n = options["metric"], points.shape[0]
    own = isinstance(metric, str) and metric in OWN_METRICS
    if _is_exact(points, metric, exact=exact) or (own and n_neighbors < 2):
        return "exact", points
    if not own:
        return "pynndescent", points
    refuse_parameters(metric, options["metric_kwds"])
    if is_sparse(points):
        size = 4 * n * points.shape[1]
        if size > DENSE_BYTES:
            logger.info("sparse points of %.1f GB if dense: pynndescent searches", size / 1e9)
            return "pynndescent", points
        logger.info("sparse points are made dense: %.2f GB", size / 1e9)
        points = points.toarray()
    return "partitions", points


def _is_exact(points: Any, metric: Any, *, exact: bool | None) -> bool:
    """Return whether the search is exact; raise for metrics that it does not support."""
    n, sparse = points.shape[0], is_sparse(points)
    possible = has_exact(metric, is_sparse=sparse)
    # pynndescent takes ten seconds to import: only metrics that are not ours are looked up in it.
    if isinstance(metric, str) and not possible:
        known = descent.known_metrics(is_sparse=sparse)
        if metric not in known:
            raise _unsupported(metric, known, is_sparse=sparse)
    if exact is not None:
        if exact and not possible:
            msg = f"exact=True: there is no exact search by metric={metric!r} for such data."
            raise ValueError(msg)
        return exact
    own = isinstance(metric, str) and metric in OWN_METRICS
    if own and not sparse:
        return bool(float(n) ** 2 * points.shape[1] <= EXACT_WORK)
    few = n < EXACT_BELOW_OTHERS
    if own or (possible and few):
        return bool(few)
    if descent.is_installed() or not possible:
        return False
    if n > EXACT_UP_TO:
        msg = (
            f"{n:,} points: a search for neighbours among so many by metric={metric!r} needs "
            f"pynndescent ({descent.INSTALL}), or exact=True, which is slow."
        )
        raise ImportError(msg)
    logger.warning(
        "pynndescent is not installed: all %d points are compared with each other, which is "
        "exact and slower; %s",
        n,
        descent.INSTALL,
    )
    return True


def _unsupported(metric: str, known: frozenset[str], *, is_sparse: bool) -> ValueError:
    """Make the error for a metric that neither our searches nor pynndescent's `known` ones have."""
    if is_sparse and (metric in METRICS or metric in descent.known_metrics(is_sparse=False)):
        msg = f"metric={metric!r} is not known for sparse data: it must be one of "
        msg += ", ".join(map(repr, sorted({*OWN_METRICS, *known}))) + "; or densify the data."
        return ValueError(msg)
    return unknown_metric(metric, METRICS | known)
