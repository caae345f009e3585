"""Spectral layout: eigenvectors of the normalised Laplacian of a graph.

With the weights W and the degrees D, these are the eigenvectors of D^-1/2 W D^-1/2 with the
largest eigenvalues, without the first, which is sqrt(degree) (Belkin and Niyogi 2003; umap-learn's
default start). Every connected component is laid out separately, in a room of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import csr_arrays
from umapcore._kit.rng import uniform
from umapcore._kit.scratch import Sink, chunks, scratch_of
from umapcore.device.select import cpu_backend
from umapcore.graph.permute import permute
from umapcore.init.jacobi import DENSE_SIZE, eigenvectors_of_small, scaled_columns
from umapcore.init.multilevel import smallest_eigenvectors
from umapcore.init.rooms import centroid_targets, component_rooms
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from umapcore._kit.arrays import Csr
    from umapcore.device.spectral_ops import SpectralOps

#: Share of its room that a component fills, so that adjacent components do not touch.
_FILL = 0.9
_TINY_STREAM = 0x74696E79


def spectral_layout(
    graph: Any,
    n_components: int,
    *,
    seed: int,
    representation: Any = None,
    metric: str = "euclidean",
    ops: SpectralOps | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Lay out a graph by its eigenvectors.

    Parameters
    ----------
    graph
        Symmetric CSR, n × n, from :func:`umapcore.graph.csr.prepare_graph`, or what a backend
        made of one.
    n_components
        Dimensions d of the layout.
    seed
        Determines the positions of vertices in components that are too small for d eigenvectors.
    representation
        Coordinates of the vertices, (n, p), or a function that returns them or None. Only used
        when the graph has several components, to place them relative to each other.
    metric
        Metric of the representation's distances.
    ops
        Operations of the device; None: the CPU.
    n_threads
        Threads of the CPU to use; the layout does not depend on it.

    Returns
    -------
    float64, (n, d), in no particular unit.
    """
    if ops is None:
        with cpu_backend().spectral_ops(n_threads=n_threads) as cpu:
            return spectral_layout(
                graph,
                n_components,
                seed=seed,
                representation=representation,
                metric=metric,
                ops=cpu,
                n_threads=n_threads,
            )
    count, labels = ops.components(graph)
    n = int(graph.shape[0])
    if count == 1 and n > max(DENSE_SIZE, n_components + 1):
        return scaled_columns(smallest_eigenvectors(graph, n_components, ops))
    graph = ops.to_host(graph)
    arrays = csr_arrays(graph)
    if count == 1:
        return _by_component(arrays, np.array([n]), n_components, seed, ops)
    assert labels is not None
    sizes = np.bincount(labels, minlength=count)
    # In this order every component is a range of vertices, and its weights are a diagonal block.
    order = np.argsort(labels, kind="stable").astype(np.int32)
    sorted_arrays = permute(arrays, order, n_threads=n_threads)
    inner = _by_component(sorted_arrays, sizes, n_components, seed, ops)
    if callable(representation):
        representation = representation()
    targets = None
    if representation is not None:
        targets = centroid_targets(representation, labels, sizes, n_components, metric=metric)
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
    arrays: Csr, sizes: NDArray[np.int64], n_dimensions: int, seed: int, ops: SpectralOps
) -> NDArray[np.float64]:
    """Lay out components, which are consecutive ranges of vertices, each within [-1, 1]."""
    layout = np.zeros((arrays.indptr.shape[0] - 1, n_dimensions))
    starts = np.cumsum(sizes) - sizes
    # Too few vertices for d eigenvectors: random positions; a single vertex stays in the middle.
    tiny = np.flatnonzero(np.repeat((sizes > 1) & (sizes <= n_dimensions + 1), sizes))
    points = uniform(seed, _TINY_STREAM, tiny.shape[0] * n_dimensions)
    layout[tiny] = 2.0 * points.reshape(-1, n_dimensions) - 1.0

    small = np.flatnonzero((sizes > n_dimensions + 1) & (sizes <= DENSE_SIZE))
    if small.size:
        eigenvectors_of_small(arrays, starts[small], sizes[small], layout)
    for component in np.flatnonzero((sizes > n_dimensions + 1) & (sizes > DENSE_SIZE)):
        first, last = int(starts[component]), int(starts[component] + sizes[component])
        vectors = smallest_eigenvectors(_part(arrays, first, last), n_dimensions, ops)
        layout[first:last] = scaled_columns(vectors)
    return layout


def _part(arrays: Csr, first: int, last: int) -> csr_array[Any, Any]:
    """Cut out a diagonal block."""
    indptr, indices, weights = arrays
    begin, end = int(indptr[first]), int(indptr[last])
    rows = indptr[first : last + 1] - indptr.dtype.type(begin)
    scratch = scratch_of(indices)
    columns = Sink(scratch, indices.dtype)
    for chunk in chunks(end - begin, scratch):
        columns.append(indices[begin:end][chunk] - indices.dtype.type(first))
    return sparse.csr_array(
        (weights[begin:end], columns.array(), rows), shape=(last - first, last - first)
    )
