"""Start positions: their scale, their noise, and what is refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import kstest

from tests.support import graphs
from umapcore.graph.csr import prepare_graph
from umapcore.init.positions import NOISE, check_positions, start_positions
from umapcore.init.spectral import spectral_layout


@pytest.fixture(scope="module")
def sheet() -> sparse.csr_array:
    return prepare_graph(graphs.surface(200))


@pytest.mark.parametrize("init", ["random", "spectral", "array"])
def test_every_start_goes_from_0_to_10(
    init: str, n_components: int, sheet: sparse.csr_array, rng: np.random.Generator
) -> None:
    given = rng.normal(size=(200, n_components)) * 300 if init == "array" else init
    start = start_positions(given, sheet, n_components=n_components, seed=0)
    assert start.shape == (200, n_components)
    assert start.dtype == np.float32
    assert start.flags.c_contiguous
    np.testing.assert_array_equal(start.min(axis=0), 0)
    np.testing.assert_allclose(start.max(axis=0), 10, rtol=1e-6)


def test_random_start_is_uniform_and_depends_on_the_seed() -> None:
    empty = prepare_graph(sparse.csr_array((5000, 5000)))
    start, other, again = (
        start_positions("random", empty, n_components=2, seed=seed) for seed in (0, 2**64 - 1, 0)
    )
    np.testing.assert_array_equal(start, again)
    assert abs(np.corrcoef(start.ravel(), other.ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(start.T)[0, 1]) < 0.05
    assert kstest(start.ravel() / 10, "uniform").pvalue > 0.01


def test_arrays_are_scaled_as_umap_learn_does(
    sheet: sparse.csr_array, rng: np.random.Generator
) -> None:
    given = rng.normal(size=(200, 2)) * [5, 0.01] + [1e4, -3]
    expected = 10 * (given - given.min(axis=0)) / np.ptp(given, axis=0)
    before = given.copy()
    start = start_positions(given, sheet, n_components=2, seed=3)
    np.testing.assert_allclose(start, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(given, before)
    # Positions that differ get no noise, so the seed does not matter.
    np.testing.assert_array_equal(start, start_positions(given, sheet, n_components=2, seed=4))


@pytest.mark.parametrize("exponent", [-1020, -1000, -600, -200, 100])
def test_the_scale_of_an_array_does_not_matter(
    exponent: int, sheet: sparse.csr_array, rng: np.random.Generator
) -> None:
    given = rng.integers(1, 2**20, size=(200, 2)).astype(np.float64)
    expected = start_positions(given, sheet, n_components=2, seed=0)
    # Each axis of its own scale, and numbers that are not normal.
    found = start_positions(given * [2.0**exponent, 1], sheet, n_components=2, seed=0)
    np.testing.assert_array_equal(found, expected)


def test_the_smallest_positions(sheet: sparse.csr_array, rng: np.random.Generator) -> None:
    given = rng.integers(0, 5, size=(200, 2)) * 5e-324
    start = start_positions(given, sheet, n_components=2, seed=0)
    np.testing.assert_allclose(start.max(axis=0), 10, rtol=1e-3)
    assert start.min() >= 0


def test_equal_positions_are_set_apart(sheet: sparse.csr_array, rng: np.random.Generator) -> None:
    given = np.repeat(rng.normal(size=(100, 2)), 2, axis=0)
    start = start_positions(given, sheet, n_components=2, seed=0)
    assert np.unique(start, axis=0).shape[0] >= 198  # of 100
    clean = 10 * (given - given.min(axis=0)) / np.ptp(given, axis=0)
    assert np.abs(start - clean).max() < 12 * NOISE
    assert (start != start_positions(given, sheet, n_components=2, seed=1)).any()


def test_spectral_start_is_the_layout_with_a_little_noise(sheet: sparse.csr_array) -> None:
    layout = spectral_layout(sheet, 2, seed=0)
    clean = 10 * (layout - layout.min(axis=0)) / np.ptp(layout, axis=0)
    start = start_positions("spectral", sheet, n_components=2, seed=0)
    difference = start - clean
    assert 0 < difference.std() < 3 * NOISE
    assert np.abs(difference).max() < 12 * NOISE
    assert (start != start_positions("spectral", sheet, n_components=2, seed=1)).any()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("init", ["random", "spectral", "zeros", "line"])
def test_constant_axes_stay_finite(init: str, n: int, n_components: int) -> None:
    graph = prepare_graph(np.ones((n, n)) - np.eye(n))
    given: object = init
    if init in {"zeros", "line"}:
        given = np.zeros((n, n_components))
        given[:, 0] = np.arange(n) if init == "line" else 4
    start = start_positions(given, graph, n_components=n_components, seed=0)
    assert np.isfinite(start).all()
    assert (start >= 0).all()
    assert (start <= 10).all()
    assert np.unique(start, axis=0).shape[0] == n
    if init == "line" and n > 1:
        np.testing.assert_allclose(start[:, 1:], 5, atol=0.01)


@pytest.mark.parametrize(
    "form",
    [
        np.ndarray.tolist,
        np.asfortranarray,
        pd.DataFrame,
        sparse.csr_array,
        sparse.coo_matrix,
        lambda x: x.astype(">f8"),
        lambda x: np.repeat(x, 2, axis=0)[::2],
    ],
)
def test_forms_of_positions(form: object, rng: np.random.Generator) -> None:
    positions = rng.integers(-9, 9, (50, 2)).astype(np.float64)
    found = check_positions(form(positions), 50, 2)
    np.testing.assert_array_equal(found, positions)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    found[0] = 77  # a copy
    assert positions[0, 0] != 77


def test_check_positions_copies_even_what_fits(rng: np.random.Generator) -> None:
    positions = rng.random((5, 2), dtype=np.float32)
    positions.flags.writeable = False
    found = check_positions(positions, 5, 2)
    assert not np.shares_memory(found, positions)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("spectrall", ValueError, "init='spectrall' is unknown.*'spectral'.*mean 'spectral'"),
        ("pca", ValueError, "init='pca'"),
        (None, TypeError, "init=None"),
        (3, TypeError, "init=3"),
        (np.zeros((200, 3)), ValueError, r"\(200, 3\).*\(200, 2\)"),
        (np.zeros((199, 2)), ValueError, r"\(199, 2\).*\(200, 2\)"),
        (np.zeros(400), ValueError, r"\(400,\)"),
        (np.full((200, 2), np.nan), ValueError, "200 rows that are not finite"),
        (np.full((200, 2), 1e39), ValueError, "not finite"),
        (np.zeros((200, 2), complex), TypeError, "real"),
        (np.full((200, 2), "x"), TypeError, "real"),
        ([[0, 1], [2]], TypeError, "real"),
    ],
)
def test_bad_starts_are_refused(
    given: object, error: type[Exception], message: str, sheet: sparse.csr_array
) -> None:
    with pytest.raises(error, match=message):
        start_positions(given, sheet, n_components=2, seed=0)


def test_bits_of_a_start() -> None:
    """They are part of what is promised: whoever changes them says so in the changelog."""
    n = 500
    heads = np.arange(n - 1)
    weights = (heads * 37 % 11 + 1) / 16
    tails = np.where(heads % 5 == 0, (heads * heads) % n, heads + 1)
    # The last vertices are joined among themselves only: a second and a third component.
    heads, tails = np.r_[heads[:420], heads[440:]], np.r_[tails[:420] % 420, heads[440:] + 1]
    weights = weights[: heads.size]
    both = (np.r_[heads, tails], np.r_[tails, heads])
    graph = prepare_graph(sparse.coo_array((np.r_[weights, weights], both), shape=(n, n)))
    digest = hashlib.sha256()
    placed = np.arange(6 * n).reshape(n, 6) * 7919 % 101
    for init, d, representation in (
        ("random", 2, None),
        ("spectral", 2, None),
        ("spectral", 2, placed),
        ("spectral", 10, placed),
    ):
        start = start_positions(init, graph, n_components=d, seed=5, representation=representation)
        digest.update(start.tobytes())
    assert digest.hexdigest()[:16] == "d72e32d775446385"


def _joined_by_a_thread() -> sparse.csr_array:
    graph = sparse.block_diag([graphs.surface(300), graphs.surface(200, seed=1)]).tolil()
    graph[3, 301] = graph[301, 3] = 1e-6
    return sparse.csr_array(graph)


ODD_GRAPHS = {
    "disconnected": lambda: graphs.clusters(900),
    "bipartite": lambda: graphs.grid(30, 20),
    "complete bipartite": lambda: sparse.csr_array(np.kron([[0, 1], [1, 0]], np.ones((150, 150)))),
    "star": lambda: graphs.star(500),
    "path": lambda: graphs.path(500),
    "complete": lambda: sparse.csr_array(np.ones((200, 200)) - np.eye(200)),
    "three vertices": lambda: graphs.path(3),
    "one isolated vertex": lambda: sparse.block_diag([graphs.surface(200), [[0.0]]]),
    "isolated vertices": lambda: sparse.block_diag([graphs.surface(200), np.zeros((50, 50))]),
    "weightless": lambda: sparse.csr_array(graphs.surface(100) * 0.0),
    "two clusters and a thread": _joined_by_a_thread,
}


@pytest.mark.parametrize("name", sorted(ODD_GRAPHS))
@pytest.mark.parametrize("d", [1, 2, 3, 50])
def test_odd_graphs_start_somewhere_sensible(name: str, d: int) -> None:
    graph = prepare_graph(ODD_GRAPHS[name]())
    n = graph.shape[0]
    start = start_positions("spectral", graph, n_components=d, seed=0)
    assert start.shape == (n, d)
    assert np.isfinite(start).all()
    # Float32 has few numbers for vertices that are close, as the leaves of a star are.
    assert np.unique(start, axis=0).shape[0] >= (0.95 if d == 1 else 0.99) * n
    assert start.min() >= 0
    assert start.max() <= 10
    assert (np.ptp(start, axis=0) > 1e-5).all()


def test_clusters_joined_by_a_thread_start_apart() -> None:
    start = start_positions(
        "spectral", prepare_graph(_joined_by_a_thread()), n_components=2, seed=0
    )
    low, high = sorted([start[:300, 0], start[300:, 0]], key=np.mean)
    assert high.min() - low.max() > 5
