"""Neighbours of points in Dask arrays, and what is computed of a reference once."""

from __future__ import annotations

import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

from tests.neighbors.test_query import points
from umapcore.neighbors import query
from umapcore.neighbors.query import Index, nearest


def assert_equal(found: Any, expected: Any) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.view(np.int32), theirs.view(np.int32))


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("euclidean", {}),
        ("sqeuclidean", {}),
        ("cosine", {}),
        ("correlation", {}),
        ("minkowski", {"p": 3}),
        ("seuclidean", {}),
    ],
)
@pytest.mark.parametrize("chunks", [1, (20, 0, 41)], ids=str)
def test_metrics(metric: str, options: dict[str, Any], chunks: Any) -> None:
    reference, new = points(300, 16), points(61, 16, 1)
    new[5], new[[17, 40]] = 2.0, 0.0  # without a direction for correlation, and for cosine
    for given in (reference, np.vstack([reference, np.zeros((1, 16))])):
        expected = nearest(given, new, 5, metric=metric, metric_kwds=options)
        lazy = da.from_array(new, chunks=(chunks, -1))
        found = nearest(given, lazy, 5, metric=metric, metric_kwds=options)
        assert all(array.shape == (61, 5) for array in found)
        assert_equal(dask.compute(*found), expected)


@pytest.mark.parametrize("size", [2.0**-60, 0.0])
def test_scales_of_other_points_do_not_matter(size: float) -> None:
    reference, new = points(50, 4) * size, points(24, 4, 1)
    new *= np.ldexp(1.0, -np.arange(24) * 3)[:, None]
    whole = nearest(reference, new, 3)
    alone = nearest(reference, da.from_array(new, chunks=(1, -1)), 3)
    assert_equal(dask.compute(*alone), whole)
    assert (whole[1] > 0).all()


def test_large_coordinates_are_refused_when_computed() -> None:
    found = nearest(points(9, 2), da.full((4, 2), 1e30, chunks=2), 3)
    with pytest.raises(ValueError, match="the representation has coordinates of up to 1e"):
        found[0].compute()
    with pytest.raises((ValueError, ImportError), match="metric='euclidian' "):
        nearest(points(9, 2), da.ones((4, 2)), 3, metric="euclidian")


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_reference_is_prepared_once(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    prepare = query.prepare
    monkeypatch.setattr(query, "prepare", lambda *given: made.append(1) or prepare(*given))
    index, new = Index(points(300, 7), 4, metric), points(40, 7, 1)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: index.nearest(new[i : i + 1]), range(40)))
    assert len(made) == 1
    expected = nearest(points(300, 7), new, 4, metric=metric)
    assert_equal([np.concatenate(parts) for parts in zip(*found, strict=True)], expected)
    again = pickle.loads(pickle.dumps(index))
    assert len(pickle.dumps(index)) < 2 * 300 * 7 * 4
    assert_equal(again.nearest(new), expected)


def test_a_reference_is_freed_at_once() -> None:
    index = Index(points(300, 7), 4)
    index.nearest(points(2, 7))
    kept = weakref.ref(index)
    del index
    assert kept() is None, "only the garbage collector would free what it has prepared"
