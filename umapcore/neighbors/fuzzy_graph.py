"""k nearest neighbours → UMAP's weighted graph, the fuzzy simplicial set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.checks import check_real
from umapcore._kit.log2 import exact_log2
from umapcore._kit.mapped import empty_beside
from umapcore._kit.parallel import for_rows
from umapcore._kit.simd import SIMD_WIDTH
from umapcore.neighbors.bandwidth import LEAST_BANDWIDTH
from umapcore.neighbors.knn import KNN, checked_knn
from umapcore.neighbors.smooth_knn import memberships, sum_of_distances
from umapcore.neighbors.union import ROWS_PER_TASK, fuzzy_union

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy import sparse


def fuzzy_simplicial_set(
    knn_indices: ArrayLike,
    knn_distances: ArrayLike,
    *,
    n_neighbors: float | None = None,
    set_op_mix_ratio: float = 1.0,
    local_connectivity: float = 1.0,
    n_threads: int | None = None,
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Compute UMAP's weights of the edges between nearest neighbours.

    A vertex gives a neighbour at distance d the weight exp(-max(0, d - rho) / sigma). Here rho is
    the distance of the nearest neighbour, and sigma is such that the weights of all neighbours sum
    to log2 of their number. The weight of an edge is a + b - ab, the probabilistic union of the
    weights a and b that its two vertices give each other (McInnes, Healy and Melville 2018,
    sections 3.1 and 4.1).

    The weights agree with ``umap.umap_.fuzzy_simplicial_set`` to within 1e-5, which is the
    tolerance of that function for its own target. The same neighbours give the same bits for any
    number of threads and on any processor.

    Parameters
    ----------
    knn_indices
        (n, k), integers: neighbours of each vertex, the nearest first; usually each row begins
        with the vertex itself. When no row contains its own vertex, it is added to all rows, and
        k grows by one. -1 where a vertex has fewer neighbours.
    knn_distances
        (n, k): their distances, at least 0; converted to float32. Infinite where a vertex has
        fewer neighbours.
    n_neighbors
        Number of neighbours, the vertex itself included, that determines sigma; None: k.
    set_op_mix_ratio
        From 0 to 1: 1 is the union, 0 the intersection ab, a value between them is a mixture.
    local_connectivity
        Number of nearest neighbours that get the weight 1; at least 0, may have a fractional
        part.
    n_threads
        Threads to use; None means ``umapcore.settings.n_threads``, then numba's number.

    Returns
    -------
    float32, n × n: symmetric, canonical CSR, weights in (0, 1], no entries on the diagonal.

    Raises
    ------
    ValueError, TypeError
        For invalid input; the message names the parameter, its value and what is allowed.

    Examples
    --------
    >>> import umapcore as uc
    >>> graph = uc.fuzzy_simplicial_set(knn_indices, knn_distances)  # doctest: +SKIP
    >>> embedding = uc.simplicial_set_embedding(graph)  # doctest: +SKIP
    """
    knn = checked_knn(knn_indices, knn_distances, n_threads=n_threads)
    k = float(knn.indices.shape[1])
    if n_neighbors is not None:
        k = check_real("n_neighbors", n_neighbors, at_least=1.0)
    return fuzzy_graph(
        knn,
        k,
        mix_ratio=check_real("set_op_mix_ratio", set_op_mix_ratio, at_least=0.0, at_most=1.0),
        local_connectivity=check_real("local_connectivity", local_connectivity, at_least=0.0),
        n_threads=n_threads,
    )


def fuzzy_graph(
    knn: KNN,
    n_neighbors: float,
    *,
    mix_ratio: float = 1.0,
    local_connectivity: float = 1.0,
    n_threads: int | None = None,
    name: str = "knn",
) -> sparse.csr_array[np.float32, tuple[int, int]]:
    """Compute the graph of :func:`fuzzy_simplicial_set` from neighbours that have been checked.

    `name` is that of the neighbours in messages, as for :func:`umapcore.neighbors.knn.checked_knn`.
    """
    indices, distances = knn
    n = indices.shape[0]
    # Ranges of fixed length, summed in order: the same result for any number of threads.
    parts = for_rows(n, n_threads, lambda a, b: sum_of_distances(a, b, distances), ROWS_PER_TASK)
    total, present = 0.0, 0
    for part, count in parts:
        total += part
        present += count
    least_of_all = LEAST_BANDWIDTH * (total / present) if present else 0.0
    # Rows of whole vectors, with at least one `NO_ENTRY` after the last entry.
    width = (indices.shape[1] // SIMD_WIDTH + 1) * SIMD_WIDTH
    views = empty_beside(indices, (n, width), np.int64)
    counts = np.empty(n, np.int64)
    target = exact_log2(n_neighbors)

    def weigh(a: int, b: int) -> int:
        given = (indices, distances, target, local_connectivity, least_of_all)
        twice: int = memberships(a, b, *given, views, counts)
        return twice

    twice = max(for_rows(n, n_threads, weigh, ROWS_PER_TASK))
    if twice >= 0:
        msg = f"{name}_indices has the same neighbour twice in row {twice}."
        raise ValueError(msg)
    return fuzzy_union(views, counts, mix_ratio, n_threads)
