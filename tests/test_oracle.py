"""The numba backend gives the bits of the plain NumPy oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import graphs
import numpy as np
import oracle
import pytest

from umapcore import OptimizerSpec
from umapcore.plan import build_plan
from umapcore_numba.backend import NumbaLayout

if TYPE_CHECKING:
    import scipy.sparse as sp


def assert_same_bits(graph: sp.csr_array, spec: OptimizerSpec, n_workers: int = 1) -> None:
    plan = build_plan(graph, spec)
    start = graphs.random_start(graph.shape[0], spec.n_components)
    layout = NumbaLayout(plan, start, spec, n_workers)
    layout.advance(1, plan.n_epochs)
    expected = oracle.layout(plan, spec, start)
    assert not np.array_equal(expected, start)
    np.testing.assert_array_equal(layout.positions().view(np.int32), expected.view(np.int32))


def test_dimensions(graph: sp.csr_array, n_components: int) -> None:
    epochs = 5 if graph.nnz > 8_000 else 11
    assert_same_bits(graph, OptimizerSpec(n_components=n_components, n_epochs=epochs, seed=2**63))


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
def test_parameters(changes: dict[str, float]) -> None:
    assert_same_bits(graphs.surface(120), OptimizerSpec(n_epochs=8).replace(**changes))


@pytest.mark.parametrize("n", [2, 3, 7, 40])
def test_tiny_graphs_where_every_pool_holds_the_heads(n: int) -> None:
    assert_same_bits(graphs.star(n), OptimizerSpec(n_epochs=60))


def test_several_blocks_a_bucket_and_several_workers() -> None:
    graph = graphs.surface(5200)  # above 256 heads in every bucket
    spec = OptimizerSpec(n_epochs=4, negative_sample_rate=2)
    assert_same_bits(graph, spec)
    assert_same_bits(graph, spec, n_workers=2)


def test_coincident_vertices() -> None:
    """Squared distances of 0, and some that underflow, give neither NaN nor different bits."""
    graph, spec = graphs.surface(60), OptimizerSpec(n_epochs=6)
    plan = build_plan(graph, spec)
    for start in (
        np.zeros((60, 2), np.float32),
        np.repeat(graphs.random_start(6, 2), 10, axis=0),
        graphs.random_start(60, 2) * np.float32(1e-22),
        graphs.random_start(60, 2) * np.float32(1e18),
    ):
        layout = NumbaLayout(plan, start, spec, 1)
        layout.advance(1, 6)
        assert np.isfinite(layout.positions()).all()
        with np.errstate(over="ignore"):
            expected = oracle.layout(plan, spec, start)
        np.testing.assert_array_equal(layout.positions().view(np.int32), expected.view(np.int32))


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
    np.testing.assert_allclose(ours * x.astype(np.float64), 1.0, rtol=1.3e-6)
    with np.errstate(over="ignore"):
        assert float(oracle.reciprocal(np.float32(np.inf))) == pytest.approx(2.0**-125, rel=1e-5)
