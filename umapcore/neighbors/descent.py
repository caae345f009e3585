"""Approximate nearest neighbours by pynndescent, as umap-learn and scanpy call it."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.logs import logger
from umapcore.neighbors.knn import KNN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INSTALL = 'python -m pip install "umapcore[neighbors]"'


def is_installed() -> bool:
    """Return whether pynndescent can be imported."""
    return find_spec("pynndescent") is not None


def descent_knn(
    points: Any,
    n_neighbors: int,
    *,
    metric: str | Callable[..., float] = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> KNN:
    """Find nearest neighbours by nearest neighbour descent (Dong, Moses and Li 2011).

    The numbers of trees and iterations are those of scanpy, and so is the search for one
    additional neighbour. The same seed and versions therefore give scanpy's neighbours. As in
    scanpy, the search uses one thread, because its result depends on the number of threads. The
    bits are pynndescent's, and may differ between processors and versions.

    Parameters
    ----------
    points
        float32, (n, p), dense or CSR.
    n_neighbors
        k; every point is its own first neighbour.
    metric, metric_kwds
        A metric, by its name in pynndescent or as a function compiled by numba, and its parameters.
    seed
        From 0 to 2**64 - 1.

    Raises
    ------
    ImportError
        When pynndescent is not installed; the message tells how to install it.
    ValueError
        When pynndescent does not have the metric for dense or sparse points.
    """
    try:
        from pynndescent import NNDescent
    except ImportError as error:
        msg = f"An approximate search for neighbours needs pynndescent: {INSTALL}"
        raise ImportError(msg) from error
    n = points.shape[0]
    index = NNDescent(
        points,
        metric=metric,
        metric_kwds=dict(metric_kwds or {}),
        n_neighbors=min(n_neighbors + 1, n),
        n_trees=min(64, 5 + round(math.sqrt(n) / 20.0)),
        n_iters=max(5, round(math.log2(n))),
        random_state=random_state(seed),
        n_jobs=1,
    )
    indices, distances = index.neighbor_graph
    indices = np.ascontiguousarray(indices[:, :n_neighbors], dtype=np.int32)
    distances = np.ascontiguousarray(distances[:, :n_neighbors], dtype=np.float32)
    distances[indices < 0] = np.inf
    missing = int((indices < 0).any(axis=1).sum())
    if missing:
        logger.warning("%d points have fewer than %d neighbours", missing, n_neighbors)
    return KNN(indices, distances)


def known_metrics(*, is_sparse: bool) -> frozenset[str]:
    """Return the names of pynndescent's metrics; an empty set when it is not installed."""
    if not is_installed():
        return frozenset()
    if is_sparse:
        from pynndescent.sparse import sparse_named_distances

        return frozenset(sparse_named_distances)
    from pynndescent.distances import named_distances

    return frozenset(named_distances)


def random_state(seed: int) -> np.random.RandomState:
    """Make NumPy's old generator, which takes a longer seed as two words of 32 bits."""
    words = seed if seed < 2**32 else np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32)
    return np.random.RandomState(words)
