"""The metrics of the openproblems task, from their formulas.

Sources of the definitions: ``src/metrics/*`` and ``src/data_processors/*`` of
``openproblems-bio/task_dimensionality_reduction`` 0.2.0 and, for the co-ranking matrix, the R
package coRanking (Lee and Verleysen 2009, doi:10.1016/j.neucom.2008.12.017; Lueks et al. 2011,
arXiv:1110.3917; Venna and Kaski 2006, doi:10.1016/j.neunet.2006.05.014). The same numbers are
computed in less time and memory, but for three things, which a page of the docs names too:
neighbours are exact where the task lets pynndescent search for them; Leiden runs in igraph with
two iterations, not in leidenalg until nothing changes; and eigenvectors are exact.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import spearmanr

from umapcore import fuzzy_simplicial_set

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

#: Neighbourhood of trustworthiness and continuity, and where the curves are read.
K = 30
#: Neighbours, the point itself included, of local radii, of clusterings and of diffusion.
RADIUS_NEIGHBORS = 30
CLUSTER_NEIGHBORS = 15
RESOLUTIONS = tuple(i / 10 for i in range(1, 21))
#: Diffusion distances use so many eigenvectors.
DIFFUSION_COMPONENTS = 1000
#: The task computes distances between all cells up to this number, of which ranks fit 16 bits.
MOST_CELLS = 50_000
#: Eigenvectors of more cells take minutes and more. With nearly as many eigenvectors as cells, all
#: distances in them are nearly equal.
MOST_CELLS_FOR_DIFFUSION = 5_000
LEAST_CELLS_FOR_DIFFUSION = 2_000
_ROWS = 512
#: Above so many dimensions, distances come from products of matrices.
_FEW_DIMENSIONS = 10

#: All metrics, in the order of the tables.
METRICS = (
    "normalized_mutual_information", "adjusted_rand_index", "continuity_at_k30",
    "trustworthiness_at_k30", "qnx_at_k30", "lcmc_at_k30", "qnx_auc", "qlocal", "qglobal",
    "density_preservation", "waypoint_distance_correlation", "centroid_distance_correlation",
    "label_distance_correlation", "spectral_distance_correlation",
)  # fmt: skip


class Space:
    """Points with what the metrics need of the distances between all pairs.

    Attributes
    ----------
    points
        (n, d), float64.
    ranks
        (n, n), 16 bits: rank of each point among the neighbours of the row's point, which itself
        has rank 0.
    nearest, nearest_distances
        (n, 30): the nearest points, the point itself first, and their distances.
    pairs
        Distances of all pairs, ranked.
    """

    def __init__(self, points: ArrayLike) -> None:
        self.points: Floats = np.asarray(points, np.float64)
        n = len(self.points)
        if not 2 * K < n <= MOST_CELLS:
            msg = f"there are {n} points, and must be more than {2 * K} and at most {MOST_CELLS}"
            raise ValueError(msg)
        if not np.isfinite(self.points).all():
            msg = "some coordinates are not finite"
            raise ValueError(msg)
        distances = _distances(self.points)
        self.pairs = Pairs.of(squareform(distances, checks=False), n)
        self.nearest = np.empty((n, RADIUS_NEIGHBORS), np.int32)
        self.ranks = np.empty((n, n), np.uint16)
        # Not even a point in the same place comes before the point itself.
        np.fill_diagonal(distances, -1.0)
        for first in range(0, n, _ROWS):
            rows = slice(first, first + _ROWS)
            order = np.argsort(distances[rows], axis=1)
            self.nearest[rows] = order[:, :RADIUS_NEIGHBORS]
            np.put_along_axis(self.ranks[rows], order, np.arange(n, dtype=np.uint16)[None], axis=1)
        self.nearest_distances: Floats = np.maximum(
            np.take_along_axis(distances, self.nearest, axis=1), 0.0
        )

    def graph(self, n_neighbors: int) -> Any:
        """Return UMAP's weights of the edges between nearest neighbours."""
        return fuzzy_simplicial_set(
            self.nearest[:, :n_neighbors], self.nearest_distances[:, :n_neighbors]
        )

    @cached_property
    def log_radii(self) -> Floats:
        """Logarithm of each point's mean distance to its neighbours, weighted by UMAP's weights.

        The task's ``density_preservation``: distances are not squared, as they are in densMAP.
        """
        graph = self.graph(RADIUS_NEIGHBORS)
        begins = np.arange(0, self.nearest.size + 1, RADIUS_NEIGHBORS)
        one_way = sparse.csr_array(
            (self.nearest_distances.ravel(), self.nearest.ravel(), begins), shape=graph.shape
        )
        weighted = graph.multiply(one_way.maximum(one_way.T))
        result: Floats = np.log(1e-8 + weighted.sum(axis=1) / graph.sum(axis=1))
        return result

    @cached_property
    def diffusion(self) -> Pairs:
        """Distances between points in the eigenvectors of the neighbour graph's Laplacian."""
        graph = self.graph(CLUSTER_NEIGHBORS)
        n_parts, _ = connected_components(graph, directed=False)
        if n_parts > 1:
            msg = f"the neighbour graph has {n_parts} components"
            raise ValueError(msg)
        n = len(self.points)
        root = 1.0 / np.sqrt(np.asarray(graph.sum(axis=1), np.float64).ravel())
        normalised = graph.toarray().astype(np.float64) * root[:, None] * root[None]
        n_vectors = min(DIFFUSION_COMPONENTS, n - 2)
        # The largest eigenvalue, 1, belongs to a vector that says nothing.
        _, vectors = eigh(
            normalised, subset_by_index=(n - 1 - n_vectors, n - 2), overwrite_a=True,
            check_finite=False,
        )  # fmt: skip
        return Pairs.of(squareform(_distances(vectors), checks=False), n)


@dataclass(frozen=True)
class Pairs:
    """Ranks of the distances of n (n - 1) / 2 pairs; equal distances have their mean rank.

    Attributes
    ----------
    ranks
        Ranks among the pairs, from 1.
    coincident
        Number of pairs at distance 0.
    n
        Number of points.
    """

    ranks: Floats
    coincident: int
    n: int

    @classmethod
    def of(cls, distances: Floats, n: int) -> Pairs:
        """Rank the distances; SciPy's ``rankdata``, with a faster sort."""
        order = np.argsort(distances)
        ordered = distances[order]
        begins = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
        sizes = np.diff(begins, append=len(ordered))
        ranks = np.empty(len(ordered))
        ranks[order] = np.repeat(begins + (sizes + 1) / 2, sizes)
        return cls(ranks, int(np.count_nonzero(distances == 0.0)), n)

    def in_square(self) -> tuple[Floats, float]:
        """Ranks within the whole n × n matrix: those of the pairs, and that of its diagonal.

        There, each pair occurs twice, and the zeros of the diagonal come before all but the
        coincident pairs, which they equal.
        """
        of_zeros = (self.n + 2 * self.coincident + 1) / 2
        ranks = self.n + 2.0 * self.ranks - 0.5
        if self.coincident:
            ranks[self.ranks <= self.coincident] = of_zeros
        return ranks, of_zeros


def scores(data: Space, embedding: Space, labels: ArrayLike) -> dict[str, float]:
    """Compute all metrics of an embedding; the one by diffusion only for 2,000 to 5,000 cells.

    Parameters
    ----------
    data
        The cells in normalised expression, all genes.
    embedding
        The cells in the embedding.
    labels
        Type of each cell.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    found = clustering(embedding, codes) | coranking(data.ranks, embedding.ranks)
    found["density_preservation"] = float(np.corrcoef(data.log_radii, embedding.log_radii)[0, 1])
    found |= distance_correlations(data, embedding, codes)
    if LEAST_CELLS_FOR_DIFFUSION <= len(codes) <= MOST_CELLS_FOR_DIFFUSION:
        found["spectral_distance_correlation"] = float(
            np.corrcoef(data.diffusion.ranks, embedding.pairs.ranks)[0, 1]
        )
    return found


def coranking(
    data: NDArray[np.uint16], embedding: NDArray[np.uint16], k: int = K
) -> dict[str, float]:
    """Compute the metrics of the co-ranking matrix, without the matrix.

    Q_NX(K), the share of the K nearest neighbours that are kept, counts pairs of which both ranks
    are at most K: a cumulative histogram of the larger rank. Trustworthiness and continuity sum
    how far beyond k the ranks are in one space of those within k in the other.
    """
    n = len(data)
    counts = np.zeros(n, np.int64)
    intruded = extruded = 0
    for first in range(0, n, _ROWS):
        high, low = data[first : first + _ROWS], embedding[first : first + _ROWS]
        counts += np.bincount(np.maximum(high, low).ravel(), minlength=n)
        intruded += int((high[(low <= k) & (high > k)] - np.int64(k)).sum())
        extruded += int((low[(high <= k) & (low > k)] - np.int64(k)).sum())
    sizes = np.arange(1, n)
    qnx = np.cumsum(counts[1:]) / (sizes * n)
    lcmc = qnx - sizes / (n - 1)
    most = int(lcmc.argmax()) + 1
    worst = n * k * (2 * n - 3 * k - 1) / 2
    return {
        "continuity_at_k30": 1.0 - extruded / worst,
        "trustworthiness_at_k30": 1.0 - intruded / worst,
        "qnx_at_k30": float(qnx[k - 1]),
        "lcmc_at_k30": float(lcmc[k - 1]),
        "qnx_auc": float(qnx.mean()),
        "qlocal": float(qnx[:most].mean()),
        # Only an embedding that keeps nothing has its maximum at the end.
        "qglobal": float(qnx[most:].mean()) if most < n - 1 else 0.0,
    }


def distance_correlations(
    data: Space, embedding: Space, codes: NDArray[np.integer]
) -> dict[str, float]:
    """Compute Spearman's correlations of distances.

    Distances are those between cells, from cells to the centroids of labels, and between these
    centroids. The task correlates whole matrices, zeros of their diagonals included. It also
    zeroes the diagonal of the matrix of cells and centroids, which has no meaning there, and
    touches one entry a label; that is repeated here.
    """
    to_centroids, between_centroids = [], []
    for space in (data, embedding):
        centroids = np.array(
            [space.points[codes == label].mean(axis=0) for label in range(codes.max() + 1)]
        )
        for found, points in ((to_centroids, space.points), (between_centroids, centroids)):
            distances = cdist(points, centroids)
            np.fill_diagonal(distances, 0.0)
            found.append(distances)
    return {
        "waypoint_distance_correlation": square_correlation(data.pairs, embedding.pairs),
        "centroid_distance_correlation": float(spearmanr(*to_centroids, axis=None).statistic),
        "label_distance_correlation": float(spearmanr(*between_centroids, axis=None).statistic),
    }


def square_correlation(left: Pairs, right: Pairs) -> float:
    """Spearman's correlation of two n × n matrices of distances, from their pairs."""
    n = left.n
    mean = (n * n + 1) / 2
    deviations = [
        (ranks - mean, diagonal - mean) for ranks, diagonal in (left.in_square(), right.in_square())
    ]

    def product(one: tuple[Floats, float], other: tuple[Floats, float]) -> float:
        return float(2.0 * (one[0] @ other[0]) + n * one[1] * other[1])

    one, other = deviations
    return product(one, other) / float(np.sqrt(product(one, one) * product(other, other)))


def clustering(embedding: Space, codes: NDArray[np.integer]) -> dict[str, float]:
    """Compare Leiden's clusters of the embedding with the labels, at the best of 20 resolutions.

    The resolution is the one with the highest mutual information, also for the Rand index.
    """
    import igraph
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    edges = embedding.graph(CLUSTER_NEIGHBORS).tocoo()
    upper = edges.row < edges.col
    graph = igraph.Graph(
        n=edges.shape[0], edges=np.column_stack((edges.row[upper], edges.col[upper]))
    )
    best, clusters = 0.0, np.zeros(len(codes), int)
    for resolution in RESOLUTIONS:
        igraph.set_random_number_generator(random.Random(0))
        found = graph.community_leiden(
            objective_function="modularity", weights=edges.data[upper], resolution=resolution,
            n_iterations=2,
        ).membership  # fmt: skip
        mutual = float(normalized_mutual_info_score(codes, found))
        if mutual > best:
            best, clusters = mutual, np.asarray(found)
    return {
        "normalized_mutual_information": best,
        "adjusted_rand_index": float(adjusted_rand_score(codes, clusters)),
    }


def _distances(points: Floats) -> Floats:
    """Distances between all pairs of points, exactly symmetric, 0 on the diagonal."""
    if points.shape[1] <= _FEW_DIMENSIONS:
        result: Floats = squareform(pdist(points))
        return result
    lengths = np.einsum("ij,ij->i", points, points)
    squared = lengths[:, None] + lengths[None] - 2.0 * (points @ points.T)
    np.fill_diagonal(squared, 0.0)
    return np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
