"""Graphs on the device: copied there, or already there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from umapcore.graph.csr import MOST_EXPONENT
from umapcore.logs import logger

if TYPE_CHECKING:
    from umapcore_cupy.host.device import Array, Device


#: Number of threads that search for the largest weight; each reads many edges.
_HEAVIEST_THREADS = 64 * 1024


@dataclass(frozen=True)
class DeviceGraph:
    """A symmetric, canonical CSR with positive weights, as `prepare_graph` makes it.

    Attributes
    ----------
    n_vertices, nnz
        Numbers of rows and of directed edges.
    indptr, indices, weights
        int64, int32, float32, on the device.
    is_users
        Whether indices and weights belong to the caller and must not be changed.
    """

    n_vertices: int
    nnz: int
    indptr: Array
    indices: Array
    weights: Array
    is_users: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.n_vertices, self.n_vertices


def bring_graph(device: Device, graph: sparse.csr_array[Any, Any]) -> DeviceGraph:
    """Copy a prepared graph to the device."""
    return DeviceGraph(
        n_vertices=graph.shape[0],
        nnz=graph.data.shape[0],
        indptr=device.upload(graph.indptr.astype(np.int64, copy=False)),
        indices=device.upload(graph.indices.astype(np.int32, copy=False)),
        weights=device.upload(graph.data),
        is_users=False,
    )


def adopt_graph(device: Device, matrix: Any) -> DeviceGraph | None:
    """Adopt a CSR that is on the device, without changes.

    Returns
    -------
    The graph; None if the host must change or refuse it.
    """
    n, n_edges = int(matrix.shape[0]), int(matrix.data.shape[0])
    reason = _unfit(matrix)
    if reason is None and not all(map(device.holds, (matrix.data, matrix.indices, matrix.indptr))):
        reason = "it is on another GPU than the current one"
    if reason is None:
        device.compile("inputs")
        indptr = device.empty(n + 1, np.int64)
        given = device.wrap(matrix.indptr)
        device.launch("widen", n + 1, np.int64(n + 1), given, indptr)
        found = device.zeros(1, np.int32)
        rows = (indptr, device.wrap(matrix.indices), device.wrap(matrix.data))
        device.launch("inspect_rows", n, np.int64(n), np.int64(n_edges), *rows, found)
        if not device.download(found)[0]:
            device.launch("inspect_mirrors", n, np.int64(n), *rows, found)
            if not device.download(found)[0]:
                graph = DeviceGraph(n, n_edges, *rows, is_users=True)
                if abs(math.frexp(heaviest_weight(device, graph))[1]) <= MOST_EXPONENT:
                    return graph
                reason = "its weights are too large or too small"
        if reason is None:
            code = device.download(found)[0]
            reason = f"it is not a symmetric graph in canonical form (code {code})"
    logger.info("the graph on the GPU goes by way of the host: %s", reason)
    return None


def heaviest_weight(device: Device, graph: DeviceGraph) -> float:
    """Return the largest weight of a graph; 1 if it has no edges."""
    if graph.nnz == 0:
        return 1.0
    device.compile("plan")
    bits = device.zeros(1, np.int32)
    threads = min(graph.nnz, _HEAVIEST_THREADS)
    device.launch("find_heaviest", threads, np.int64(graph.nnz), graph.weights, bits)
    return float(device.download(bits).view(np.float32)[0])


def to_host(device: Device, graph: DeviceGraph) -> sparse.csr_array[Any, Any]:
    """Copy a graph to the host, in the form that ``umapcore.graph.csr.prepare_graph`` returns."""
    indptr = device.download(graph.indptr)
    if graph.nnz < 2**31:
        indptr = indptr.astype(np.int32)
    indices, weights = device.download(graph.indices), device.download(graph.weights)
    return sparse.csr_array((weights, indices, indptr), shape=graph.shape)


def _unfit(matrix: Any) -> str | None:
    """Return why a matrix cannot be adopted, or None; its entries are not checked yet."""
    if matrix.format != "csr" or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        return f"it is a {matrix.format} of shape {tuple(matrix.shape)}"
    kinds = (matrix.data.dtype, matrix.indices.dtype, matrix.indptr.dtype)
    if kinds != (np.float32, np.int32, np.int32):
        return f"its arrays are of {', '.join(str(kind) for kind in kinds)}"
    if matrix.indptr.shape != (matrix.shape[0] + 1,) or matrix.indices.shape != matrix.data.shape:
        return "its arrays do not fit each other"
    return None
