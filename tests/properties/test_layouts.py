"""Layouts of any graph from any start: finite, repeatable, and nothing that was given changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies as some
from tests.support.fingerprint import fingerprint
from tests.support.refusals import refused_by_name
from umapcore import OptimizerSpec, simplicial_set_embedding

ARGUMENTS = ("graph", "init", "spec", "distances", "representation", "metric", "n_components")


def lay_out(graph: Any, spec: OptimizerSpec, n_threads: int = 1, **options: Any) -> np.ndarray:
    return simplicial_set_embedding(graph, spec, progress=False, n_threads=n_threads, **options)


def check(found: np.ndarray, n: int, d: int) -> None:
    assert found.shape == (n, d)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert np.isfinite(found).all()


@given(st.data(), some.graphs(), some.parameters())
def test_good_graphs(data: st.DataObject, graph: Any, changes: dict[str, Any]) -> None:
    spec = OptimizerSpec(**changes)
    n, d = graph.shape[0], spec.n_components
    init = data.draw(st.one_of(st.sampled_from(["spectral", "random"]), some.positions(n, d)))
    before = fingerprint((graph, init))
    found = lay_out(graph, spec, init=init)
    check(found, n, d)
    np.testing.assert_array_equal(lay_out(graph, spec, 2, init=init), found)
    canonical = sp.csr_array(graph).astype(np.float32)
    np.testing.assert_array_equal(lay_out(canonical, spec, init=init), found)
    assert fingerprint((graph, init)) == before


@given(
    some.hostile_graphs(), some.parameters(most_epochs=2), st.sampled_from(["spectral", "random"])
)
def test_any_graph(graph: Any, changes: dict[str, Any], init: str) -> None:
    before = fingerprint(graph)
    spec = OptimizerSpec(**changes)
    with refused_by_name(*ARGUMENTS) as refusals:
        found = lay_out(graph, spec, init=init)
    if not refusals:
        check(found, len(graph) if isinstance(graph, list) else graph.shape[0], spec.n_components)
    assert fingerprint(graph) == before


@given(st.data(), some.graphs(2, 20), st.sampled_from([1, 2, 3]))
def test_any_start(data: st.DataObject, graph: Any, d: int) -> None:
    init = data.draw(some.hostile_positions(graph.shape[0], d))
    before = fingerprint(init)
    with refused_by_name("init") as refusals:
        found = lay_out(graph, OptimizerSpec(n_components=d, n_epochs=2), init=init)
    if not refusals:
        check(found, graph.shape[0], d)
    assert fingerprint(init) == before


@given(some.graphs(2, 30), some.hostile_graphs(), st.sampled_from([1e-3, 2.0, 1e6]))
def test_any_distances(graph: Any, distances: Any, weight: float) -> None:
    before = fingerprint(distances)
    spec = OptimizerSpec(n_epochs=4, density_weight=weight, density_fraction=0.6)
    with refused_by_name("distances", "density_weight") as refusals:
        found = lay_out(graph, spec, distances=distances)
    if not refusals:
        check(found, graph.shape[0], 2)
    assert fingerprint(distances) == before


@given(some.graphs(2, 30), some.SEEDS, st.sampled_from([1e-300, 1e-30, 1.0, 1e18, 1e30, 1e300]))
def test_distances_of_any_scale(graph: Any, seed: int, scale: float) -> None:
    distances = sp.csr_array(graph).astype(np.float64)
    distances.data = np.random.default_rng(seed).random(distances.nnz) * scale
    spec = OptimizerSpec(n_epochs=4, density_weight=2, density_fraction=1)
    with refused_by_name("distances"):
        found = lay_out(graph, spec, distances=distances)
        check(found, graph.shape[0], 2)
        np.testing.assert_array_equal(lay_out(graph, spec, 2, distances=distances), found)


@given(st.data(), some.graphs(2, 40))
def test_any_representation(data: st.DataObject, graph: Any) -> None:
    given_ = data.draw(some.hostile_positions(graph.shape[0], 4))
    before = fingerprint(given_)
    with refused_by_name("representation") as refusals:
        found = lay_out(graph, OptimizerSpec(n_epochs=1), representation=given_)
    if not refusals:
        check(found, graph.shape[0], 2)
    assert fingerprint(given_) == before


@given(
    st.sampled_from(
        ["init", "metric", "method", "n_threads", "progress", "callback", "callback_every",
         "snapshots", "start_epoch", "stop_epoch", "timings", "spec", "distances"]
    ),
    some.anything(),
)  # fmt: skip
def test_any_option(name: str, value: Any) -> None:
    graph = sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(8, 8))
    if name == "callback" and value is object:
        return  # it is a function, which fails
    options = {"spec": OptimizerSpec(n_epochs=3), "progress": False} | {name: value}
    with refused_by_name(name, "init") as refusals:
        found = simplicial_set_embedding(graph, **options)
    if not refusals:
        assert np.isfinite(found).all()
