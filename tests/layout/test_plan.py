from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import graphs, oracle
from umapcore import OptimizerSpec
from umapcore.layout.constants import LONGEST_WALK, N_BUCKETS, N_PHASES
from umapcore.layout.plan import (
    EdgePlan,
    build_plan,
    group_size,
    least_weight,
    longest_step,
    most_edges_of_a_group,
    pool_size,
    pull_exponent,
)


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


@pytest.mark.parametrize(
    ("n_epochs", "n", "weight", "inverse"),
    [
        (11, 100, 0, 11),
        (10, 100, 0, 500),
        (0, 100, 0, 500),
        (10, 10_001, 0, 200),
        (10, 100, 1, 700),
        (None, 100, 0, 500),
        (3000, 100, 0, 3000),
    ],
)
def test_lightest_edge_that_is_kept(
    n_epochs: int | None, n: int, weight: float, inverse: int
) -> None:
    spec = OptimizerSpec(n_epochs=n_epochs, density_weight=weight)
    assert least_weight(spec, n) == 1 / inverse


def test_weights_count_relative_to_the_largest(graph: sp.csr_array) -> None:
    plans = [build_plan(factor * graph, OptimizerSpec()) for factor in (1, 0.125, 64)]
    for plan in plans[1:]:
        assert plan.n_edges == plans[0].n_edges
        for name in ("order", "row_offsets", "tails", "rates"):
            np.testing.assert_array_equal(getattr(plan, name), getattr(plans[0], name))


def test_heads_of_a_bucket_are_in_the_order_of_their_fires(graph: sp.csr_array) -> None:
    """By falling fires of a walker and epoch, to the nearest integer, then by number."""
    plan = build_plan(graph, OptimizerSpec())
    rows = naive_rows(graph, 500)
    fires = {v: sum(rate for _, rate in row) / 2**32 for v, row in rows.items()}
    walkers = dict(zip(plan.order.tolist(), np.diff(plan.first_walkers).tolist(), strict=True))
    for start, end in zip(plan.bucket_offsets[:-1], plan.bucket_offsets[1:], strict=True):
        heads = plan.order[start:end].tolist()
        assert heads == sorted(heads, key=lambda v: (-round(fires[v] / walkers[v]), v))


def test_a_plan_is_as_described(graph: sp.csr_array) -> None:
    plan = build_plan(graph, OptimizerSpec(n_epochs=60))
    n, walkers = graph.shape[0], plan.heads.size
    described = {
        "order": (np.int32, n),
        "bucket_offsets": (np.int64, N_BUCKETS + 1),
        "first_walkers": (np.int64, n + 1),
        "heads": (np.int32, walkers),
        "row_offsets": (np.int64, walkers + 1),
        "tails": (np.int32, plan.n_edges),
        "rates": (np.uint32, plan.n_edges),
    }
    for name, (dtype, size) in described.items():
        assert (getattr(plan, name).dtype, getattr(plan, name).shape) == (dtype, (size,)), name
    assert plan.first_walkers[-1] == walkers
    assert plan.row_offsets[-1] == plan.n_edges
    assert (plan.n_epochs, plan.n_vertices, plan.pool_size) == (60, n, pool_size(n))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.n_epochs = 1  # type: ignore[misc]


@pytest.mark.parametrize(("degree", "walkers"), [(1, 1), (256, 1), (257, 2), (512, 2), (513, 3)])
def test_walkers_of_a_row(degree: int, walkers: int) -> None:
    plan = build_plan(graphs.star(degree + 1), OptimizerSpec())
    place = int(np.flatnonzero(plan.order == 0)[0])
    expected = np.ones(degree + 1, int)
    expected[place] = walkers
    np.testing.assert_array_equal(np.diff(plan.first_walkers), expected)


@pytest.mark.parametrize("longest", [4e-6, 4.0, 8.0, 1000.0, 4e6])
@pytest.mark.parametrize("crowd", [0, 1, 2, 10, 5000, 2**24])
def test_pulls_have_the_finest_unit_that_fits(crowd: int, longest: float) -> None:
    """One of the 31 bits is left for rounding."""
    exponent = pull_exponent(crowd, longest)
    largest = max(crowd, 1) * longest + 64
    assert 2**29 <= largest * 2.0**exponent < 2**30


def test_longest_step_is_the_clip() -> None:
    assert longest_step(OptimizerSpec(alpha=0.5)) == 2.0
    assert longest_step(OptimizerSpec(alpha=0.5, density_weight=1e-3)) == 4.0


def test_the_largest_crowd_of_all_parts_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore._kit.parallel.ROWS_PER_TASK", 64)
    spec = OptimizerSpec(alpha=100)
    plan = build_plan(graphs.star(3000), spec)
    hub = int(np.flatnonzero(plan.order == 0)[0])
    sizes = np.diff(plan.bucket_offsets)
    sizes[np.searchsorted(plan.bucket_offsets, hub, side="right") - 1] -= 1
    assert plan.pull_exponent == pull_exponent(int(sizes.max()), longest_step(spec))
    assert plan.pull_exponent < pull_exponent(1, longest_step(spec))


def test_hubs_have_the_place_of_one_of_their_walkers() -> None:
    """A hub that fires 2.8 times in an epoch, each of its two walkers half as often."""
    hub = graphs.star(301)
    hub.data[:] = 0.006
    graph = sp.csr_array(hub + graphs.path(301)).astype(np.float32)
    plan = build_plan(graph, OptimizerSpec())
    place = int(np.flatnonzero(plan.order == 0)[0])
    start, end = (plan.bucket_offsets[plan.bucket_offsets <= place][-1], place + 1)
    before = plan.order[start:place]
    assert before.size  # they fire twice
    assert (graph.sum(axis=1)[before] < 2.01).all()
    assert end in plan.bucket_offsets


def test_groups_are_few_and_nearly_equal() -> None:
    assert group_size(0) == 0
    for n in range(1, 1500):
        n_groups = math.ceil(n / 256)
        assert group_size(n) == 16 * math.ceil(n / n_groups / 16)


@pytest.mark.parametrize(
    ("n", "size"),
    [(1, 256), (1023, 256), (1024, 512), (2047, 512), (2048, 1024), (4096, 1024), (10**6, 1024)],
)
def test_size_of_the_pool(n: int, size: int) -> None:
    assert pool_size(n) == size


@pytest.mark.parametrize(
    "graph",
    [graphs.hub(1300), graphs.random_tree(6000), graphs.star(40)],
    ids=["hub", "tree", "star"],
)
def test_most_edges_of_a_group(graph: sp.csr_array) -> None:
    """A bucket of the tree has several groups."""
    plan = build_plan(graph, OptimizerSpec())
    most = 0
    for start, end in zip(plan.bucket_offsets[:-1], plan.bucket_offsets[1:], strict=True):
        walkers = range(plan.first_walkers[start], plan.first_walkers[end])
        size = group_size(len(walkers))
        for begin in range(0, len(walkers), max(size, 1)):
            group = walkers[begin : begin + size]
            most = max(most, sum(int(np.diff(plan.row_offsets)[w]) for w in group))
    assert most_edges_of_a_group(plan) == most > 0
    empty = build_plan(sp.csr_array((3, 3), dtype=np.float32), OptimizerSpec())
    assert most_edges_of_a_group(empty) == 0


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
    whole = build_plan(graphs.surface(400), OptimizerSpec())
    monkeypatch.setattr("umapcore._kit.parallel.ROWS_PER_TASK", 64)
    graph = graphs.surface(400)
    wide = graph.copy()
    wide.indices = wide.indices.astype(np.int64)
    wide.indptr = wide.indptr.astype(np.int64)
    plans = [build_plan(g, OptimizerSpec(), n_threads=k) for g in (graph, wide) for k in (1, 2)]
    plans.append(whole)
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
    assert 2**28 < most * 1.01 < 2**31


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_graphs_without_edges(n: int) -> None:
    plan = build_plan(sp.csr_array((n, n), dtype=np.float32), OptimizerSpec())
    assert plan.n_edges == 0
    assert plan.n_vertices == n
