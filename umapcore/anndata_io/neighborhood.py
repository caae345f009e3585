"""The two matrices of a neighbourhood graph, and the search that a stored graph was made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import in_memory, is_sparse, sound_sparse
from umapcore._kit.seeds import LARGEST_SEED
from umapcore._kit.stored import stored_integer, stored_text
from umapcore.anndata_io.representation import choose_representation
from umapcore.errors import bad_type
from umapcore.neighbors.fuzzy_graph import fuzzy_graph
from umapcore.neighbors.record import REPEATABLE, check_search
from umapcore.neighbors.search import find_neighbors

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from umapcore.neighbors.knn import KNN


class Neighborhood(NamedTuple):
    """What ``pp.neighbors`` stores in `obsp`, n × n.

    Attributes
    ----------
    distances
        float32: each row holds the distances of the others among its neighbours, in increasing
        order, with explicit zeros where points coincide.
    connectivities
        float32: symmetric weights of the edges.
    """

    # Sparse matrices, not sparse arrays: scanpy writes them, and all its functions accept them.
    distances: sparse.csr_matrix[np.float32]
    connectivities: sparse.csr_matrix[np.float32]


def neighborhood(knn: KNN, n_neighbors: int, n_threads: int | None = None) -> Neighborhood:
    """Return the matrices of neighbours that are given or were found.

    Parameters
    ----------
    knn
        Each point is the first in its own row.
    n_neighbors
        Size of a neighbourhood, including the point itself.
    n_threads
        Threads to use; None takes the settings' number.
    """
    weights = fuzzy_graph(knn, float(n_neighbors), n_threads=n_threads, name="precomputed_knn")
    return Neighborhood(distances_to_others(knn), sparse.csr_matrix(weights))


def distances_to_others(knn: KNN) -> sparse.csr_matrix[np.float32]:
    """Return the distances to the neighbours as scanpy stores them, without the points' own."""
    return distance_matrix(knn.indices[:, 1:], knn.distances[:, 1:], knn.indices.shape[0])


def distance_matrix(
    indices: NDArray[np.int32], distances: NDArray[np.float32], n_columns: int
) -> sparse.csr_matrix[np.float32]:
    """Return neighbours and their distances as a matrix; entries of a row keep their order."""
    present = (indices >= 0) & np.isfinite(distances)
    indptr = np.zeros(indices.shape[0] + 1, np.int64)
    np.cumsum(present.sum(axis=1), out=indptr[1:])
    shape = (indices.shape[0], n_columns)
    return sparse.csr_matrix((distances[present], indices[present], indptr), shape=shape)


def neighborhood_again(
    adata: AnnData, params: Mapping[str, Any], *, name: str, method: str, n_threads: int | None
) -> Neighborhood:
    """Search the neighbours again that a stored graph was made from.

    Parameters
    ----------
    adata
        Holds the coordinates.
    params
        Parameters of the graph, from :func:`umapcore.anndata_io.read.read_params`.
    name
        Where they are stored, for messages.
    method, n_threads
        As in :func:`umapcore.pp.neighbors`; the bits do not depend on them.

    Raises
    ------
    ValueError, TypeError, ImportError
        When the search cannot be repeated; the message says why.
    """
    search = params.get("search")
    if not isinstance(search, Mapping):
        msg = (
            f"{name} has no record of a search. umapcore.pp.neighbors writes one, unless the "
            "neighbours are given or the metric is a function."
        )
        raise ValueError(msg)
    kind = stored_text(search.get("kind"), f"{name}['search']['kind']", "the name of a search")
    if kind not in REPEATABLE:
        msg = f"they come from a search of kind {kind!r}, which may find others the next time."
        raise ValueError(msg)

    def number(key: str, least: int, most: int) -> int:
        found = stored_integer(params.get(key), f"{name}[{key!r}]", least, most)
        if found is None:
            msg = f"{name} has no {key!r}."
            raise ValueError(msg)
        return found

    n_neighbors = number("n_neighbors", 1, adata.n_obs)
    seed = number("random_state", 0, LARGEST_SEED)
    metric = stored_text(params.get("metric"), f"{name}['metric']", "the name of a metric")
    use_rep = stored_text(params.get("use_rep"), f"{name}['use_rep']", "'X' or a key of .obsm")
    n_pcs = stored_integer(params.get("n_pcs"), f"{name}['n_pcs']", 0)
    metric_kwds = params.get("metric_kwds")
    if metric_kwds is not None and not isinstance(metric_kwds, Mapping):
        stored_as = f"{name}['metric_kwds']"
        raise bad_type(stored_as, metric_kwds, "a dictionary")
    exact, accuracy = check_search(kind == "exact", search.get("accuracy"))
    chosen = choose_representation(adata, use_rep, n_pcs, computes_pca=False)
    knn, again = find_neighbors(
        chosen.points, n_neighbors, metric=metric or "euclidean",
        metric_kwds=metric_kwds, seed=seed, method=method, exact=exact,
        accuracy=accuracy, n_threads=n_threads,
    )  # fmt: skip
    if again.kind != kind:
        msg = f"they come from a search of kind {kind!r}, and this one is of kind {again.kind!r}."
        raise ValueError(msg)
    return neighborhood(knn, n_neighbors, n_threads)


def rows_that_differ(stored: Any, expected: Any, name: str) -> int:
    """Count the rows of a stored matrix that are not, bit for bit, those of another one.

    Formats, wider dtypes and the order of entries in a row do not matter.

    Parameters
    ----------
    stored
        n × n, as it is stored, possibly on disk or on a device.
    expected
        CSR, n × n.
    name
        Where the matrix is stored, for messages.

    Raises
    ------
    ValueError, TypeError
        When it is no such matrix.
    """
    found = in_memory(stored)
    shape = getattr(found, "shape", None)
    if shape != expected.shape or found.dtype.kind not in "buif":
        msg = f"{name} is not a matrix of {expected.shape[0]} x {expected.shape[1]} real numbers."
        raise ValueError(msg)
    a = sparse.csr_array(sound_sparse(found, name) if is_sparse(found) else found, copy=True)
    b = sparse.csr_array(expected, copy=True)
    a.sort_indices()
    b.sort_indices()
    counts_a, counts_b = np.diff(a.indptr), np.diff(b.indptr)
    differs = counts_a != counts_b
    of_a, of_b = np.repeat(~differs, counts_a), np.repeat(~differs, counts_b)
    wrong = (a.indices[of_a] != b.indices[of_b]) | (
        a.data[of_a].astype(np.float64) != b.data[of_b].astype(np.float64)
    )
    differs[np.repeat(np.arange(differs.size), counts_a)[of_a][wrong]] = True
    return int(differs.sum())
