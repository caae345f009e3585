"""Exact nearest neighbours by NVIDIA's cuVS, for comparison; nothing here uses it by itself.

cuVS has its own order of summation: it only chooses a few more candidates than needed. Our own
kernel computes the distances of these. So the bits are those of our own search, unless more points
are nearly equally far than there are spare candidates.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.neighbors.knn import KNN
from umapcore.neighbors.lists import as_lists, unpack
from umapcore.neighbors.metrics import from_squares
from umapcore_cupy.host.compile import import_cupy
from umapcore_cupy.host.cupy_device import CupyDevice
from umapcore_cupy.neighbors.knn import own_metric, points_of
from umapcore_cupy.neighbors.tiles import bring_points, empty_lists

if TYPE_CHECKING:
    from collections.abc import Callable

    from umapcore_cupy.host.device import Device

#: Extra candidates per point: rounding may put near points into a wrong order.
_SPARE = 8


def nearest(
    points: Any,
    n_neighbors: int,
    metric: str = "euclidean",
    *,
    open_device: Callable[[], Device] = CupyDevice,
) -> KNN:
    """Find exact nearest neighbours with the brute-force search of cuVS.

    Parameters
    ----------
    points
        (n, p), dense, finite.
    n_neighbors
        The point itself included, which comes first in its own row; from 2 to n.
    metric
        ``'euclidean'``, ``'l2'``, ``'sqeuclidean'``, ``'cosine'`` or ``'correlation'``.

    Returns
    -------
    Arrays of shape (n, n_neighbors), which ``pp.neighbors`` takes as `precomputed_knn`.

    Raises
    ------
    ImportError
        When cuVS or CuPy is not installed.
    """
    own = own_metric(points, metric)
    compared = points_of(np.ascontiguousarray(points, np.float32), own)
    n, k = compared.shape[0], n_neighbors - 1
    brute_force = import_module("cuvs.neighbors").brute_force
    cupy = import_cupy()
    there = cupy.asarray(compared)
    index = brute_force.build(there, metric="sqeuclidean")
    count = min(n, n_neighbors + _SPARE)
    _, chosen = brute_force.search(index, there, count)
    candidates = cupy.asarray(chosen).astype(np.int32)
    cupy.cuda.Device().synchronize()  # the kernel runs on another stream
    device = open_device()
    try:
        device.compile("neighbours")
        brought, lists = bring_points(device, compared), empty_lists(device, n, k)
        device.launch(
            "keep_candidates", n, np.int64(n), brought.rows, np.int64(brought.stride),
            np.int32(count), device.wrap(candidates), np.int32(k), lists,
        )  # fmt: skip
        found = device.download(lists).reshape(n, k)
    finally:
        device.close()
    indices, squares = unpack(as_lists(found), None, None)
    return KNN(indices, from_squares(squares, own))
