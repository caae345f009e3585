"""How well a layout preserves its graph: the loss that it minimises and neighbour recall.

Both are computed from the graph and the positions alone, on random pairs and subsamples. These
depend only on the size of the graph, so two layouts of one graph are compared on the same draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

LOSS_PAIRS = 2_000_000
RECALL_VERTICES = 10_000
RECALL_NEIGHBORS = 15
# Keeps the logarithm finite where two vertices coincide, as in the repulsive force.
_EPSILON = 1e-3


@dataclass(frozen=True)
class EffectiveLoss:
    """Attraction and repulsion of an embedding, each per vertex."""

    attraction: float
    repulsion: float

    @property
    def total(self) -> float:
        """Return the sum of the two parts."""
        return self.attraction + self.repulsion


def effective_loss(
    graph: sp.csr_matrix | sp.csr_array,
    embedding: NDArray[np.floating[Any]],
    *,
    a: float,
    b: float,
    negative_sample_rate: int = 5,
    n_pairs: int = LOSS_PAIRS,
    seed: int = 0,
) -> EffectiveLoss:
    r"""Return the loss that attraction with negative sampling minimises in expectation.

    With :math:`\phi(d) = 1 / (1 + a d^{2b})`, weights :math:`w_{ij}` relative to the largest
    one, degrees :math:`D_i = \sum_j w_{ij}` and R negative samples per firing,

    .. math::
        L = \frac{1}{n} \Big( -\sum_{ij} w_{ij} \log \phi(d_{ij})
            - \sum_{i \ne k} \frac{R D_i}{n} \log(1 - \phi(d_{ik})) \Big),

    the effective loss of Damrich and Hamprecht, "On UMAP's true loss function" (2021), per
    vertex and epoch. Attraction is summed over all directed edges. Repulsion is estimated on
    `n_pairs` pairs: one vertex is drawn in proportion to its degree and the other uniformly. The
    pairs are the same for every embedding of a graph. The logarithm in the repulsion is that of
    (0.001 + a d^2b) / (1 + a d^2b).
    """
    edges = graph.tocoo()
    weights = edges.data.astype(np.float64) / float(edges.data.max())
    n = edges.shape[0]
    x = np.ascontiguousarray(embedding, dtype=np.float64)
    total_weight = float(weights.sum())

    between = _curve(x, edges.row, edges.col, a, b)
    attraction = float(np.dot(weights, np.log1p(between))) / n

    degrees = np.bincount(edges.row, weights=weights, minlength=n)
    rng = np.random.default_rng(seed)
    heads = np.searchsorted(np.cumsum(degrees), rng.random(n_pairs) * total_weight, side="right")
    heads = np.minimum(heads, n - 1)
    others = rng.integers(0, n, n_pairs)
    apart = heads != others
    between = _curve(x, heads[apart], others[apart], a, b)
    # 1 - phi = a d^2b / (1 + a d^2b)
    repulsion = -float(np.sum(np.log((_EPSILON + between) / (1.0 + between)))) / n_pairs
    return EffectiveLoss(attraction, negative_sample_rate * repulsion * total_weight / n)


def _curve(
    x: NDArray[np.float64],
    heads: NDArray[np.integer[Any]],
    tails: NDArray[np.integer[Any]],
    a: float,
    b: float,
) -> NDArray[np.float64]:
    """Compute a d^(2b) of each pair."""
    squared = np.zeros(len(heads))
    for axis in range(x.shape[1]):
        column = x[:, axis]
        squared += (column[heads] - column[tails]) ** 2
    result: NDArray[np.float64] = a * squared**b
    return result


def strongest_neighbors(
    graph: sp.csr_matrix | sp.csr_array, vertices: NDArray[np.integer[Any]], k: int
) -> list[NDArray[np.int32]]:
    """Return up to `k` heaviest neighbours of each vertex; the vertex number breaks ties."""
    result = []
    for i in vertices:
        row = slice(graph.indptr[i], graph.indptr[i + 1])
        tails = graph.indices[row]
        order = np.lexsort((tails, -graph.data[row]))
        result.append(tails[order[:k]])
    return result


def neighbor_recall(
    graph: sp.csr_matrix | sp.csr_array,
    embedding: NDArray[np.floating[Any]],
    *,
    k: int = RECALL_NEIGHBORS,
    n_vertices: int = RECALL_VERTICES,
    seed: int = 0,
) -> float:
    """Return the share of graph neighbours that are also nearest neighbours in the embedding.

    For each vertex of a fixed subsample, this is the share of its m = min(k, degree) heaviest
    graph neighbours that are among the m nearest other vertices in the embedding. The result is
    the mean over the vertices.
    """
    n = graph.shape[0]
    rng = np.random.default_rng(seed)
    vertices = np.arange(n) if n <= n_vertices else rng.choice(n, n_vertices, replace=False)
    x = np.ascontiguousarray(embedding, dtype=np.float64)
    found = np.asarray(cKDTree(x).query(x[vertices], k=min(k + 1, n))[1])
    shares = []
    for i, nearest, wanted in zip(
        vertices, found, strongest_neighbors(graph, vertices, k), strict=True
    ):
        if len(wanted) == 0:
            continue
        others = nearest[nearest != i][: len(wanted)]
        shares.append(np.isin(wanted, others).mean())
    return float(np.mean(shares))
