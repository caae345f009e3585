"""Edges fire as often as their weights say, evenly over the run, up to its last epochs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support.significance import FALSE_ALARM, of_normals
from umapcore import OptimizerSpec
from umapcore.layout.plan import EdgePlan, build_plan

N = 90


@pytest.fixture(scope="module")
def graph() -> sp.csr_array:
    """Complete graph; weights between 0 and 1, some of them simple fractions."""
    rng = np.random.default_rng(0)
    weights = rng.random((N, N)) ** 2
    simple = [1 / k for k in range(1, 12)] + [2 / 3, 3 / 4, 0.999999, 2**-8]
    weights[: len(simple), 20] = simple
    upper = np.triu(weights, 1).astype(np.float32)
    return sp.csr_array(upper + upper.T)


def fires(plan: EdgePlan) -> np.ndarray:
    """Whether each edge fires in each epoch, from the definition: edges × epochs 0 … E - 1."""
    t = np.arange(plan.n_epochs, dtype=np.uint32)
    with np.errstate(over="ignore"):
        fired = t * plan.rates[:, None] < plan.rates[:, None]
    fired[:, 0] = False  # layouts begin with epoch 1
    return fired


@pytest.mark.parametrize("n_epochs", [11, 50, 200, 500, 1000])
def test_every_stretch_of_a_run_has_its_share(graph: sp.csr_array, n_epochs: int) -> None:
    plan = build_plan(graph, OptimizerSpec(n_epochs=n_epochs))
    weights = plan.rates / 2.0**32
    fired = fires(plan)
    up_to = np.cumsum(fired, axis=1)
    expected = weights[:, None] * np.arange(n_epochs)
    # Never ahead, and less than one fire behind: after any epoch, so in the last ones too.
    assert (up_to <= expected).all()
    assert (up_to > expected - 1).all()
    whole = up_to[:, -1]
    np.testing.assert_array_equal(whole, ((n_epochs - 1) * plan.rates.astype(np.uint64)) >> 32)
    for stretch in (10, n_epochs // 3, n_epochs // 2):
        last = fired[:, n_epochs - stretch :].sum(axis=1)
        assert np.abs(last - weights * stretch).max() < 1


def test_fires_of_an_edge_are_evenly_spread(graph: sp.csr_array) -> None:
    plan = build_plan(graph, OptimizerSpec(n_epochs=500))
    for row in fires(plan):
        gaps = np.diff(np.flatnonzero(row))
        assert gaps.size == 0 or np.ptp(gaps) <= 1


def test_rates_are_the_weights(graph: sp.csr_array) -> None:
    plan = build_plan(graph, OptimizerSpec(n_epochs=500))
    head = np.repeat(plan.order[plan.heads], np.diff(plan.row_offsets))
    weights = graph.toarray()[head, plan.order[plan.tails]].astype(float)
    relative = weights / float(graph.data.max())
    assert np.abs(plan.rates / 2.0**32 - relative).max() <= 2.0**-32
    np.testing.assert_array_equal(
        plan.rates, np.minimum(relative * 2.0**32, 2**32 - 1).astype("u4")
    )


def test_no_epoch_is_crowded(graph: sp.csr_array) -> None:
    """All edges start in step; weights without a pattern are soon out of step."""
    n_epochs = 500
    plan = build_plan(graph, OptimizerSpec(n_epochs=n_epochs))
    weights = plan.rates / 2.0**32
    per_epoch = fires(plan)[:, n_epochs // 5 :].sum(axis=0)
    # Both directions of an edge fire together.
    z = (per_epoch - weights.sum()) / np.sqrt(2 * (weights * (1 - weights)).sum())
    assert of_normals(z) > FALSE_ALARM
