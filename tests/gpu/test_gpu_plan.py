"""The plan that is made on the device is the one that is made on the host."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import graphs
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph
from umapcore.layout.plan import EdgePlan, build_plan

if TYPE_CHECKING:
    from umapcore_cupy.layout.plan import DevicePlan

GRAPHS = {
    "clusters": lambda: graphs.clusters(220),
    "surface": lambda: graphs.surface(3000),
    "hub": lambda: graphs.hub(1300),
    "star": lambda: graphs.star(700),
    "pair": lambda: graphs.star(2),
    "no edges": lambda: sp.csr_array((5, 5), dtype=np.float32),
    "one vertex": lambda: sp.csr_array((1, 1), dtype=np.float32),
    "tiny weights": lambda: graphs.surface(90) * np.float32(1e-30),
}


def assert_same_plan(backend: Any, found: DevicePlan, expected: EdgePlan) -> None:
    for field in fields(EdgePlan):
        value, wanted = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(wanted, np.ndarray):
            if not isinstance(value, np.ndarray):
                value = backend.device.download(value)
            assert value.dtype == wanted.dtype, field.name
        np.testing.assert_array_equal(value, wanted, err_msg=field.name)
    assert found.n_vertices == expected.n_vertices
    assert found.n_edges == expected.n_edges
    assert found.n_walkers == expected.heads.size
    walkers = expected.first_walkers[expected.bucket_offsets]
    np.testing.assert_array_equal(found.bucket_walkers, walkers)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("changes", [{}, {"n_epochs": 3}, {"n_epochs": 30, "alpha": 20.0}], ids=str)
def test_same_plan(gpu_backend: Any, name: str, changes: dict[str, float]) -> None:
    graph = prepare_graph(GRAPHS[name]())
    spec = OptimizerSpec().replace(**changes)
    planned = gpu_backend.plan(graph, spec)
    assert planned.place == "all on the device"
    assert_same_plan(gpu_backend, planned.plan, build_plan(graph, spec))


def test_wide_offsets(gpu_backend: Any) -> None:
    graph = prepare_graph(graphs.surface(400))
    wide = sp.csr_array(
        (graph.data, graph.indices.astype(np.int64), graph.indptr.astype(np.int64)),
        shape=graph.shape,
    )
    spec = OptimizerSpec()
    assert_same_plan(gpu_backend, gpu_backend.plan(wide, spec).plan, build_plan(graph, spec))


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 4096, 4097, 70_001])
def test_running_sums(gpu_backend: Any, count: int, rng: np.random.Generator) -> None:
    from umapcore_cupy.host.scan import sum_up

    values = rng.integers(0, 2**40, count + 3)
    device = gpu_backend.device
    device.compile("plan")
    array = device.upload(values)
    sum_up(device, array, count)
    found = device.download(array)
    np.testing.assert_array_equal(found[:count], np.cumsum(values[:count]))
    np.testing.assert_array_equal(found[count:], values[count:])
