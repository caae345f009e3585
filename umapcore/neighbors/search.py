"""Selection of the search for nearest neighbours: exact, approximate, or on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import is_sparse
from umapcore.device.select import announce_fall_back, cpu_backend, gpu_backend
from umapcore.errors import GPUUnavailableError
from umapcore.logs import logger
from umapcore.neighbors import descent
from umapcore.neighbors.knn import KNN, with_self_first
from umapcore.neighbors.magnitudes import scaled, small_exponent, unscaled
from umapcore.neighbors.metrics import METRICS, OWN_METRICS, has_exact, unknown_metric
from umapcore.neighbors.record import Found, Search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Up to this many products of coordinates, n²p, our own kernel is faster than pynndescent, even
#: after its compilation (which takes a minute): 31,600 points in 50 dimensions.
EXACT_WORK = 5e10
#: As in scanpy, the search by other metrics is exact for fewer points than this.
EXACT_BELOW_OTHERS = 4096
#: Without pynndescent, the search is exact up to this many points, and refused above.
EXACT_UP_TO = 100_000


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
) -> Found:
    """Find the nearest neighbours of points, and tell how.

    Parameters
    ----------
    points
        float32, finite, (n, p), dense in C order or canonical CSR.
    n_neighbors
        k, the point itself included, from 1 to n.
    metric, metric_kwds, seed, method, exact, accuracy, n_threads
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
        )  # fmt: skip
        return Found(KNN(larger.indices, unscaled(larger.distances, exponent, str(metric))), search)
    if method != "umap":
        try:
            if exact is False:
                msg = "exact=False asks for an approximate search."
                raise GPUUnavailableError(msg)
            return Found(gpu_backend().nearest(points, n_neighbors, metric), Search(kind="exact"))
        except GPUUnavailableError as error:
            outcome = "The neighbours may differ in a few near ties."
            announce_fall_back(method, str(error), outcome)
    options: dict[str, Any] = {"metric": metric, "metric_kwds": metric_kwds}
    if _is_exact(points, metric, exact=exact):
        logger.info("nearest neighbours: exact search among %d points", points.shape[0])
        knn = cpu_backend().nearest(points, n_neighbors, n_threads=n_threads, **options)
        return Found(knn, Search(kind="exact", accuracy=1.0))
    logger.info("nearest neighbours: approximate search among %d points", points.shape[0])
    found = descent.descent_knn(points, n_neighbors, seed=seed, **options)
    return Found(with_self_first(found, insert=True), Search(kind="pynndescent"))


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
    own = not sparse and isinstance(metric, str) and metric in OWN_METRICS
    few = float(n) ** 2 * points.shape[1] <= EXACT_WORK if own else n < EXACT_BELOW_OTHERS
    if possible and few:
        return True
    if descent.is_installed() or not possible:
        return False
    if n > EXACT_UP_TO:
        msg = (
            f"{n:,} points: a search for neighbours among so many needs pynndescent "
            f"({descent.INSTALL}), or exact=True, which is slow."
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
