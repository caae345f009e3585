"""Every backend gives the bits of the plain NumPy oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import graphs, oracle
from umapcore import OptimizerSpec
from umapcore.device.protocol import Backend
from umapcore.layout.plan import build_plan
from umapcore_numba.layout.layout import NumbaLayout

if TYPE_CHECKING:
    import scipy.sparse as sp


Open = Callable[[], Backend]
_expected: dict[str, np.ndarray] = {}


def expected(name: str, graph: sp.csr_array, spec: OptimizerSpec, start: np.ndarray) -> np.ndarray:
    """Result of the oracle, which is slow, worked out once for all backends."""
    key = f"{name} {start.shape} {spec}"
    if key not in _expected:
        with np.errstate(over="ignore"):
            _expected[key] = oracle.layout(build_plan(graph, spec), spec, start)
    return _expected[key]


def result(
    backend: Backend, graph: sp.csr_array, spec: OptimizerSpec, start: np.ndarray
) -> np.ndarray:
    plan = backend.plan(graph, spec)
    layout = backend.begin(plan, start, spec)
    layout.advance(1, spec.epochs_for(graph.shape[0]))
    positions = layout.positions()
    backend.close()
    return positions


def assert_same_bits(name: str, graph: sp.csr_array, spec: OptimizerSpec, backend: Backend) -> None:
    start = graphs.random_start(graph.shape[0], spec.n_components)
    wanted = expected(name, graph, spec, start)
    assert not np.array_equal(wanted, start)
    found = result(backend, graph, spec, start)
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))


def test_dimensions(graph: sp.csr_array, n_components: int, open_backend: Open) -> None:
    epochs = 5 if graph.nnz > 8_000 else 11
    spec = OptimizerSpec(n_components=n_components, n_epochs=epochs, seed=2**63)
    assert_same_bits(str(graph.nnz), graph, spec, open_backend())


@pytest.mark.parametrize(
    "changes",
    [
        {"n_components": 1},
        {"n_components": 4},
        {"min_dist": 0.0},
        {"min_dist": 0.1},
        {"a": 1.0, "b": 1.0},
        {"a": 500.0, "b": 3.0},
        {"gamma": 0.0},
        {"gamma": 7.5},
        {"alpha": 0.01},
        {"alpha": 25.0},
        {"negative_sample_rate": 0},
        {"negative_sample_rate": 1},
        {"negative_sample_rate": 20},
        {"seed": 2**64 - 1},
    ],
    ids=str,
)
def test_parameters(changes: dict[str, float], open_backend: Open) -> None:
    spec = OptimizerSpec(n_epochs=8).replace(**changes)
    assert_same_bits("surface", graphs.surface(120), spec, open_backend())


@pytest.mark.parametrize("n", [2, 3, 7, 40])
def test_tiny_graphs_where_every_pool_holds_the_heads(n: int, open_backend: Open) -> None:
    assert_same_bits("star", graphs.star(n), OptimizerSpec(n_epochs=60), open_backend())


def test_several_blocks_a_bucket_and_several_workers(open_backend: Open) -> None:
    graph = graphs.surface(9000)  # above 512 heads in every bucket
    spec = OptimizerSpec(n_epochs=3, negative_sample_rate=2)
    assert_same_bits("large", graph, spec, open_backend())
    start = graphs.random_start(9000, 2)
    layout = NumbaLayout(build_plan(graph, spec), start, spec, 2)
    layout.advance(1, 3)
    wanted = expected("large", graph, spec, start)
    np.testing.assert_array_equal(layout.positions().view(np.int32), wanted.view(np.int32))


STARTS = {
    "one point": np.zeros((60, 2), np.float32),
    "in tens": np.repeat(graphs.random_start(6, 2), 10, axis=0),
    "subnormal": graphs.random_start(60, 2) * np.float32(1e-22),
    "far": graphs.random_start(60, 2) * np.float32(1e18),
    "negative zeros": graphs.random_start(60, 2) * np.float32([1.0, -0.0]),
}


@pytest.mark.parametrize("name", STARTS)
def test_coincident_vertices(name: str, open_backend: Open) -> None:
    """Squared distances of 0, and some that underflow, give neither NaN nor different bits."""
    graph, spec, start = graphs.surface(60), OptimizerSpec(n_epochs=6), STARTS[name]
    found = result(open_backend(), graph, spec, start)
    assert np.isfinite(found).all()
    wanted = expected(name, graph, spec, start)
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))


def test_power_function_is_accurate_enough(rng: np.random.Generator) -> None:
    x = np.exp(rng.uniform(-25, 12, 2000)).astype(np.float32)
    for b in (0.5, 0.79, 1.33, 1.93):
        exact = x.astype(np.float64) ** b
        spec = OptimizerSpec(a=1.0, b=b)
        ours = np.array([float(oracle.curve_power(v, spec)) for v in x])
        np.testing.assert_allclose(ours, exact, rtol=5e-5)


def test_reciprocal_is_accurate_enough(rng: np.random.Generator) -> None:
    x = np.exp2(rng.uniform(-100, 125, 5000)).astype(np.float32)
    ours = np.array([float(oracle.reciprocal(v)) for v in x])
    np.testing.assert_allclose(ours * x.astype(np.float64), 1.0, rtol=1.8e-7)
    with np.errstate(over="ignore"):
        assert float(oracle.reciprocal(np.float32(np.inf))) == 2.0**-125
