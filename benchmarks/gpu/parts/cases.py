"""Small graphs for comparing bits: one of each kind that the kernels treat differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from benchmarks.generated import generated
from benchmarks.gpu.checks import in_dimensions
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import Density, density_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_VERTICES, N_EPOCHS, N_HUBS = 3000, 60, 3
#: Share of the vertices that are joined to a hub: far more than one walker takes.
SHARE_OF_A_HUB = 0.9


@dataclass(frozen=True)
class Case:
    """A graph, its specification and its start positions."""

    name: str
    graph: sparse.csr_array[Any, Any]
    spec: OptimizerSpec
    start: NDArray[np.float32]
    density: Density | None = None


def cases(n: int = N_VERTICES, n_epochs: int = N_EPOCHS) -> list[Case]:
    """Return the cases, the simplest first."""
    plain = generated(n)
    graph = prepare_graph(plain.graph)
    spec = OptimizerSpec(seed=3, n_epochs=n_epochs)
    dense = spec.replace(density_weight=2.0)
    return [
        Case("2-D", graph, spec, plain.start),
        Case("3-D", graph, spec.replace(n_components=3), in_dimensions(plain.start, 3)),
        Case("hubs", with_hubs(graph), spec, plain.start),
        Case("densities", graph, dense, plain.start, density_of(graph, distances(graph), dense)),
    ]


def with_hubs(graph: sparse.csr_array[Any, Any]) -> sparse.csr_array[Any, Any]:
    """Join some vertices to most others."""
    n, rng = graph.shape[0], np.random.default_rng(0)
    hubs = np.repeat(np.arange(N_HUBS), int(SHARE_OF_A_HUB * n))
    others = np.concatenate(
        [N_HUBS + rng.choice(n - N_HUBS, hubs.size // N_HUBS, replace=False) for _ in range(N_HUBS)]
    )
    weights = rng.random(hubs.size).astype(np.float32)
    rays = sparse.csr_array((weights, (hubs, others)), shape=(n, n))
    return prepare_graph(graph.maximum(rays).maximum(rays.T))


def distances(graph: sparse.csr_array[Any, Any]) -> sparse.csr_array[Any, Any]:
    """Return arbitrary lengths for the edges of a graph."""
    lengths = np.random.default_rng(0).lognormal(size=graph.nnz)
    return sparse.csr_array((lengths, graph.indices, graph.indptr), shape=graph.shape)
