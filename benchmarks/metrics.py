"""Figures of merit of an embedding of a weighted graph.

Every figure is computed from the graph and the positions alone, on random pairs and subsamples
that are fixed by the size of the graph, so that two embeddings of one graph are judged on the
same draws.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

LOSS_PAIRS = 2_000_000
RECALL_VERTICES = 10_000
RECALL_NEIGHBORS = 15
TRUST_VERTICES = 2_000
TRIPLETS = 200_000
# Guards the logarithm where two vertices coincide; the same guard as in the repulsive force.
EPSILON = 1e-3


@dataclass(frozen=True)
class EffectiveLoss:
    """Attraction and repulsion of an embedding, each per vertex."""

    attraction: float
    repulsion: float

    @property
    def total(self) -> float:
        """Sum of the two parts."""
        return self.attraction + self.repulsion


@dataclass(frozen=True)
class Figures:
    """All figures of one embedding.

    Attributes
    ----------
    loss, attraction, repulsion
        Effective loss and its parts, see `effective_loss`.
    recall
        See `neighbor_recall`.
    extent
        See `extent`.
    largest, largest_centred
        Largest absolute coordinate as it stands, and after the centroid was subtracted.
    """

    loss: float
    attraction: float
    repulsion: float
    recall: float
    extent: float
    largest: float
    largest_centred: float

    def as_dict(self) -> dict[str, float]:
        """Give the figures by name."""
        return asdict(self)


def effective_loss(
    graph: sp.csr_matrix,
    embedding: NDArray[np.floating],
    *,
    a: float,
    b: float,
    negative_sample_rate: int = 5,
    n_pairs: int = LOSS_PAIRS,
    seed: int = 0,
) -> EffectiveLoss:
    r"""Loss that attraction with negative sampling minimises in expectation.

    With :math:`\phi(d) = 1 / (1 + a d^{2b})`, weights :math:`w_{ij}` relative to the largest
    one, degrees :math:`D_i = \sum_j w_{ij}` and R negative samples a firing,

    .. math::
        L = \frac{1}{n} \Big( -\sum_{ij} w_{ij} \log \phi(d_{ij})
            - \sum_{i \ne k} \frac{R D_i}{n} \log(1 - \phi(d_{ik})) \Big),

    the effective loss of Damrich and Hamprecht, "On UMAP's true loss function" (2021), per
    vertex and epoch. Attraction is summed over all directed edges. Repulsion is estimated on
    `n_pairs` pairs of a vertex drawn by its degree and a vertex drawn uniformly, the same pairs
    for every embedding of a graph. Its logarithm is that of (0.001 + a d^2b) / (1 + a d^2b).
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
    repulsion = -float(np.sum(np.log((EPSILON + between) / (1.0 + between)))) / n_pairs
    return EffectiveLoss(attraction, negative_sample_rate * repulsion * total_weight / n)


def _curve(
    x: NDArray[np.float64],
    heads: NDArray[np.integer],
    tails: NDArray[np.integer],
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
    graph: sp.csr_matrix, vertices: NDArray[np.integer], k: int
) -> list[NDArray[np.int32]]:
    """Find the at most `k` heaviest neighbours of each vertex, ties by vertex number."""
    result = []
    for i in vertices:
        row = slice(graph.indptr[i], graph.indptr[i + 1])
        tails = graph.indices[row]
        order = np.lexsort((tails, -graph.data[row]))
        result.append(tails[order[:k]])
    return result


def neighbor_recall(
    graph: sp.csr_matrix,
    embedding: NDArray[np.floating],
    *,
    k: int = RECALL_NEIGHBORS,
    n_vertices: int = RECALL_VERTICES,
    seed: int = 0,
) -> float:
    """Share of the graph neighbours found among the embedding's nearest.

    For each vertex of a fixed subsample: of its m = min(k, degree) heaviest graph neighbours,
    the share among the m nearest other vertices in the embedding; then the mean over vertices.
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


def extent(embedding: NDArray[np.floating]) -> float:
    """Geometric mean over the axes of the distance between the 1st and 99th percentile."""
    low, high = np.percentile(np.asarray(embedding, dtype=np.float64), [1.0, 99.0], axis=0)
    return float(np.exp(np.log(high - low).mean()))


def largest_coordinate(embedding: NDArray[np.floating], *, centred: bool = False) -> float:
    """Largest absolute coordinate, as it stands or after the centroid was subtracted."""
    x = np.asarray(embedding, dtype=np.float64)
    if centred:
        x = x - x.mean(axis=0)
    return float(np.abs(x).max())


def figures(
    graph: sp.csr_matrix,
    embedding: NDArray[np.floating],
    *,
    a: float,
    b: float,
    negative_sample_rate: int = 5,
    n_pairs: int = LOSS_PAIRS,
) -> Figures:
    """All figures of one embedding of `graph`."""
    loss = effective_loss(
        graph,
        embedding,
        a=a,
        b=b,
        negative_sample_rate=negative_sample_rate,
        n_pairs=n_pairs,
    )
    return Figures(
        loss=loss.total,
        attraction=loss.attraction,
        repulsion=loss.repulsion,
        recall=neighbor_recall(graph, embedding),
        extent=extent(embedding),
        largest=largest_coordinate(embedding),
        largest_centred=largest_coordinate(embedding, centred=True),
    )


def trustworthiness(
    data: NDArray[np.floating], embedding: NDArray[np.floating], *, k: int = RECALL_NEIGHBORS
) -> float:
    """Trustworthiness (Venna and Kaski 2001) of at most 2,000 vertices among each other.

    Parameters
    ----------
    data, embedding
        (n, p) and (n, d).
    k
        Neighbours of each.
    """
    from sklearn.manifold import trustworthiness as of_all

    n = data.shape[0]
    chosen = np.random.default_rng(n).choice(n, min(n, TRUST_VERTICES), replace=False)
    found: float = of_all(data[chosen], embedding[chosen], n_neighbors=k)
    return float(found)


def triplet_accuracy(data: NDArray[np.floating], embedding: NDArray[np.floating]) -> float:
    """Share of random triplets whose two distances are in the same order in both spaces."""
    n = data.shape[0]
    i, j, k = np.random.default_rng(n).integers(n, size=(3, TRIPLETS))

    def nearer(x: NDArray[np.floating]) -> NDArray[np.bool_]:
        x = np.asarray(x, np.float64)
        to_j, to_k = ((x[i] - x[other]) ** 2 for other in (j, k))
        result: NDArray[np.bool_] = to_j.sum(axis=1) < to_k.sum(axis=1)
        return result

    return float((nearer(data) == nearer(embedding)).mean())
