"""Points and neighbours of very small and very large numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from umapcore import fuzzy_simplicial_set
from umapcore.neighbors.directions import directions
from umapcore.neighbors.query import checked_neighbours, nearest
from umapcore.neighbors.search import nearest_neighbors


def points(n: int = 150) -> Any:
    """Coordinates that may be multiplied by any power of two without rounding."""
    drawn = np.random.default_rng(0).integers(-(2**12), 2**12, size=(n, 4))
    return (drawn / 2**12).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
@pytest.mark.parametrize("exponent", [-120, -60, -45, -30, 20, 60, 120])
def test_neighbours_do_not_depend_on_the_scale(form: Any, metric: str, exponent: int) -> None:
    given = points() * np.float32(2.0**exponent)
    before = given.copy()
    if metric == "euclidean" and exponent > 60:
        with pytest.raises(ValueError, match=r"coordinates of up to 1\.33e\+36: above .*float32"):
            nearest_neighbors(form(given), 7, metric=metric)
        return
    expected = nearest_neighbors(form(points()), 7, metric=metric)
    found = nearest_neighbors(form(given), 7, metric=metric)
    np.testing.assert_array_equal(found.indices, expected.indices)
    factor = 2.0**exponent if metric == "euclidean" else 1.0
    np.testing.assert_array_equal(found.distances, expected.distances * np.float32(factor))
    np.testing.assert_array_equal(given, before)
    if form is np.asarray:
        queried = nearest(given, given[:20], 7, metric=metric)
        np.testing.assert_array_equal(queried[0], expected.indices[:20])
        np.testing.assert_array_equal(queried[1], found.distances[:20])


def test_squares_that_float32_has_not(caplog: pytest.LogCaptureFixture) -> None:
    found = nearest_neighbors(points() * np.float32(2.0**-100), 7, metric="sqeuclidean")
    expected = nearest_neighbors(points(), 7, metric="sqeuclidean")
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert "distances above 0 are 0 in float32" in caplog.text


@pytest.mark.parametrize("search", ["neighbors", "query"])
def test_distances_of_scipy_beyond_float32(search: str) -> None:
    large = points() * np.float32(2.0**127)
    found = partial(nearest, large) if search == "query" else nearest_neighbors
    with pytest.raises(ValueError, match="metric='manhattan' gives distances that are beyond"):
        found(large, 150, metric="manhattan")


def test_directions_of_rows_of_other_scales() -> None:
    scales = np.ldexp(np.float32(1), np.arange(-110, 110, 2))[:, None]
    given = points(110)
    for form in (np.asarray, sparse.csr_array):
        found, expected = (
            directions(form(given * scales), centred=False),
            directions(form(given), centred=False),
        )
        difference = found - expected
        assert abs(difference).max() == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.float16, ">f8"])
@pytest.mark.parametrize("missing", [0.0, 0.25, np.nan, -1.0, np.inf])
def test_what_stands_beside_no_index_does_not_count(dtype: Any, missing: float) -> None:
    own = np.arange(20)[:, None]
    indices = (own + np.arange(4)) % 20
    distances = np.tile([0.0, 0.5, 1.0, 2.0], (20, 1)).astype(dtype)
    expected = fuzzy_simplicial_set(indices[:, :3], distances[:, :3], n_neighbors=4)
    indices[:, 3], distances[:, 3] = -1, missing
    before = distances.tobytes()
    for connectivity in (1.0, 2.0):
        found = fuzzy_simplicial_set(indices, distances, local_connectivity=connectivity)
        wanted = fuzzy_simplicial_set(
            indices[:, :3], distances[:, :3], n_neighbors=4, local_connectivity=connectivity
        )
        np.testing.assert_array_equal(found.toarray(), wanted.toarray())
    assert found.nnz == expected.nnz
    rows, lengths = checked_neighbours(indices, distances, 20)
    np.testing.assert_array_equal(rows[:, 3], -1)
    np.testing.assert_array_equal(lengths[:, 3], np.inf)
    assert distances.tobytes() == before


@pytest.mark.parametrize("value", [1e39, 1e300, np.longdouble("1e1000")])
def test_distances_beyond_float32_are_not_missing_ones(value: Any) -> None:
    distances = np.array([[0.0, 1.0], [0.0, 1.0]], np.longdouble)
    distances[1, 1] = value
    for call in (
        lambda: fuzzy_simplicial_set([[0, 1], [1, 0]], distances),
        lambda: checked_neighbours([[0, 1], [1, 0]], distances, 2),
    ):
        with pytest.raises(ValueError, match="knn_distances has 1 entries that are beyond float32"):
            call()


def test_distances_that_float32_has_not_are_told(caplog: pytest.LogCaptureFixture) -> None:
    checked_neighbours([[0, 1], [1, 0]], [[0.0, 1e-50], [0.0, 1.0]], 2)
    assert "knn_distances: 1 distances above 0 are 0 in float32" in caplog.text
