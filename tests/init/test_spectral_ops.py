"""The operations of the spectral start: against plain NumPy, and over any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from tests.support import graphs
from umapcore._kit import parallel
from umapcore._kit.arrays import csr_arrays
from umapcore._kit.parallel import Ranges
from umapcore.device.spectral_ops import BLOCK_ROWS, RUN
from umapcore.graph.csr import prepare_graph
from umapcore_numba.spectral import coarsen
from umapcore_numba.spectral.coarsen import contract, group, propose, row_sums
from umapcore_numba.spectral.level import NumbaLevel as Level
from umapcore_numba.spectral.level import make_level
from umapcore_numba.spectral.ops import NumbaSpectralOps


def level_of(graph: sparse.csr_array) -> Level:
    ready = prepare_graph(graph)
    degrees = ready.toarray().sum(axis=1, dtype=np.float64)
    return make_level(csr_arrays(ready), degrees, np.ones_like(degrees))


def matrix_of(level: Level) -> np.ndarray:
    n = level.n_vertices
    matrix = np.zeros((n, n))
    matrix[np.repeat(np.arange(n), np.diff(level.graph.indptr)), level.graph.indices] = (
        level.graph.weights
    )
    return matrix


@pytest.fixture
def level() -> Level:
    """With two rows that are longer than a run."""
    return level_of(graphs.hub(2 * RUN + 40))


@pytest.fixture
def ops() -> NumbaSpectralOps:
    return NumbaSpectralOps(1)


@pytest.mark.parametrize("width", [8, 16])
def test_apply_is_sums_in_written_order(
    level: Level, ops: NumbaSpectralOps, rng: np.random.Generator, width: int
) -> None:
    """Bit for bit: whatever the compiler makes of it, lanes are added one by one."""
    x, y = rng.normal(size=(2, level.n_vertices, width)).astype(np.float32)
    alpha, beta, gamma = np.float32(0.7), np.float32(-0.2), np.float32(1.3)
    expected = np.empty_like(y)
    for i in range(level.n_vertices):
        total = np.zeros(width, np.float32)
        for begin in range(level.graph.indptr[i], level.graph.indptr[i + 1], RUN):
            run = np.zeros(width, np.float32)
            for e in range(begin, min(begin + RUN, level.graph.indptr[i + 1])):
                run += level.graph.weights[e] * (x[level.graph.indices[e]] - x[i])
            total += run
        expected[i] = (alpha * level.inverse[i]) * total + beta * x[i] + gamma * y[i]
    ops.apply(level, x, y, [(0.7, -0.2, 1.3)])
    np.testing.assert_array_equal(y.view(np.int32), expected.view(np.int32))


def test_degrees(level: Level, ops: NumbaSpectralOps) -> None:
    np.testing.assert_allclose(row_sums(Ranges(1, BLOCK_ROWS), level.graph), level.degrees)


@pytest.mark.parametrize("n_blocks", [0, 1, 2, 3, 6])
def test_gram(ops: NumbaSpectralOps, rng: np.random.Generator, n_blocks: int) -> None:
    level = level_of(graphs.path(30))
    n = n_blocks * BLOCK_ROWS + 30
    degrees = rng.random(n)
    level = Level(level.graph, degrees, degrees, level.inverse)
    x, y = rng.normal(size=(2, n, 8)).astype(np.float32)
    found = ops.gram(level, x, y)
    weighted = degrees[:, None] * x
    np.testing.assert_allclose(found[0], weighted.T @ x, atol=1e-9)
    np.testing.assert_allclose(found[1], weighted.T @ y, atol=1e-9)
    np.testing.assert_allclose(found[2, 0], weighted.sum(axis=0), atol=1e-9)


def test_rotate(ops: NumbaSpectralOps, rng: np.random.Generator) -> None:
    x = rng.normal(size=(100, 8)).astype(np.float32)
    rotation, offset = rng.normal(size=(8, 8)), rng.normal(size=8)
    out = np.empty_like(x)
    ops.rotate(x, rotation, offset, out)
    np.testing.assert_allclose(out, x @ rotation - offset, atol=1e-5)


def test_propose_gives_the_heaviest_neighbour_that_is_not_taken(
    level: Level, ops: NumbaSpectralOps, rng: np.random.Generator
) -> None:
    n = level.n_vertices
    scale = rng.random(n).astype(np.float32)
    taken = rng.random(n) < 0.5
    vertices = np.flatnonzero(~taken).astype(np.int32)
    choice = np.full(n, -7, np.int32)
    propose(Ranges(1, BLOCK_ROWS), level, vertices, scale, taken, np.zeros(n, np.float32), choice)
    weights = np.where(taken, 0.0, matrix_of(level).astype(np.float32) * scale)
    expected = np.where(weights.max(axis=1) > 0, weights.argmax(axis=1), -1)
    np.testing.assert_array_equal(choice[vertices], expected[vertices])
    assert (choice[taken] == -7).all()


def test_weak_edges_are_not_proposed_along(ops: NumbaSpectralOps) -> None:
    graph = sparse.csr_array(np.array([[0, 1, 0.2], [1, 0, 0], [0.2, 0, 0]]))
    level = level_of(graph)
    least, choice = np.zeros(3, np.float32), np.empty(3, np.int32)
    ones, taken = np.ones(3, np.float32), np.zeros(3, np.bool_)
    everyone = np.arange(3, dtype=np.int32)
    propose(Ranges(1, BLOCK_ROWS), level, everyone, ones, taken, least, choice)
    assert choice.tolist() == [1, 0, 0]
    taken[1] = True
    propose(Ranges(1, BLOCK_ROWS), level, everyone, ones, taken, least, choice)
    assert choice.tolist() == [-1, 0, 0]


def test_contract_and_group(level: Level, ops: NumbaSpectralOps, rng: np.random.Generator) -> None:
    n, n_coarse = level.n_vertices, 40
    coarse = np.r_[np.arange(n_coarse), rng.integers(n_coarse, size=n - n_coarse)].astype(np.int32)
    offsets = np.r_[0, np.cumsum(np.bincount(coarse))]
    members = group(coarse, offsets)
    np.testing.assert_array_equal(members, np.argsort(coarse, kind="stable"))
    indptr, indices, weights = contract(Ranges(1, BLOCK_ROWS), level, offsets, members, coarse)
    found = sparse.csr_array((weights, indices, indptr), shape=(n_coarse, n_coarse)).toarray()
    membership = np.eye(n_coarse)[coarse]
    expected = membership.T @ matrix_of(level) @ membership
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_reorder(level: Level, ops: NumbaSpectralOps, rng: np.random.Generator) -> None:
    order = rng.permutation(level.n_vertices).astype(np.int32)
    found = ops.reorder(level, order)
    np.testing.assert_array_equal(matrix_of(found), matrix_of(level)[order][:, order])
    for name in ("degrees", "shares", "inverse"):
        np.testing.assert_array_equal(getattr(found, name), getattr(level, name)[order])


@pytest.mark.parametrize("by_place", [True, False])
def test_unfold(ops: NumbaSpectralOps, rng: np.random.Generator, by_place: bool) -> None:
    """Prolonged in order is prolonged without, in another order."""
    _, aggregates = ops.coarsen(level_of(graphs.surface(500)))
    n_coarse = aggregates.offsets.shape[0] - 1
    x = rng.normal(size=(n_coarse, 8)).astype(np.float32)
    fine = ops.prolong(x, ops.source(aggregates))
    np.testing.assert_array_equal(fine, x[aggregates.coarse])
    for coarse_order in (None, rng.permutation(n_coarse).astype(np.int32)):
        order, source = ops.unfold(aggregates, coarse_order, by_place=by_place)
        placed = x if coarse_order is None or not by_place else x[coarse_order]
        np.testing.assert_array_equal(ops.prolong(placed, source), fine[order])
        firsts = aggregates.coarse[order][np.r_[True, np.diff(aggregates.coarse[order]) != 0]]
        expected = np.arange(n_coarse) if coarse_order is None else coarse_order
        np.testing.assert_array_equal(firsts, expected)


def test_unscale(level: Level, ops: NumbaSpectralOps, rng: np.random.Generator) -> None:
    x = rng.normal(size=(level.n_vertices, 8)).astype(np.float32)
    order = rng.permutation(level.n_vertices).astype(np.int32)
    expected = np.sqrt(level.degrees)[:, None] * x[:, :3].astype(np.float64)
    np.testing.assert_array_equal(ops.unscale(level, x, None, 3), expected)
    np.testing.assert_array_equal(ops.unscale(level, x, order, 3)[order], expected)


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_threads(n_threads: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation, on rows that are dealt to several threads."""
    monkeypatch.setattr(parallel, "_SERIAL_ROWS", 0)
    monkeypatch.setattr(coarsen, "_CONTRACTED", BLOCK_ROWS)
    monkeypatch.setattr(parallel, "thread_count", lambda n: n or 1)
    ready = prepare_graph(graphs.random_weights(graphs.grid(150, 130)))
    n = ready.shape[0]
    x, start = rng.normal(size=(2, n, 8)).astype(np.float32)
    coarse = (np.arange(n) // 3).astype(np.int32)
    offsets = np.r_[0, np.cumsum(np.bincount(coarse))]
    everyone = np.arange(n, dtype=np.int32)
    results = []
    for threads in (1, n_threads):
        with NumbaSpectralOps(threads) as ops:
            level = ops.finest(ready)
            y, z, choice = start.copy(), np.empty_like(x), np.empty(n, np.int32)
            ops.apply(level, x, y, [(1.0, 2.0, 3.0)])
            gram = ops.gram(level, x, y)
            ops.rotate(y, gram[0] / n, gram[2, 0] / n, z)
            nobody = np.zeros(n, np.bool_)
            scale, least = np.ones(n, np.float32), np.zeros(n, np.float32)
            propose(ops._ranges, level, everyone, scale, nobody, least, choice)
            contracted = contract(ops._ranges, level, offsets, group(coarse, offsets), coarse)
            turned = ops.reorder(level, everyone[::-1])
            turned_rows = turned.graph
            unscaled = ops.unscale(level, z, everyone[::-1], 2)
            results.append(
                [level.degrees, y, gram, z, choice, least, *contracted, *turned_rows, unscaled]
            )
    for one, several in zip(*results, strict=True):
        assert one.tobytes() == several.tobytes()
