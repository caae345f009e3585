"""Exact nearest neighbours on the GPU: by cuVS if it is installed, else by blocks in CuPy.

Neither guarantees the same bits: cuBLAS has its own order of summation. The blocks hold squared
distances |x|² + |y|² - 2 x·y, which choose a few more candidates than needed. The distances to
these are then computed again from differences, and the nearest candidates are kept.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import is_sparse
from umapcore.errors import GPUMemoryError, GPUUnavailableError
from umapcore.logs import logger
from umapcore.neighbors.directions import directions
from umapcore.neighbors.knn import KNN, with_self_first
from umapcore.neighbors.metrics import OWN_METRICS, from_squares

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Extra candidates per point: rounding may put near points into a wrong order.
_SPARE = 8
#: Entries of a block of distances: 256 MiB, and as much again for its argpartition.
BLOCK_ENTRIES = 2**26
#: Entries of a block of differences to candidates.
_DIFFERENCE_ENTRIES = 2**25


def nearest(points: Any, n_neighbors: int, metric: Any) -> KNN:
    """Find the exact nearest neighbours; see :meth:`umapcore.device.protocol.Backend.nearest`."""
    if is_sparse(points):
        msg = "The data are sparse."
        raise GPUUnavailableError(msg)
    own = OWN_METRICS.get(metric) if isinstance(metric, str) else None
    if own is None:
        names = ", ".join(map(repr, OWN_METRICS))
        msg = f"The GPU's search supports the metrics {names}."
        raise GPUUnavailableError(msg)
    if own in {"cosine", "correlation"}:
        points = directions(points, centred=own == "correlation")
    logger.info("nearest neighbours: exact search among %d points on the GPU", points.shape[0])
    indices, squares = squared_knn(points, n_neighbors)
    return with_self_first(KNN(indices, from_squares(squares, own)), insert=True)


def squared_knn(
    points: NDArray[np.float32], n_neighbors: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find nearest neighbours and squared Euclidean distances on the current CuPy device.

    Parameters
    ----------
    points
        float32, (n, p), C order, on the host.
    n_neighbors
        k, at most n.

    Returns
    -------
    int32 and float32, (n, k), on the host, by increasing distance. A point is usually its own first
    neighbour, but a duplicate of it may come first.

    Raises
    ------
    GPUMemoryError
        When not even the smallest blocks fit into the GPU's memory.
    """
    import cupy

    if find_spec("cuvs") is not None:
        try:
            return by_cuvs(cupy, points, n_neighbors)
        except MemoryError:
            logger.info("cuVS needs more memory than the GPU has free: searching by blocks instead")
    return by_blocks(cupy, points, n_neighbors)


def by_cuvs(
    xp: Any, points: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Do the same as :func:`squared_knn`, with the brute-force search of cuVS."""
    brute_force = import_module("cuvs.neighbors").brute_force

    on_device = xp.asarray(points)
    spare = min(points.shape[0], k + _SPARE)
    index = brute_force.build(on_device, metric="sqeuclidean")
    _, found = brute_force.search(index, on_device, spare)
    return _in_order(xp, on_device, xp.asarray(found), k)


def by_blocks(
    xp: Any, points: NDArray[np.float32], k: int, block_entries: int = BLOCK_ENTRIES
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Do the same as :func:`squared_knn`, with blocks of all distances.

    Parameters
    ----------
    xp
        CuPy, or a module with NumPy's functions.
    points, k
        As for :func:`squared_knn`.
    block_entries
        Maximum number of entries of a block; fewer are used if the memory is too small.

    Raises
    ------
    GPUMemoryError
        When the memory is too small for the points, or for a block of one row.
    """
    try:
        return _by_blocks(xp, points, k, block_entries)
    except MemoryError as error:
        msg = f"The search among {points.shape[0]:,} points needs more memory than the GPU has."
        raise GPUMemoryError(msg) from error


def _by_blocks(
    xp: Any, points: NDArray[np.float32], k: int, block_entries: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    on_device = xp.asarray(points)
    # Near the origin the formula loses fewer digits.
    centred = on_device - on_device.mean(axis=0)
    n = centred.shape[0]
    lengths = (centred * centred).sum(axis=1)
    spare = min(n, k + _SPARE)
    found = xp.empty((n, spare), np.int32)

    def choose(rows: slice) -> None:
        if spare == n:
            found[rows] = xp.arange(n, dtype=np.int32)
            return
        block = lengths - 2.0 * (centred[rows] @ centred.T)
        found[rows] = xp.argpartition(block, spare - 1, axis=1)[:, :spare]

    _in_blocks(xp, n, max(1, block_entries // n), choose)
    return _in_order(xp, on_device, found, k)


def _in_blocks(xp: Any, n: int, step: int, work: Callable[[slice], None]) -> None:
    """Do work on blocks of rows; use smaller blocks once the memory is too small.

    Raises
    ------
    MemoryError
        When the memory is too small for one row.
    """
    first, step = 0, min(step, n)
    while first < n:
        try:
            work(slice(first, first + step))
        except MemoryError:
            if step == 1:
                raise
        else:
            first += step
            continue
        # The arrays of the failed attempt exist until the handler ends, so free memory only here.
        step = max(1, step // 2)
        logger.info("the GPU's memory is full: blocks of %d rows", step)
        if hasattr(xp, "get_default_memory_pool"):
            xp.get_default_memory_pool().free_all_blocks()


def _in_order(
    xp: Any, points: Any, found: Any, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Compute the distances to candidates from differences, sort them, keep the k nearest."""
    n, p = points.shape
    spare = found.shape[1]
    indices = np.empty((n, k), np.int32)
    squares = np.empty((n, k), np.float32)
    step = max(1, _DIFFERENCE_ENTRIES // max(1, spare * p))

    def measure(rows: slice) -> None:
        candidates = xp.sort(found[rows].astype(np.int64), axis=1)
        differences = points[candidates] - points[rows, None]
        exact = (differences * differences).sum(axis=2)
        order = xp.argsort(exact, axis=1)[:, :k]
        indices[rows] = _host(xp.take_along_axis(candidates, order, axis=1))
        squares[rows] = _host(xp.take_along_axis(exact, order, axis=1))

    _in_blocks(xp, n, step, measure)
    return indices, squares


def _host(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array
