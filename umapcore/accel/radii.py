"""Local radii as umap-learn returns them with ``output_dens=True``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import log_radii
from umapcore.layout.plan import least_weight
from umapcore.neighbors.fuzzy_graph import fuzzy_graph
from umapcore.neighbors.search import nearest_neighbors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.spec import OptimizerSpec


def radii_of_data(
    graph: Any, distances: Any, spec: OptimizerSpec, n_threads: int | None
) -> NDArray[np.float32]:
    """Return the log radii in the data, from mean squared distances, (n,)."""
    ready = prepare_graph(graph, n_threads=n_threads)
    least = least_weight(spec, int(ready.shape[0]))
    return log_radii(ready, distances, least, n_threads=n_threads)[0].astype(np.float32)


def radii_of_embedding(
    embedding: NDArray[np.float32], n_neighbors: int, n_threads: int | None
) -> NDArray[np.float32]:
    """Return the log radii among the nearest neighbours in the embedding, (n,).

    As in umap-learn, they are computed from mean distances, not from mean squares.
    """
    n = embedding.shape[0]
    knn = nearest_neighbors(embedding, n_neighbors, n_threads=n_threads)
    graph = fuzzy_graph(knn, float(n_neighbors), n_threads=n_threads)
    indptr = np.arange(n + 1) * (n_neighbors - 1)
    # Square roots, because log_radii squares its input: the mean is then one of distances.
    roots = np.sqrt(knn.distances[:, 1:].ravel().astype(np.float64))
    lengths = sparse.csr_array((roots, knn.indices[:, 1:].ravel(), indptr), shape=(n, n))
    return log_radii(graph, lengths, 0.0, n_threads=n_threads)[0].astype(np.float32)
