"""Weights between neighbours, and new points among old ones, for any input."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support import neighbors_oracle as oracle
from tests.support import strategies as some
from tests.support.fingerprint import fingerprint
from tests.support.refusals import refused_by_name
from umapcore import OptimizerSpec, fuzzy_simplicial_set, place
from umapcore.neighbors import partitions
from umapcore.neighbors.search import nearest_neighbors

KNN = ("knn_indices", "knn_distances")


@st.composite
def neighbours(draw: st.DrawFn, n_reference: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Rows by increasing distance, some of them shorter, with ties and coincident points."""
    n = draw(st.integers(1, 40))
    among = n if n_reference is None else n_reference
    k = draw(st.integers(1, min(12, among)))
    rng = np.random.default_rng(draw(some.SEEDS))
    indices = np.stack([rng.permutation(among)[:k] for _ in range(n)])
    distances = np.sort(rng.random((n, k)), axis=1) * draw(st.sampled_from([1, 1e-30, 1e30]))
    distances[rng.random((n, k)) < draw(st.sampled_from([0.0, 0.3]))] = distances[0, 0]
    distances = np.sort(distances, axis=1)
    if n_reference is None and draw(st.booleans()):  # each row begins with the vertex itself
        indices = np.stack([np.r_[i, row[row != i][: k - 1]][:k] for i, row in enumerate(indices)])
        distances[:, 0] = 0
    missing = k - rng.integers(0, k + 1, n) if draw(st.booleans()) else np.full(n, k)
    gone = np.arange(k) >= missing[:, None]
    return np.where(gone, -1, indices), np.where(gone, np.inf, distances).astype("f4")


@st.composite
def hostile_neighbours(draw: st.DrawFn) -> tuple[Any, Any]:
    indices, distances = draw(neighbours())
    damage = draw(st.sampled_from(["index", "distance", "shape", "odd indices", "odd distances"]))
    rng = np.random.default_rng(draw(some.SEEDS))
    if damage == "index":
        nasty = draw(st.sampled_from([-2, len(indices), 2**31, 2**62, -(2**63), 0]))
        indices = indices.astype(np.int64)
        indices.flat[rng.integers(indices.size)] = nasty
    elif damage == "distance":
        distances = distances.astype(draw(st.sampled_from(["f8", "g", "c16", object])))
        distances.flat[rng.integers(distances.size)] = draw(st.sampled_from(some.NASTY))
        if distances.dtype.kind == "f" and draw(st.booleans()):
            with np.errstate(all="ignore"):
                distances = distances.astype(draw(st.sampled_from(["f4", "f2", "U9"])))
    elif damage == "shape":
        distances = draw(st.sampled_from([distances[:-1], distances[0], distances[..., None]]))
    elif damage == "odd indices":
        return draw(st.sampled_from([*some.ODD, indices + 0.5, indices.astype("U9")])), distances
    else:
        return indices, draw(st.sampled_from(some.ODD))
    return indices, distances


@given(neighbours(), st.sampled_from([1.0, 0.0, 0.3]), st.sampled_from([1.0, 0.0, 2.5, 100.0]))
def test_weights(knn: tuple[Any, Any], mix: float, connectivity: float) -> None:
    before = fingerprint(knn)
    options = {"set_op_mix_ratio": mix, "local_connectivity": connectivity}
    graph = fuzzy_simplicial_set(*knn, n_threads=1, **options)
    n = len(knn[0])
    assert graph.shape == (n, n)
    assert graph.data.dtype == np.float32
    assert graph.has_canonical_format
    assert (graph.data > 0).all()
    assert (graph.data <= 1).all()
    assert graph.diagonal().sum() == 0
    np.testing.assert_array_equal(graph.toarray(), graph.toarray().T)
    again = fuzzy_simplicial_set(*knn, n_threads=2, **options)
    assert fingerprint(again) == fingerprint(graph)
    assert fingerprint(knn) == before


@given(hostile_neighbours())
def test_any_neighbours(knn: tuple[Any, Any]) -> None:
    before = fingerprint(knn)
    with refused_by_name(*KNN):
        graph = fuzzy_simplicial_set(*knn)
        assert np.isfinite(graph.data).all()
        assert (graph.data > 0).all()
    assert fingerprint(knn) == before


@given(
    st.sampled_from(["n_neighbors", "set_op_mix_ratio", "local_connectivity", "n_threads"]),
    some.anything(),
)
def test_any_option_of_weights(name: str, value: Any) -> None:
    indices = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]])
    distances = np.array([[0.0, 1, 2]] * 3)
    with refused_by_name(name):
        graph = fuzzy_simplicial_set(indices, distances, **{name: value})
        assert np.isfinite(graph.data).all()


@st.composite
def coordinates(draw: st.DrawFn) -> np.ndarray:
    """Points of any scale, some of them far away, some alike, some coordinates constant."""
    n, p = draw(st.integers(2, 70)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(some.SEEDS))
    points = rng.normal(size=(n, p)) + draw(st.sampled_from([0.0, 1e4]))
    if draw(st.booleans()):  # ties
        points = np.round(points)
    points[rng.random(n) < draw(st.sampled_from([0.0, 0.5, 1.0]))] = points[0]
    points[rng.random(n) < draw(st.sampled_from([0.0, 0.1]))] *= draw(st.sampled_from([1e3, 1e6]))
    points[:, rng.random(p) < draw(st.sampled_from([0.0, 0.5]))] = 0.25
    return (points * draw(st.sampled_from([1.0, 1e-9, 1e6]))).astype(np.float32)


@given(st.data(), coordinates())
def test_searches(data: st.DataObject, points: np.ndarray) -> None:
    k = data.draw(st.integers(2, len(points)))
    before = fingerprint(points)
    exact = nearest_neighbors(points, k, exact=True, n_threads=1)
    lists = oracle.exact(points, k - 1)
    expected = [[i, *(j for _, j in row)] for i, row in enumerate(lists)]
    assert exact.indices.tolist() == expected
    squares = np.array([[0.0, *(length for length, _ in row)] for row in lists], np.float32)
    np.testing.assert_array_equal(exact.distances, np.sqrt(squares))
    options = {"seed": data.draw(st.integers(0, 2**64 - 1)), "accuracy": 0.3, "exact": False}
    with mock.patch.object(partitions, "LEAF", data.draw(st.integers(1, 20))):
        found = nearest_neighbors(points, k, n_threads=1, **options)
        again = nearest_neighbors(points, k, n_threads=3, **options)
    assert fingerprint(again) == fingerprint(found)
    assert (found.distances[:, 1:] >= found.distances[:, :-1]).all()
    assert (found.distances >= exact.distances).all()
    assert all(len(set(row.tolist())) == k for row in found.indices)
    assert found.indices.min() >= 0
    assert fingerprint(points) == before


@given(st.data(), st.integers(1, 30), some.parameters())
def test_placement(data: st.DataObject, n_reference: int, changes: dict[str, Any]) -> None:
    spec = OptimizerSpec(**changes)
    reference = data.draw(some.positions(n_reference, spec.n_components))
    reference = np.clip(reference, -1e6, 1e6)
    knn = data.draw(neighbours(n_reference))
    before = fingerprint((reference, knn))
    found = place(reference, *knn, spec, n_epochs=4, n_threads=1, progress=False)
    assert found.dtype == np.float32
    assert found.shape == (len(knn[0]), reference.shape[1])
    alone = (knn[0] < 0).all(axis=1)
    assert np.isnan(found[alone]).all()
    assert np.isfinite(found[~alone]).all()
    again = place(reference, *knn, spec, n_epochs=4, n_threads=2, progress=False)
    np.testing.assert_array_equal(again, found)
    # Each position depends on its own row alone.
    some_rows = slice(0, None, 2)
    parts = [part[some_rows] for part in knn]
    part = place(reference, *parts, spec, n_epochs=4, progress=False)
    np.testing.assert_array_equal(part, found[some_rows])
    assert fingerprint((reference, knn)) == before


@given(st.data(), hostile_neighbours())
def test_any_placement(data: st.DataObject, knn: tuple[Any, Any]) -> None:
    n = len(knn[0]) if isinstance(knn[0], np.ndarray) and knn[0].ndim else 3
    reference = data.draw(st.one_of(some.positions(n, 2), some.hostile_positions(n, 2)))
    before = fingerprint((reference, knn))
    with refused_by_name("reference_embedding", *KNN):
        found = place(reference, *knn, n_epochs=2, progress=False)
        alone = ((np.asarray(knn[0]) < 0) | np.isinf(np.asarray(knn[1], "f4"))).all(axis=1)
        assert np.isfinite(found[~alone]).all()
    assert fingerprint((reference, knn)) == before


@given(st.sampled_from(["spec", "n_epochs", "method", "n_threads", "progress"]), some.anything())
def test_any_option_of_placement(name: str, value: Any) -> None:
    square = np.array([[0, 0], [0, 9], [9, 0], [9, 9]])
    options = {"n_epochs": 2, "progress": False} | {name: value}
    if name == "n_epochs" and isinstance(value, (int, float)) and value > 1e4:
        return  # would take long
    with refused_by_name(name):
        found = place(square, [[0, 1], [3, 2]], [[1.0, 1.0], [0.0, 2.0]], **options)
        assert np.isfinite(found).all()
