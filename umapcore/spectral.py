"""Spectral layout: eigenvectors of the normalised Laplacian of a graph.

With the weights W and the degrees D, these are the eigenvectors of D^-1/2 W D^-1/2 with the
largest eigenvalues but for the first, which is sqrt(degree) (Belkin and Niyogi 2003; umap-learn's
default start). Every connected component is laid out by itself, into a room of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.components import centroid_targets, component_rooms, connected_components
from umapcore.counter import uniform
from umapcore.graph import read_only
from umapcore.jacobi import DENSE_SIZE, eigenvectors_of_small, scaled_columns
from umapcore.logs import logger
from umapcore.multilevel import smallest_eigenvectors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from umapcore.linalg import Linalg

    Csr = tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]]

#: Share of its room that a component fills, so that neighbours do not touch.
_FILL = 0.9
_TINY_STREAM = 0x74696E79


def spectral_layout(
    graph: csr_array[Any, Any],
    n_components: int,
    *,
    seed: int,
    representation: Any = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Lay a graph out by its eigenvectors.

    Parameters
    ----------
    graph
        Symmetric CSR, n × n, as :func:`umapcore.graph.prepare_graph` makes it.
    n_components
        Dimensions d of the layout.
    seed
        Places the vertices of components that are too small to have d eigenvectors.
    representation
        Coordinates of the vertices, (n, p), or a function that gives them or None. Only used
        when the graph has several components, to place them relative to each other.
    n_threads
        Threads to use; the layout does not depend on it.

    Returns
    -------
    float64, (n, d), in no particular unit.
    """
    # Imported here: it brings numba, which takes a good part of a second.
    from umapcore_numba.linalg import NumbaLinalg

    arrays = (read_only(graph.indptr), read_only(graph.indices), read_only(graph.data))
    count, labels = connected_components(graph)
    with NumbaLinalg(n_threads) as linalg:
        if count == 1:
            sizes = np.array([graph.shape[0]])
            return _by_component(arrays, sizes, n_components, seed, linalg)
        sizes = np.bincount(labels, minlength=count)
        # In this order every component is a range of vertices, its weights a diagonal block.
        order = np.argsort(labels, kind="stable").astype(np.int32)
        indptr, indices, weights = linalg.permute(*arrays, order)
        sorted_arrays = (read_only(indptr), read_only(indices), read_only(weights))
        inner = _by_component(sorted_arrays, sizes, n_components, seed, linalg)
    if callable(representation):
        representation = representation()
    targets = None
    if representation is not None:
        targets = centroid_targets(representation, labels, sizes, n_components)
    logger.info(
        "the graph has %d connected components, which are placed by their %s",
        count,
        "sizes" if targets is None else "centroids in the representation",
    )
    low, high = component_rooms(sizes, n_components, targets)
    room = labels[order]
    radius = (high - low).min(axis=1) * (0.5 * _FILL)
    layout = np.empty_like(inner)
    layout[order] = (0.5 * (low + high) - 0.5)[room] + inner * radius[room, None]
    return layout


def _by_component(
    arrays: Csr, sizes: NDArray[np.int64], n_dimensions: int, seed: int, linalg: Linalg
) -> NDArray[np.float64]:
    """Lay out components, which are consecutive ranges of vertices, each within [-1, 1]."""
    indptr, indices, weights = arrays
    layout = np.zeros((indptr.shape[0] - 1, n_dimensions))
    starts = np.cumsum(sizes) - sizes
    # Too few vertices for d eigenvectors: anywhere in the room, a single one in its middle.
    tiny = np.flatnonzero(np.repeat((sizes > 1) & (sizes <= n_dimensions + 1), sizes))
    points = uniform(seed, _TINY_STREAM, tiny.shape[0] * n_dimensions)
    layout[tiny] = 2.0 * points.reshape(-1, n_dimensions) - 1.0

    small = np.flatnonzero((sizes > n_dimensions + 1) & (sizes <= DENSE_SIZE))
    if small.size:
        eigenvectors_of_small(arrays, starts[small], sizes[small], layout)
    for component in np.flatnonzero((sizes > n_dimensions + 1) & (sizes > DENSE_SIZE)):
        first, last = int(starts[component]), int(starts[component] + sizes[component])
        begin, end = int(indptr[first]), int(indptr[last])
        part = (indptr[first : last + 1], indices[begin:end], weights[begin:end])
        if last - first < layout.shape[0]:
            part = (
                part[0] - indptr.dtype.type(begin),
                part[1] - indices.dtype.type(first),
                part[2],
            )
        offsets, columns, values = (read_only(array) for array in part)
        vectors = smallest_eigenvectors(offsets, columns, values, n_dimensions, linalg)
        layout[first:last] = scaled_columns(vectors)
    return layout
