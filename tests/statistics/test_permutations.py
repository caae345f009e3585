"""The numbering of the vertices decides bits, but not how good a layout is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from tests.support import graphs
from tests.support.significance import FALSE_ALARM, of_normals
from umapcore import OptimizerSpec, simplicial_set_embedding

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUNS = 40
N = 240


def losses(graph: sp.csr_array, positions: NDArray[np.float32], spec: OptimizerSpec) -> np.ndarray:
    """Each vertex's share of the loss that attraction with negative samples minimises."""
    a, b = spec.curve()
    x = positions.astype(float)
    curve = a * ((x[:, None] - x) ** 2).sum(axis=2) ** b
    weights = graph.toarray().astype(float)
    weights /= weights.max()
    attraction = (weights * np.log1p(curve)).sum(axis=1)
    repelled = np.log((1e-3 + curve) / (1.0 + curve))
    np.fill_diagonal(repelled, 0.0)
    found: np.ndarray = attraction - 5 / N * weights.sum(axis=1) * repelled.sum(axis=1)
    return found


def lay_out(graph: sp.csr_array, order: np.ndarray, seed: int, n_samples: int = 5) -> np.ndarray:
    """Losses of the vertices, in the order of `graph`, when they are numbered by `order`."""
    spec = OptimizerSpec(n_epochs=60, min_dist=0.1, seed=seed, negative_sample_rate=n_samples)
    start = graphs.random_start(N, 2)[order]
    positions = np.empty((N, 2), np.float32)
    numbered = sp.csr_array(graph[order][:, order])
    positions[order] = simplicial_set_embedding(numbered, spec, init=start, progress=False)
    return losses(graph, positions, spec)


@pytest.fixture(scope="module", params=["surface", "clusters", "hub"])
def runs(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orders; losses with these orders and one seed; losses with one order and several seeds."""
    make = {"surface": graphs.surface, "clusters": graphs.clusters, "hub": graphs.hub}
    graph = make[request.param](N)
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(N) for _ in range(RUNS)])
    permuted = np.stack([lay_out(graph, order, 0) for order in orders])
    seeded = np.stack([lay_out(graph, np.arange(N), 1 + seed) for seed in range(RUNS)])
    return orders, permuted, seeded


def test_numberings_matter_no_more_than_seeds(runs: tuple[np.ndarray, ...]) -> None:
    _, permuted, seeded = (part.sum(axis=-1) for part in runs)
    # A numbering decides which vertices move together, for all seeds: the means of all numberings
    # and of one of them need not be equal, but they have to lie within the spread over seeds.
    assert abs(permuted.mean() - seeded.mean()) < 2.0 * seeded.std(ddof=1)
    ratio = permuted.var(ddof=1) / seeded.var(ddof=1)
    f = stats.f(RUNS - 1, RUNS - 1)
    assert 2 * min(f.cdf(ratio), f.sf(ratio)) > FALSE_ALARM
    # No layout is an outlier: the largest is as far off as Student's law allows.
    z = (permuted - seeded.mean()) / (seeded.std(ddof=1) * np.sqrt(1 + 1 / RUNS))
    assert RUNS * 2 * stats.t(RUNS - 1).sf(np.abs(z).max()) > FALSE_ALARM


def test_no_vertex_gains_by_its_number(runs: tuple[np.ndarray, ...]) -> None:
    orders, permuted, _ = runs
    number = np.argsort(orders, axis=1)
    relative = permuted - permuted.mean(axis=0)
    scores = [np.cos(np.pi * k * (number + 0.5) / N) for k in (1, 2, 3)]  # low, middle or high
    scores += [number % k == 0 for k in (2, 16, 32)]  # phases in which buckets are chosen
    # Fixed losses, random numbers: each run's sum of products has mean 0.
    for score in scores:
        gains = (relative * (score - np.mean(score))).sum(axis=1)
        z = gains.mean() / (gains.std(ddof=1) / np.sqrt(RUNS))
        assert 2 * stats.t(RUNS - 1).sf(abs(z)) > FALSE_ALARM / len(scores)


def test_worse_layouts_are_told_apart() -> None:
    """One negative sample fewer is seen by the comparison above."""
    graph = graphs.surface(N)
    five, four = (
        [lay_out(graph, np.arange(N), seed, n_samples).sum() for seed in range(RUNS // 2)]
        for n_samples in (5, 4)
    )
    assert stats.ttest_ind(five, four, equal_var=False).pvalue < FALSE_ALARM


def test_random_starts_are_uniform() -> None:
    graph = sp.csr_array((20_000, 20_000), dtype=np.float32)
    spec = OptimizerSpec(n_epochs=0, seed=5)
    start = simplicial_set_embedding(graph, spec, init="random", progress=False) / 10
    for k in range(2):
        assert stats.kstest(start[:, k], "uniform").pvalue > FALSE_ALARM
    z = np.corrcoef(start.T)[0, 1] * np.sqrt(len(start))
    assert of_normals(np.array([z])) > FALSE_ALARM
