"""UMAP's weights of given neighbours: umap-learn's to 1e-5, the same bits on all threads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import umapcore as uc
from umapcore._kit.exp64 import exp_of_minus
from umapcore._kit.jit import kernel
from umapcore._kit.simd import load, store
from umapcore.neighbors.exact import exact_knn

REFERENCE = Path(__file__).parents[1] / "data" / "fuzzy_reference.npz"


def neighbours(n: int = 300, k: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(seed).normal(size=(n, 5)).astype(np.float32)
    return tuple(exact_knn(points, k))


def bits(graph: Any) -> tuple[bytes, ...]:
    return tuple(part.tobytes() for part in (graph.data, graph.indices, graph.indptr))


@kernel()
def _exp_all(values: Any, out: Any) -> None:
    for at in range(np.uint64(0), np.uint64(values.shape[0]), np.uint64(8)):
        store(out, at, exp_of_minus(load(values, at)))


def test_exponential() -> None:
    values = np.concatenate([np.linspace(0, 40, 9006), [600.0, 699.9]])
    found = np.empty_like(values)
    _exp_all(values, found)
    np.testing.assert_allclose(found, np.exp(-values), rtol=1e-12)
    limits = np.empty(8)
    _exp_all(np.array([np.inf, 0.0] * 4), limits)
    assert (limits[::2] > 0).all()
    assert (limits[::2] < 1e-300).all()
    assert (limits[1::2] == 1.0).all()


@pytest.mark.parametrize("number", range(4))
def test_agrees_with_umap_learn(number: int) -> None:
    """Stored: doubles, a far point, other connectivities and mixtures."""
    stored = np.load(REFERENCE)
    mix, connectivity = stored[f"case{number}"]
    n = stored["indices"].shape[0]
    at = (stored[f"row{number}"], stored[f"col{number}"])
    expected = sparse.csr_array((stored[f"weight{number}"], at), shape=(n, n))
    found = uc.fuzzy_simplicial_set(
        stored["indices"],
        stored["distances"],
        set_op_mix_ratio=mix,
        local_connectivity=connectivity,
    )
    assert abs(found - expected).max() < 1e-5
    assert expected.nnz * 0.9 < found.nnz <= expected.nnz


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize("k", [2, 5, 30, 60])
def test_agrees_with_installed_umap_learn(k: int, scale: float) -> None:
    umap_ = pytest.importorskip("umap.umap_", reason="umap-learn is not installed")
    indices, distances = neighbours(400, k)
    distances = distances * np.float32(scale)
    expected = umap_.fuzzy_simplicial_set(
        sparse.coo_matrix((400, 1)), k, None, None, knn_indices=indices, knn_dists=distances
    )[0]
    assert abs(uc.fuzzy_simplicial_set(indices, distances) - expected.tocsr()).max() < 1e-5


def test_weights_sum_to_log2_of_k() -> None:
    """Of each row's own view, which the intersection with a full view leaves."""
    indices, distances = neighbours()
    graph = uc.fuzzy_simplicial_set(indices, distances)
    for i in (0, 17, 299):
        d = distances[i, 1:].astype(float)
        low, high = 1e-9, 1e9
        for _ in range(200):
            sigma = math.sqrt(low * high)
            total = np.exp(-(d - d[0]) / sigma).sum()
            low, high = (sigma, high) if total < math.log2(12) else (low, sigma)
        own = np.exp(-(d - d[0]) / sigma)
        both = graph[[i], :].toarray().ravel()[indices[i, 1:]]
        assert (both >= own - 1e-6).all()
        alone = np.array([i not in indices[j] for j in indices[i, 1:]])
        np.testing.assert_allclose(both[alone], own[alone], atol=1e-6)


def test_same_bits_on_any_number_of_threads() -> None:
    indices, distances = neighbours(9000, 10)
    found = {
        bits(uc.fuzzy_simplicial_set(indices, distances, n_threads=n)) for n in (None, 1, 2, 3)
    }
    assert len(found) == 1


def test_result_is_canonical_and_symmetric() -> None:
    graph = uc.fuzzy_simplicial_set(*neighbours())
    assert graph.dtype == np.float32
    assert graph.indices.dtype == np.int32
    assert (abs(graph - graph.T)).nnz == 0
    assert graph.diagonal().max() == 0
    assert 0 < graph.data.min() <= graph.data.max() <= 1
    checked = sparse.csr_array((graph.data, graph.indices, graph.indptr))
    assert checked.has_canonical_format


def test_order_within_a_row_does_not_matter(rng: np.random.Generator) -> None:
    indices, distances = neighbours()
    expected = bits(uc.fuzzy_simplicial_set(indices, distances))
    order = rng.permuted(np.tile(np.arange(12), (300, 1)), axis=1)
    mixed = [np.take_along_axis(part, order, axis=1) for part in (indices, distances)]
    assert bits(uc.fuzzy_simplicial_set(*mixed)) == expected
    # int64, float64, lists, and rows without the vertex itself
    assert bits(uc.fuzzy_simplicial_set(indices.astype(int), distances.astype(float))) == expected
    assert bits(uc.fuzzy_simplicial_set(indices[:, 1:], distances[:, 1:])) == expected
    assert bits(uc.fuzzy_simplicial_set(indices.tolist(), distances.tolist())) == expected


def test_input_is_left_alone() -> None:
    indices, distances = neighbours()
    before = indices.tobytes(), distances.tobytes()
    indices.flags.writeable = distances.flags.writeable = False
    uc.fuzzy_simplicial_set(indices, distances)
    uc.fuzzy_simplicial_set(indices[::-1][:, 1:], distances[:, 1:])
    assert (indices.tobytes(), distances.tobytes()) == before


def test_missing_neighbours() -> None:
    indices, distances = (part.copy() for part in neighbours())
    indices[3, 5:] = -1
    distances[3, 5:] = np.inf
    distances[8, 7:] = np.inf
    graph = uc.fuzzy_simplicial_set(indices, distances)
    assert np.isfinite(graph.data).all()
    own_far = set(indices[8, 7:]) - {j for j in range(300) if 8 in indices[j]}
    assert own_far
    assert all(graph[8, j] == 0 for j in own_far)


def test_coinciding_points() -> None:
    graph = uc.fuzzy_simplicial_set(*exact_knn(np.ones((30, 2), np.float32), 5))
    assert (graph.data == 1).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_points(n: int) -> None:
    knn = exact_knn(np.arange(n, dtype=np.float32)[:, None], n)
    graph = uc.fuzzy_simplicial_set(*knn)
    assert graph.shape == (n, n)
    assert (graph.nnz > 0) == (n > 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"knn_indices": [[0, 5], [1, 0]]},
            ValueError,
            "knn_indices has entries outside of 0 to 1",
        ),
        ({"knn_indices": [[0, 2**32], [1, 0]]}, ValueError, "outside of 0 to 1"),
        ({"knn_indices": [[0.5, 1], [1, 0]]}, TypeError, "knn_indices .*matrix of integers"),
        ({"knn_indices": [0, 1]}, ValueError, r"shape \(2,\)"),
        ({"knn_indices": [[0, 1]]}, ValueError, r"shape \(1, 2\) and knn_distances \(2, 2\)"),
        ({"knn_indices": [[0], [1, 0]]}, TypeError, "knn_indices"),
        ({"knn_distances": [[0, np.nan], [0, 1]]}, ValueError, "NaN or negative"),
        ({"knn_distances": [[0, -1], [0, 1]]}, ValueError, "NaN or negative"),
        ({"knn_distances": [["a", "b"], ["c", "d"]]}, TypeError, "knn_distances"),
        ({"set_op_mix_ratio": 2}, ValueError, "set_op_mix_ratio=2"),
        ({"local_connectivity": -1}, ValueError, "local_connectivity=-1"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors=0"),
        ({"n_threads": 0}, ValueError, "n_threads=0"),
    ],
)
def test_bad_values(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"knn_indices": [[0, 1], [1, 0]], "knn_distances": [[0.0, 1.0], [0.0, 1.0]]}
    with pytest.raises(error, match=message):
        uc.fuzzy_simplicial_set(**given | change)


def test_same_neighbour_twice() -> None:
    with pytest.raises(ValueError, match="same neighbour twice in row 2"):
        uc.fuzzy_simplicial_set([[0, 1, 2], [1, 0, 2], [2, 0, 0]], [[0.0, 1, 2]] * 3)
