from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import graphs, oracle
from umapcore import OptimizerSpec
from umapcore.layout.constants import LONGEST_WALK, N_BUCKETS, N_PHASES
from umapcore.layout.plan import EdgePlan, build_plan


def naive_rows(graph: sp.csr_array, n_epochs: int) -> dict[int, list[tuple[int, int]]]:
    """Edges and rates that each vertex should have, straight from the definition."""
    dense = graph.toarray().astype(np.float64)
    largest = dense.max()
    rows: dict[int, list[tuple[int, int]]] = {}
    for i in range(dense.shape[0]):
        weights = [(j, dense[i, j] / largest) for j in range(dense.shape[0])]
        rows[i] = [(j, min(int(w * 2**32), 2**32 - 1)) for j, w in weights if w >= 1 / n_epochs]
    return rows


def planned_rows(plan: EdgePlan) -> dict[int, list[tuple[int, int]]]:
    rows: dict[int, list[tuple[int, int]]] = {int(v): [] for v in plan.order}
    for w, head in enumerate(plan.heads):
        edges = slice(plan.row_offsets[w], plan.row_offsets[w + 1])
        tails = plan.order[plan.tails[edges]]
        rows[int(plan.order[head])] += list(
            zip(tails.tolist(), plan.rates[edges].tolist(), strict=True)
        )
    return rows


def test_holds_the_edges_that_fire(graph: sp.csr_array) -> None:
    for n_epochs in (11, 50, 500):
        plan = build_plan(graph, OptimizerSpec(n_epochs=n_epochs))
        expected = naive_rows(graph, n_epochs)
        planned = planned_rows(plan)
        assert {i: sorted(row) for i, row in planned.items()} == expected
        if plan.heads.size == plan.n_vertices:  # nothing was dealt out: the order of the rows too
            assert planned == expected


def test_few_epochs_prune_as_the_default_number_does(graph: sp.csr_array) -> None:
    few = build_plan(graph, OptimizerSpec(n_epochs=5))
    default = build_plan(graph, OptimizerSpec(n_epochs=500))
    np.testing.assert_array_equal(few.tails, default.tails)


def test_buckets_part_neighbours(graph: sp.csr_array) -> None:
    """Straight from the definition: the lightest bucket, of equals the first from the hash on."""
    plan = build_plan(graph, OptimizerSpec())
    assert sorted(plan.order) == list(range(graph.shape[0]))
    expected = np.zeros(graph.shape[0], int)
    dense = graph.toarray().astype(np.float64)
    vertices = np.arange(graph.shape[0])
    for v in sorted(vertices, key=lambda v: v % N_PHASES):
        hashed = oracle.mix64(int(v)) % N_BUCKETS
        seen = vertices[vertices % N_PHASES < v % N_PHASES]
        near = [sum(dense[v, seen][expected[seen] == b].tolist()) for b in range(N_BUCKETS)]
        expected[v] = min(range(N_BUCKETS), key=lambda b: (near[b], (b - hashed) % N_BUCKETS))
    for bucket in range(N_BUCKETS):
        members = plan.order[plan.bucket_offsets[bucket] : plan.bucket_offsets[bucket + 1]]
        assert set(expected[members]) <= {bucket}


def test_buckets_hold_few_neighbours_and_about_equal_numbers() -> None:
    graph = graphs.surface(3000)
    plan = build_plan(graph, OptimizerSpec())
    sizes = np.diff(plan.bucket_offsets)
    assert sizes.max() < 1.5 * 3000 / N_BUCKETS
    bucket = np.repeat(np.arange(N_BUCKETS), sizes)
    coo = graph.tocoo()
    place = np.argsort(plan.order)
    together = bucket[place[coo.row]] == bucket[place[coo.col]]
    assert coo.data[together].sum() < 0.004 * coo.data.sum()  # by chance it would be 0.06


def test_long_rows_are_dealt_out_evenly() -> None:
    graph = graphs.hub(1700)
    plan = build_plan(graph, OptimizerSpec())
    lengths = np.diff(plan.row_offsets)
    assert lengths.max() <= LONGEST_WALK
    walkers = np.diff(plan.first_walkers)
    assert walkers.max() == -(-np.diff(graph.indptr).max() // LONGEST_WALK) > 1
    for hub in np.flatnonzero(walkers > 1):
        shares = lengths[plan.first_walkers[hub] : plan.first_walkers[hub + 1]]
        assert shares.max() - shares.min() <= 1
    np.testing.assert_array_equal(plan.heads, np.repeat(np.arange(graph.shape[0]), walkers))


@pytest.mark.parametrize("weight", [1.0, 0.7, 0.5, 1 / 3, 0.1, 0.0123])
def test_schedule_is_umap_learns(weight: float) -> None:
    """In E epochs an edge fires floor(w E) times, give or take the ends, evenly spread."""
    n_epochs = 500
    graph = sp.csr_array(np.array([[0, weight, 1], [weight, 0, 1], [1, 1, 0]], np.float32))
    plan = build_plan(graph, OptimizerSpec(n_epochs=n_epochs))
    edge = planned_rows(plan)[0][0]
    assert edge[0] == 1
    fires = [t for t in range(1, n_epochs) if (t * edge[1]) % 2**32 < edge[1]]
    assert abs(len(fires) - weight * n_epochs) <= 2
    if len(fires) > 1:
        assert np.ptp(np.diff(fires)) <= 1


def test_graph_is_only_read(graph: sp.csr_array) -> None:
    before = [a.copy() for a in (graph.data, graph.indices, graph.indptr)]
    for array in (graph.data, graph.indices, graph.indptr):
        array.flags.writeable = False
    try:
        build_plan(graph, OptimizerSpec())
    finally:
        for array in (graph.data, graph.indices, graph.indptr):
            array.flags.writeable = True
    for now, then in zip((graph.data, graph.indices, graph.indptr), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_threads_and_index_width_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore._kit.parallel.ROWS_PER_TASK", 64)
    graph = graphs.surface(400)
    wide = graph.copy()
    wide.indices = wide.indices.astype(np.int64)
    wide.indptr = wide.indptr.astype(np.int64)
    plans = [build_plan(g, OptimizerSpec(), n_threads=k) for g in (graph, wide) for k in (1, 2)]
    for name in ("order", "first_walkers", "heads", "row_offsets", "tails", "rates"):
        for plan in plans[1:]:
            np.testing.assert_array_equal(getattr(plan, name), getattr(plans[0], name))
            assert getattr(plan, name).dtype == getattr(plans[0], name).dtype
    assert plans[0].row_offsets.dtype == np.int64


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 30.0, 1e6])
def test_pulls_cannot_overflow(alpha: float) -> None:
    """All edges of the busiest bucket firing at the clip, and a hub moving, stay below 2**31."""
    plan = build_plan(graphs.star(3000), OptimizerSpec(alpha=alpha))
    hub = int(np.flatnonzero(plan.order == 0)[0])
    crowd = max(
        int((plan.tails[slice(*plan.row_offsets[plan.first_walkers[[s, e]]])] == hub).sum())
        for s, e in zip(plan.bucket_offsets[:-1], plan.bucket_offsets[1:], strict=True)
    )
    assert crowd > 100
    most = (crowd * 4 * alpha + 64) * 2.0**plan.pull_exponent + crowd
    assert 2**28 < most * 1.01 < 2**31 or plan.pull_exponent == 24


@pytest.mark.parametrize("n", [1, 2, 5])
def test_graphs_without_edges(n: int) -> None:
    plan = build_plan(sp.csr_array((n, n), dtype=np.float32), OptimizerSpec())
    assert plan.n_edges == 0
    assert plan.n_vertices == n
