"""New points whose neighbours are in Dask arrays: bits as in memory, and nothing too early."""

from __future__ import annotations

import pickle
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

from tests.layout.test_transform import assert_equal_bits, case
from umapcore import OptimizerSpec, place


def blocks(chunks: Any, *arrays: np.ndarray) -> list[Any]:
    return [da.from_array(array, chunks=(chunks, 3)) for array in arrays]


def with_gaps(d: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a case with points that have few neighbours, or none, and unsorted ones."""
    reference, indices, distances = case(d=d)
    indices, distances = indices.copy(), distances.copy()
    indices[::7, 4:], indices[[3, 40]] = -1, -1
    indices[20], distances[20] = indices[20, ::-1], distances[20, ::-1].copy()
    return reference, indices, distances


def never() -> Any:
    """Make neighbours that must not be computed."""

    def fail(block: np.ndarray) -> np.ndarray:
        pytest.fail("computed too early")

    return da.zeros((90, 7), int, chunks=(20, 7)).map_blocks(fail, meta=np.empty((0, 0), int))


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("chunks", [1, 37, 90, (0, 50, 0, 31, 9)], ids=str)
def test_bits(d: int, chunks: Any) -> None:
    reference, *neighbours = with_gaps(d)
    spec = OptimizerSpec(seed=3)
    expected = place(reference, *neighbours, spec)
    assert np.isnan(expected[[3, 40]]).all()
    placed = place(reference, *blocks(chunks, *neighbours), spec)
    assert placed.chunks == (blocks(chunks, *neighbours)[0].chunks[0], (d,))
    assert (placed.shape, placed.dtype) == ((90, d), np.float32)
    for scheduler in ("synchronous", "threads"):
        assert_equal_bits(placed.compute(scheduler=scheduler), expected)
    assert_equal_bits(placed[33:47].compute(scheduler="synchronous"), expected[33:47])


def test_options() -> None:
    reference, *neighbours = case()
    for options in ({"n_epochs": 0}, {"n_epochs": 7, "n_threads": 2}):
        placed = place(reference, *blocks(20, *neighbours), progress=True, **options)
        assert_equal_bits(placed.compute(), place(reference, *neighbours, **options))


def test_one_of_both_in_memory() -> None:
    reference, indices, distances = case()
    expected = place(reference, indices, distances)
    (lazy_indices,), (lazy_distances,) = blocks(31, indices), blocks(13, distances)
    for given in (
        (lazy_indices, distances.tolist()),
        (indices, lazy_distances),
        (lazy_indices, lazy_distances),
    ):
        placed = place(da.from_array(reference, chunks=100), *given)
        assert placed.chunks[0] == (given[0] if given[0] is lazy_indices else given[1]).chunks[0]
        assert_equal_bits(placed.compute(), expected)


def test_blocks_of_unknown_length() -> None:
    reference, indices, distances = case()
    kept = np.arange(90) % 4 > 0
    lazy = [array[da.from_array(kept, chunks=25)] for array in blocks(25, indices, distances)]
    assert np.isnan(lazy[0].shape[0])
    placed = place(reference, *lazy)
    assert_equal_bits(placed.compute(), place(reference, indices, distances)[kept])
    for other in (distances[kept], blocks(25, distances[kept])[0]):
        with pytest.raises(ValueError, match="knn_distances and knn_indices have blocks of unknow"):
            place(reference, lazy[0], other)
    shorter = da.from_array(distances[:80], chunks=(25, -1))
    with pytest.raises(ValueError, match=r"shape \(\d+, 7\) and knn_distances \(\d+, 7\)"):
        place(reference, lazy[0], shorter).compute()


def test_the_reference_is_in_the_graph_once() -> None:
    rng = np.random.default_rng(0)
    reference, *neighbours = rng.random((40_000, 2), np.float32), *case()[1:]
    placed = place(reference, *blocks(1, *neighbours))
    assert placed.name == place(reference, *blocks(1, *neighbours)).name
    assert placed.name != place(reference + 1, *blocks(1, *neighbours)).name
    for graph in (placed.__dask_graph__(), dask.optimize(placed)[0].__dask_graph__()):
        assert len(pickle.dumps(dict(graph))) < 2 * reference.nbytes


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"knn_indices": never() * 1.5}, "knn_indices has dtype float64: .*integers"),
        ({"knn_distances": never().astype(str)}, "knn_distances has dtype <U.*real numbers"),
        ({"knn_indices": never()[0]}, r"knn_indices has shape \(7,\)"),
        ({"knn_indices": never()[:, :6]}, r"shape \(90, 6\) and knn_distances \(90, 7\)"),
        ({"knn_distances": never()[:80]}, "knn_distances has 80 rows and knn_indices 90"),
        (
            {"knn_indices": never()[:, :0], "knn_distances": never()[:, :0]},
            r"knn_indices has shape \(90, 0\): there are no neighbours in it",
        ),
        ({"n_threads": 0}, "n_threads=0"),
        ({"method": "cuda"}, "method='cuda'"),
        ({"reference_embedding": np.full((3, 2), np.nan)}, "reference_embedding has 3 rows that"),
    ],
)
def test_bad_at_once(changes: dict[str, Any], says: str) -> None:
    given = {"reference_embedding": case()[0], "knn_indices": never(), "knn_distances": never()}
    with pytest.raises((ValueError, TypeError), match=says):
        place(**(given | changes))


@pytest.mark.parametrize(
    ("index", "distance", "says"),
    [
        (300, 0.5, "knn_indices has entries outside of 0 to 299"),
        (5, -1.0, "knn_distances has entries that are NaN or negative"),
        (5, np.nan, "knn_distances has entries that are NaN or negative"),
    ],
)
def test_bad_when_computed(index: int, distance: float, says: str) -> None:
    reference, indices, distances = case()
    indices[70, -1], distances[70, -1] = index, distance
    placed = place(reference, *blocks(30, indices, distances))
    assert np.isfinite(placed[:60].compute()).all()
    with pytest.raises(ValueError, match=says):
        placed.compute()


def test_cluster() -> None:
    distributed = pytest.importorskip("distributed")
    reference, *neighbours = case()
    options = {"processes": False, "dashboard_address": ":0", "n_workers": 2}
    with (
        distributed.LocalCluster(threads_per_worker=2, **options) as cluster,
        distributed.Client(cluster),
    ):
        placed = place(reference, *blocks(11, *neighbours)).compute()
    assert_equal_bits(placed, place(reference, *neighbours))
