"""The density of the data around each vertex, which densMAP preserves.

densMAP (Narayan, Berger and Cho 2021) adds a term to UMAP's objective: the correlation, over all
vertices, between the log radius in the data and the log radius in the embedding. The radius of a
vertex is the mean of its squared distances to its neighbours, weighted by their memberships. This
module computes the radii in the data, once. Backends do the rest
(:mod:`umapcore.device.protocol`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore._kit.arrays import Csr, csr_arrays, read_only
from umapcore._kit.jit import kernel
from umapcore._kit.log2 import exact_log2_of
from umapcore._kit.parallel import for_rows
from umapcore._kit.scratch import Scratch, chunks, converted, scratch_of
from umapcore.graph.csr import csr_parts, square_matrix
from umapcore.graph.rows import canonical, larger_of_both
from umapcore.layout.constants import EPSILON
from umapcore.layout.plan import least_weight
from umapcore.logs import logger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.spec import OptimizerSpec

#: Log radii with a smaller standard deviation differ by rounding only: nothing to preserve.
LEAST_DEVIATION = 1e-6
#: A warning is logged if more than this share of the edges has no distance.
_MANY = 0.1
_ACCEPTED = "a square sparse matrix or array of real numbers from 0 to the largest float32"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Density:
    """What a layout needs to know about the data to preserve its densities.

    Attributes
    ----------
    radii
        float32, (n,), in the order of the graph: log radii, standardised to mean 0 and variance 1
        over the vertices that have edges; 0 for the others.
    n_counted
        Number of vertices that have edges after pruning.
    total_rate
        Sum of the firing rates of all directed edges, in units of 2**-32.
    """

    radii: NDArray[np.float32]
    n_counted: int
    total_rate: int

    def strength(self, spec: OptimizerSpec) -> float:
        """Return the factor of the gradient, before the division by an edge's weight."""
        total = self.total_rate / 2.0**32
        return 2.0 * spec.density_weight * total / max(1, self.n_counted)


def density_of(
    graph: Any,
    distances: Any,
    spec: OptimizerSpec,
    *,
    name: str = "distances",
    n_threads: int | None = None,
) -> Density:
    """Measure the densities of the data, as umap-learn does.

    Parameters
    ----------
    graph
        As :func:`umapcore.graph.csr.prepare_graph` returns it.
    distances
        n × n, sparse: distances between neighbours. If the two distances of a pair differ, or one
        is missing, the larger one counts. If both are missing, the distance is 0.
    spec
        Its number of epochs determines which edges are pruned.
    name
        Name of the distances in messages.
    n_threads
        Number of threads; the result does not depend on it.

    Raises
    ------
    ValueError, TypeError
        When the distances are not valid or beyond float32, do not fit the graph, or are 0 for all
        of its edges.
    """
    n = int(graph.shape[0])
    logs, total_rate = log_radii(
        graph, distances, least_weight(spec, n), name=name, n_threads=n_threads
    )
    counted = ~np.isnan(logs)
    standardised = np.zeros(n, np.float32)
    standardised[counted] = _standardised(logs[counted])
    if counted.any() and not standardised.any():
        logger.warning("%s: the densities of all vertices are equal, so none is preserved", name)
    return Density(standardised, int(counted.sum()), total_rate)


def log_radii(
    graph: Any,
    distances: Any,
    least: float,
    *,
    name: str = "distances",
    n_threads: int | None = None,
) -> tuple[NDArray[np.float64], int]:
    """Return the logarithm of each vertex's mean squared distance to its neighbours.

    Parameters
    ----------
    graph, distances, name, n_threads
        As for :func:`density_of`.
    least
        Smallest weight, relative to the largest, of an edge that counts.

    Returns
    -------
    logs
        (n,): NaN for vertices without edges.
    total_rate
        Sum of the firing rates of all directed edges.

    Raises
    ------
    ValueError, TypeError
        As :func:`density_of`.
    """
    n = int(graph.shape[0])
    # Where the graph is not in memory, they need not be either.
    data, indices, indptr = larger_of_both(_checked(distances, n, name, scratch_of(graph.indices)))
    lengths = Csr(read_only(indptr), read_only(indices), read_only(data))
    heaviest = float(graph.data.max()) if graph.nnz else 1.0
    given = (csr_arrays(graph), heaviest, least, lengths)
    radii = np.empty(n, np.float64)
    found = for_rows(n, n_threads, lambda a, b: _measure_rows(a, b, *given, radii))
    total_rate, n_edges, n_missing = (sum(int(part[k]) for part in found) for k in range(3))
    if n_edges and n_missing == n_edges:
        msg = f"{name}: all of the graph's {n_edges} edges have distance 0, or none at all."
        raise ValueError(msg)
    if n_missing > _MANY * n_edges:
        logger.warning(
            "%s: %d of the graph's %d edges have distance 0, or none at all",
            name,
            n_missing,
            n_edges,
        )
    logs = np.full(n, np.nan)
    counted = radii >= 0
    logs[counted] = exact_log2_of(EPSILON + radii[counted]) * math.log(2.0)
    return logs, total_rate


def _checked(
    distances: Any, n: int, name: str, scratch: Scratch | None
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any]]:
    """Return distances as a canonical float64 CSR's arrays; of a CSC, those of its transpose."""
    matrix = square_matrix(distances, name, _ACCEPTED, scratch)
    if matrix.shape[0] != n:
        msg = f"{name} has shape {tuple(matrix.shape)}: it must be ({n}, {n}), as the graph is."
        raise ValueError(msg)
    data, indices, indptr = csr_parts(matrix, scratch)
    with np.errstate(over="ignore"):
        data = converted(data, np.float64, scratch)  # kernels are compiled for one dtype only
    # With larger distances, float64 could not hold the sums of their squares.
    wrong = 0
    for part in chunks(data.shape[0], scratch):
        wrong += int((~((data[part] >= 0) & (data[part] <= _LARGEST))).sum())
    if wrong:
        msg = (
            f"{name} has {wrong} values that are NaN, infinite or negative, or beyond float32: "
            f"it must be {_ACCEPTED}."
        )
        raise ValueError(msg)
    arrays = (data, indices, indptr)
    is_canonical = sparse.csr_array(arrays, shape=(n, n)).has_canonical_format
    return arrays if is_canonical else canonical(arrays)


def _standardised(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale to mean 0 and variance 1; the sums are exact, so their order does not matter."""
    n = max(1, logs.shape[0])
    centred: NDArray[np.float64] = logs - math.fsum(logs) / n
    deviation = math.sqrt(math.fsum(centred * centred) / n)
    if deviation < LEAST_DEVIATION:
        return np.zeros_like(logs)
    return centred / deviation


@kernel()
def _measure_rows(
    first: Any,
    last: Any,
    graph: Any,
    heaviest: Any,
    least: Any,
    distances: Any,
    radii: Any,
) -> Any:
    """Write the radii of the rows `first` … `last` - 1; -1 for rows without edges.

    Returns
    -------
    Sum of the rates, number of edges, and number of edges whose distance is 0 or missing.
    """
    total_rate, n_edges, n_missing = 0, 0, 0
    for vertex in range(first, last):
        spread, weight_sum = 0.0, 0.0
        # The rows of both matrices are sorted.
        at, end = distances.indptr[vertex], distances.indptr[vertex + 1]
        for e in range(graph.indptr[vertex], graph.indptr[vertex + 1]):
            weight = np.float64(graph.weights[e]) / heaviest
            if weight < least:
                continue
            tail = graph.indices[e]
            while at < end and distances.indices[at] < tail:
                at += 1
            length = 0.0
            if at < end and distances.indices[at] == tail:
                length = distances.weights[at]
            spread += weight * (length * length)
            weight_sum += weight
            total_rate += min(int(weight * 4294967296.0), 4294967295)
            n_edges += 1
            n_missing += length == 0.0
        radii[vertex] = spread / weight_sum if weight_sum > 0.0 else -1.0
    return total_rate, n_edges, n_missing
