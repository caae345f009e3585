"""Nearest neighbours on a device, exact and approximate, with the bits of the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore._kit.arrays import is_sparse
from umapcore.errors import GPUMemoryError, GPUUnavailableError
from umapcore.neighbors import partitions
from umapcore.neighbors.directions import directions
from umapcore.neighbors.knn import KNN
from umapcore.neighbors.lists import as_lists, unpack
from umapcore.neighbors.metrics import OWN_METRICS, from_squares, refuse_parameters
from umapcore.neighbors.pairs import BLOCK
from umapcore_cupy.host.memory import in_words
from umapcore_cupy.host.programs import TILE
from umapcore_cupy.neighbors.stages import DeviceStages
from umapcore_cupy.neighbors.tiles import ROWS_PER_LAUNCH, bring_points, nearest_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from umapcore_cupy.host.device import Device

#: Bytes of everything else, and rounding by the allocator.
_SMALL_CHANGE = 8 << 20


def nearest(
    device: Device,
    points: Any,
    n_neighbors: int,
    metric: Any,
    *,
    metric_kwds: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    report: Callable[[float], None] | None = None,
) -> KNN:
    """Find the exact nearest neighbours; see :meth:`umapcore.device.protocol.Backend.nearest`."""
    own = own_metric(points, metric)
    refuse_parameters(metric, metric_kwds)
    compared = points_of(points, own)
    k = n_neighbors - 1
    with device.at_work():
        _check_memory(device, exact_bytes(compared.shape, k))
        device.compile("neighbours")
        found = nearest_lists(device, bring_points(device, compared), k, report)
    indices, squares = unpack(as_lists(found), None, n_threads)
    return KNN(indices, from_squares(squares, own))


def approximate(
    device: Device,
    points: NDArray[np.float32],
    n_neighbors: int,
    metric: str,
    *,
    accuracy: float,
    seed: int = 0,
    n_threads: int | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[KNN, float]:
    """Find most neighbours; see :meth:`umapcore.device.protocol.Backend.approximate`."""
    own = own_metric(points, metric)
    compared = points_of(points, own)
    k = n_neighbors - 1
    with device.at_work():
        _check_memory(device, approximate_bytes(compared.shape, k))
        device.compile("neighbours")
        stages = DeviceStages(device, compared, k, seed)
        recall = partitions.run_stages(stages, accuracy, compared.shape[0], report)
        found = stages.found()
    indices, squares = unpack(as_lists(found), stages.numbers, n_threads)
    return KNN(indices, from_squares(squares, own)), recall


def own_metric(points: Any, metric: Any) -> str:
    """Return how a metric is computed.

    Raises
    ------
    GPUUnavailableError
        When the points are sparse, or the metric is not one of our own.
    """
    if is_sparse(points):
        msg = "The data are sparse."
        raise GPUUnavailableError(msg)
    own = OWN_METRICS.get(metric) if isinstance(metric, str) else None
    if own is None:
        names = ", ".join(map(repr, OWN_METRICS))
        msg = f"The GPU's search supports the metrics {names}."
        raise GPUUnavailableError(msg)
    return own


def points_of(points: NDArray[np.float32], own: str) -> NDArray[np.float32]:
    """Return the points whose squared distances are computed."""
    if own not in {"cosine", "correlation"}:
        return points
    found: NDArray[np.float32] = directions(points, centred=own == "correlation")
    return found


def exact_bytes(shape: tuple[int, ...], k: int) -> int:
    """Estimate the device memory of an exact search among points, (n, p), for `k` others."""
    n, p = shape
    some = min(n, ROWS_PER_LAUNCH)
    return 4 * _stride(p) * n + 8 * k * some + 32 * (some // TILE + 1) + _SMALL_CHANGE


def approximate_bytes(shape: tuple[int, ...], k: int) -> int:
    """Estimate the device memory of an approximate search."""
    n, p = shape
    stride = _stride(p)
    leaves = n // partitions.leaf_size(k) + 1
    # Of a tree: keys, the sort's copy of them, sides, values, two orders; directions, pivots and
    # quotas of the nodes of a level; bounds and middles of three times as many on all levels.
    tree = (3 * 8 + 3 * 4) * n + (4 * stride + 2 * 4 + 3 * 2 * 8) * leaves
    tiles = 32 * (n // TILE + leaves)
    rows, lists = 4 * stride * n, 8 * k * n
    sample = 8 * k * min(n, partitions.SAMPLE)
    # The first tree needs two copies of the rows; then there are two of the lists.
    return max(2 * rows, rows + 2 * lists + sample) + tree + tiles + _SMALL_CHANGE


def _stride(p: int) -> int:
    return max(1, -(-p // BLOCK)) * BLOCK


def _check_memory(device: Device, needed: int) -> None:
    free = device.free_bytes()
    if free is not None and needed > free:
        msg = (
            f"The search for neighbours needs {in_words(needed)} of GPU memory, {in_words(free)} "
            "are free."
        )
        raise GPUMemoryError(msg)
