"""densMAP: every backend has the oracle's bits, and densities are preserved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import density_cases, density_oracle, graphs, oracle
from umapcore import OptimizerSpec
from umapcore.device.protocol import Backend
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import Density, density_of
from umapcore.layout.plan import build_plan
from umapcore_numba.layout.layout import NumbaLayout

if TYPE_CHECKING:
    import scipy.sparse as sp

#: Starts that no step can change.
UNMOVED = {"one point", "far"}
Open = Callable[[], Backend]
SLOW_1, SLOW_5 = (pytest.param(d, marks=pytest.mark.slow) for d in (1, 5))
_expected: dict[str, np.ndarray] = {}


def assert_same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))


def case(
    graph: sp.csr_array, distances: sp.csr_array, spec: OptimizerSpec
) -> tuple[Any, Density, np.ndarray]:
    ready = prepare_graph(graph)
    start = graphs.random_start(graph.shape[0], spec.n_components)
    return ready, density_of(ready, distances, spec), start


def check(
    name: str,
    graph: sp.csr_array,
    distances: sp.csr_array,
    spec: OptimizerSpec,
    backend: Backend,
    start: np.ndarray | None = None,
) -> None:
    ready, density, usual = case(graph, distances, spec)
    start = usual if start is None else start
    n_epochs = spec.epochs_for(graph.shape[0])
    key = f"{name} {spec}"
    if key not in _expected:
        with np.errstate(over="ignore"):
            plan = build_plan(ready, spec)
            _expected[key] = oracle.layout(plan, spec, start, density=density)
            plain = oracle.layout(plan, spec, start)
            assert name in UNMOVED or not np.array_equal(plain, _expected[key])
    layout = backend.begin(backend.plan(ready, spec), start, spec, density=density)
    layout.advance(1, n_epochs)
    found = layout.positions()
    backend.close()
    assert np.isfinite(found).all()
    assert_same_bits(found, _expected[key])


@pytest.mark.parametrize("n_components", [SLOW_1, 2, 3, 10])
def test_dimensions(n_components: int, open_backend: Open) -> None:
    spec = OptimizerSpec(
        n_components=n_components, n_epochs=8, density_weight=2.0, density_fraction=0.6
    )
    check("blobs", *density_cases.blobs(120), spec, open_backend())


@pytest.mark.parametrize(
    "changes",
    [
        {"density_weight": 0.1},
        {"density_weight": 1e6},
        {"density_shift": 0.0},
        {"density_fraction": 0.2},
        {"a": 1.0, "b": 1.0},
        {"a": 500.0, "b": 3.0},
        {"a": 1.0, "b": 0.1},
        {"alpha": 25.0},
        {"negative_sample_rate": 0},
    ],
    ids=str,
)
def test_parameters(changes: dict[str, float], open_backend: Open) -> None:
    spec = OptimizerSpec(n_epochs=7, density_weight=2.0, density_fraction=1.0).replace(**changes)
    check("blobs", *density_cases.blobs(90), spec, open_backend())


@pytest.mark.parametrize("name", ["hub", "star"])
def test_vertices_of_several_walkers(name: str, open_backend: Open) -> None:
    graph = graphs.hub(700) if name == "hub" else graphs.star(600)
    spec = OptimizerSpec(n_epochs=4, density_weight=2.0, density_fraction=1.0)
    check(name, graph, density_cases.of_graph(graph), spec, open_backend())


def test_several_blocks_and_workers(open_backend: Open) -> None:
    graph = graphs.surface(4000)
    distances = density_cases.of_graph(graph)
    spec = OptimizerSpec(
        n_epochs=3, density_weight=2.0, density_fraction=0.4, negative_sample_rate=2
    )
    check("surface", graph, distances, spec, open_backend())


STARTS = {
    "one point": np.zeros((60, 2), np.float32),
    "in tens": np.repeat(graphs.random_start(6, 2), 10, axis=0),
    "subnormal": graphs.random_start(60, 2) * np.float32(1e-22),
    "far": graphs.random_start(60, 2) * np.float32(1e18),
}


@pytest.mark.parametrize("name", STARTS)
def test_coincident_and_distant_vertices(name: str, open_backend: Open) -> None:
    """Nothing divides by 0, and nothing overflows."""
    graph = graphs.surface(60)
    spec = OptimizerSpec(n_epochs=5, density_weight=2.0, density_fraction=1.0)
    check(name, graph, density_cases.of_graph(graph), spec, open_backend(), STARTS[name])


@pytest.mark.parametrize("name", ["blobs", "hub"])
@pytest.mark.parametrize("n_components", [2, SLOW_5])
def test_threads_and_interruptions(name: str, n_components: int) -> None:
    if name == "blobs":
        graph, distances = density_cases.blobs(2400)
    else:
        graph = graphs.hub(1300, 3)
        distances = density_cases.of_graph(graph)
    spec = OptimizerSpec(n_components=n_components, n_epochs=30, density_weight=2.0)
    ready, density, start = case(graph, distances, spec)
    plan = build_plan(ready, spec)
    results = []
    for n_workers in (1, 2, 3, 8, 16):
        running = NumbaLayout(plan, start, spec, n_workers, density)
        for first in range(1, 30, 7 + n_workers % 2):
            running.advance(first, min(30, first + 7 + n_workers % 2))
        results.append(running.positions())
    for result in results[1:]:
        assert_same_bits(result, results[0])


# --- what is preserved ----------------------------------------------------------------------------


def test_radii_are_those_of_the_definition() -> None:
    graph, distances = density_cases.blobs(200)
    density = density_of(prepare_graph(graph), distances, OptimizerSpec(n_epochs=40))
    wanted = density_oracle.log_radii(
        graph.toarray().astype(np.float64), distances.toarray(), n_epochs=40
    )
    np.testing.assert_allclose(density.radii, wanted, atol=1e-5)
    assert density.n_counted == 200
    kept = graph.data >= graph.data.max() / 40
    weights = graph.data[kept].astype(np.float64) / graph.data.max()
    assert density.total_rate / 2.0**32 == pytest.approx(weights.sum(), rel=1e-6)


def log_radii_of(positions: np.ndarray, graph: sp.csr_array, spec: OptimizerSpec) -> np.ndarray:
    a, b = spec.curve()
    edges = graph.tocoo()
    d2 = ((positions[edges.row].astype(np.float64) - positions[edges.col]) ** 2).sum(axis=1)
    phi = 1.0 / (1.0 + a * d2**b)
    n = positions.shape[0]
    phi_sum = np.bincount(edges.row, phi, n)
    return np.asarray(np.log(1e-8 + np.bincount(edges.row, phi * d2, n) / phi_sum))


def test_the_gradient_is_that_of_the_correlation() -> None:
    """A small step of the density alone, along all edges, raises the correlation as it should."""
    graph, distances = density_cases.blobs(90)
    spec = OptimizerSpec(n_epochs=1000, density_weight=1.0, density_shift=0.3)
    ready, density, start = case(graph, distances, spec)
    plan = build_plan(ready, spec)
    kept = ready.copy()
    kept.data = np.where(ready.data >= ready.data.max() / 1000, ready.data, 0).astype(np.float32)
    kept.eliminate_zeros()
    positions = start.astype(np.float64) / 3

    def objective(where: np.ndarray) -> float:
        logs = log_radii_of(where, kept, spec)
        covariance = (logs * density.radii).sum() / (logs.size - 1)
        return float(covariance / np.sqrt(logs.var() + 0.3))

    at = density_oracle.terms(plan, spec, positions[plan.order].astype(np.float32), density)
    gradient = np.zeros_like(positions)
    for i in range(90):
        for e in range(plan.row_offsets[i], plan.row_offsets[i + 1]):
            j, rate = int(plan.tails[e]), int(plan.rates[e])
            here, there = positions[plan.order[i]], positions[plan.order[j]]
            d2 = np.float32(((here - there) ** 2).sum())
            c = density_oracle.coefficient(d2, rate, at, i, j, np.float32(1), spec)
            # One fire an epoch at full weight; a row's edge and its mirror move both ends.
            move = float(c) * (rate / 2.0**32) * (here - there)
            gradient[plan.order[i]] += move
            gradient[plan.order[j]] -= move
    step = 1e-5
    numerical = np.zeros_like(positions)
    for i in range(90):
        for k in range(2):
            there = positions.copy()
            there[i, k] += step
            back = positions.copy()
            back[i, k] -= step
            numerical[i, k] = (objective(there) - objective(back)) / (2 * step)
    cosine = (gradient * numerical).sum() / np.linalg.norm(gradient) / np.linalg.norm(numerical)
    assert cosine > 0.999
    ratio = np.linalg.norm(gradient) / np.linalg.norm(numerical)
    assert ratio == pytest.approx(density.total_rate / 2.0**32, rel=0.02)
