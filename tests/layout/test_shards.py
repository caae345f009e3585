"""A layout in shards has the bits of one thread, for any number and sizes of shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import density_cases, graphs
from tests.support.shards import KINDS, run_shards
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of
from umapcore.layout.plan import build_plan
from umapcore.layout.shards import cut
from umapcore_numba.layout.layout import NumbaLayout

if TYPE_CHECKING:
    from scipy import sparse

#: Buckets have one to two groups of heads. A hub has 25 walkers or more.
GRAPHS = {
    "surface": graphs.surface(5000),
    "clusters": graphs.clusters(1500, 4),
    "grid": graphs.random_weights(graphs.grid(50, 60)),
    "hub": graphs.hub(6500, 3),
}
#: Sizes of the shards; one of them has hardly anything to do.
SHARES = {1: [1], 2: [1, 2], 3: [3, 0.001, 2], 8: [1, 2, 1, 2, 1, 2, 1, 2]}
EPOCHS = 7


def same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("density_weight", [0.0, 2.0], ids=["", "densities"])
def test_same_bits(name: str, n_components: int, density_weight: float) -> None:
    graph = prepare_graph(GRAPHS[name])
    spec = OptimizerSpec(
        n_components=n_components, n_epochs=EPOCHS, density_weight=density_weight,
        density_fraction=0.5,
    )  # fmt: skip
    plan, start = build_plan(graph, spec), graphs.random_start(graph.shape[0], n_components)
    density = None
    if density_weight:
        density = density_of(graph, density_cases.of_graph(graph), spec)
    alone = NumbaLayout(plan, start, spec, 1, density)
    alone.advance(1, EPOCHS)
    wanted = alone.positions()
    assert not np.array_equal(wanted, start)
    for kind in KINDS[:2]:
        for n_shards, shares in SHARES.items():
            found = run_shards(
                kind, shares, plan, start, spec, density=density, spans=[(1, 3), (3, EPOCHS)],
                n_workers=2 if n_shards == 3 else 1,
            )  # fmt: skip
            for positions in found:
                same_bits(positions, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_other_dimensions_and_many_threads(kind: str) -> None:
    """More threads than have pulls of their own."""
    graph = prepare_graph(GRAPHS["hub"])
    for n_components, n_workers in ((1, 1), (10, 12)):
        spec = OptimizerSpec(n_components=n_components, n_epochs=4)
        plan, start = build_plan(graph, spec), graphs.random_start(graph.shape[0], n_components)
        alone = NumbaLayout(plan, start, spec, 1)
        alone.advance(1, 4)
        for positions in run_shards(kind, [1, 1], plan, start, spec, n_workers=n_workers):
            same_bits(positions, alone.positions())


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("shares", SHARES.values(), ids=map(str, SHARES))
def test_shards_are_a_partition(name: str, shares: list[float]) -> None:
    graph: sparse.csr_array = prepare_graph(GRAPHS[name])
    plan = build_plan(graph, OptimizerSpec(n_epochs=200))
    shards = list(cut(plan, shares))
    assert len(shards) == len(shares)
    for bucket in range(plan.n_buckets):
        first, last = plan.first_walkers[plan.bucket_offsets[bucket : bucket + 2]]
        walkers = shards[0].walkers[bucket]
        assert walkers[0] == first
        assert walkers[-1] == last
        assert (np.diff(walkers) >= 0).all()
    counts = sum(np.diff(shard.plan.row_offsets) for shard in shards)
    np.testing.assert_array_equal(counts, np.diff(plan.row_offsets))
    for shard in shards:
        for bucket, (first, last) in enumerate(shard.plan.own_walkers):
            assert [first, last] == list(shard.walkers[bucket, shard.number : shard.number + 2])
            mine = slice(*shard.plan.row_offsets[[first, last]])
            whole = slice(*plan.row_offsets[[first, last]])
            np.testing.assert_array_equal(shard.plan.tails[mine], plan.tails[whole])
            np.testing.assert_array_equal(shard.plan.rates[mine], plan.rates[whole])
    places = shards[0].places
    assert [places[0], places[-1]] == [0, plan.n_vertices]
    assert (np.diff(places) >= 0).all()


def test_work_is_divided_as_asked_for() -> None:
    """Also where a bucket has fewer groups than there are shards."""
    plan = build_plan(prepare_graph(graphs.surface(4000)), OptimizerSpec(n_epochs=200))
    edges = np.array([shard.plan.n_edges for shard in cut(plan, [1, 1, 2, 4])])
    np.testing.assert_allclose(edges / plan.n_edges, [1 / 8, 1 / 8, 1 / 4, 1 / 2], atol=0.06)
