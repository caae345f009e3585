"""Quality figures of an embedding of a weighted graph.

Every figure is computed from the graph and the positions alone. The random pairs and subsamples
depend only on the size of the graph, so two embeddings of one graph are judged on the same draws.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from umapcore.measures.quality import (
    LOSS_PAIRS,
    RECALL_NEIGHBORS,
    effective_loss,
    neighbor_recall,
)

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

TRUST_VERTICES = 2_000
TRIPLETS = 200_000


@dataclass(frozen=True)
class Figures:
    """All figures of one embedding.

    Attributes
    ----------
    loss, attraction, repulsion
        Effective loss and its parts; see `effective_loss`.
    recall
        See `neighbor_recall`.
    extent
        See `extent`.
    largest, largest_centred
        Largest absolute coordinate, before and after subtracting the centroid.
    """

    loss: float
    attraction: float
    repulsion: float
    recall: float
    extent: float
    largest: float
    largest_centred: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def extent(embedding: NDArray[np.floating]) -> float:
    """Return the distance of the 1st and 99th percentile, as a geometric mean over the axes."""
    low, high = np.percentile(np.asarray(embedding, dtype=np.float64), [1.0, 99.0], axis=0)
    return float(np.exp(np.log(high - low).mean()))


def largest_coordinate(embedding: NDArray[np.floating], *, centred: bool = False) -> float:
    """Return the largest absolute coordinate, optionally after subtracting the centroid."""
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
    """Compute all figures of one embedding of `graph`."""
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
    """Return the trustworthiness (Venna and Kaski 2001) within at most 2,000 random vertices.

    Parameters
    ----------
    data, embedding
        Positions, (n, p) and (n, d).
    k
        Number of neighbours.
    """
    from sklearn.manifold import trustworthiness as of_all

    n = data.shape[0]
    chosen = np.random.default_rng(n).choice(n, min(n, TRUST_VERTICES), replace=False)
    found: float = of_all(data[chosen], embedding[chosen], n_neighbors=k)
    return float(found)


def triplet_accuracy(data: NDArray[np.floating], embedding: NDArray[np.floating]) -> float:
    """Return the share of random triplets whose distances have the same order in both spaces."""
    n = data.shape[0]
    i, j, k = np.random.default_rng(n).integers(n, size=(3, TRIPLETS))

    def nearer(x: NDArray[np.floating]) -> NDArray[np.bool_]:
        x = np.asarray(x, np.float64)
        to_j, to_k = ((x[i] - x[other]) ** 2 for other in (j, k))
        result: NDArray[np.bool_] = to_j.sum(axis=1) < to_k.sum(axis=1)
        return result

    return float((nearer(data) == nearer(embedding)).mean())
