"""No kernel fuses a multiplication and an addition: they would be rounded once instead of twice."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from tests.support import assembly, density_cases, graphs
from umapcore import OptimizerSpec, place, simplicial_set_embedding
from umapcore._kit.processor import X86
from umapcore.neighbors.search import find_neighbors

pytestmark = pytest.mark.skipif(assembly.MISSING is not None, reason=str(assembly.MISSING))

FEATURES = numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[2]


@numba.njit(fastmath={"contract"})
def _contracted(x: Any, y: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = x[i] * y[i] + out[i]


@pytest.mark.skipif(X86 and "+fma" not in FEATURES, reason="this processor cannot fuse")
def test_what_is_fused_is_found() -> None:
    _contracted(*(np.ones(9, np.float32) for _ in range(3)))
    (found,) = assembly.assembly_of(_contracted)
    assert assembly.fused(found).total() > 0


@pytest.mark.parametrize("n_components", [2, pytest.param(3, marks=pytest.mark.slow), 10])
def test_layouts(n_components: int, rng: np.random.Generator) -> None:
    graph = graphs.clusters(220)
    spec = OptimizerSpec(n_components=n_components, n_epochs=2)
    simplicial_set_embedding(graph, spec, progress=False)
    simplicial_set_embedding(
        graph,
        spec.replace(density_weight=2.0),
        distances=density_cases.of_graph(graph),
        progress=False,
    )
    points = rng.random((300, 9), np.float32)
    for exact in (True, False):
        found = find_neighbors(points, 15, exact=exact)
    place(rng.random((300, n_components)), *found.knn, spec, n_epochs=2, progress=False)
    # Of other kernels too, if other tests have run before.
    names = set()
    for name, code in assembly.kernels():
        names.add(name)
        assert not assembly.fused(code), name
        if ".layout.epochs." in name:
            assert assembly.vectors(code) > 100
    assert len(names) > 20
