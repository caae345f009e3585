"""The approximate search: its stages beside the oracle, the choice of stages, and its quality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pytest

from tests.support import neighbors_oracle as oracle
from umapcore.neighbors import (
    codes,
    leaves,
    lists,
    partitions,
    refine,
    search,
    tile_products,
    tiles,
    trees,
)
from umapcore.neighbors.exact import approximate_knn, exact_knn
from umapcore.neighbors.pairs import as_rows
from umapcore.neighbors.partitions import run_stages, sample_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def clustered(n: int, p: int = 7, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(9, p)) * 3
    return (centres[rng.integers(0, 9, n)] + rng.normal(size=(n, p))).astype(np.float32)


def _duplicates(n: int) -> NDArray[np.float32]:
    points = clustered(n)
    points[::2] = points[0]
    return points


def _denormal(n: int) -> NDArray[np.float32]:
    """Points whose squared distances are denormal numbers or 0, and one far from them."""
    points = clustered(n) * np.float32(1e-22)
    points[n // 2] = 1
    return points


def _outlier(n: int) -> NDArray[np.float32]:
    points = clustered(n)
    points[n // 3] *= np.float32(1e7)
    return points


SETS: dict[str, Any] = {
    "clusters": clustered,
    "one coordinate": lambda n: clustered(n, 1),
    "many coordinates": lambda n: clustered(n, 35),
    "constant columns": lambda n: clustered(n) * np.float32([1, 0, 1, 0, 0, 1, 0]),
    "whole numbers": lambda n: np.round(clustered(n)),  # ties
    "duplicates": _duplicates,
    "all equal": lambda n: np.ones((n, 3), np.float32),
    "an outlier": _outlier,
    "denormal squares": _denormal,
    "tiny": lambda n: clustered(n) * np.float32(1e-18),
    "all scales": lambda n: np.exp(3 * np.random.default_rng(0).normal(size=(n, 5))).astype("f4"),
    "two scales": lambda n: clustered(n) * np.float32(10.0) ** (-np.arange(n)[:, None] % 2 * 6),
}


@pytest.fixture
def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a search go on where comparing all points would be faster."""
    monkeypatch.setattr(partitions, "_TREE_WORK", 1)
    monkeypatch.setattr(partitions, "_PASS_WORK", 1)


def keys(found: list[list[oracle.Key]], k: int) -> NDArray[np.int64]:
    """The oracle's lists as ours."""
    matrix = np.full((len(found), k), lists.NO_KEY)
    for row, known in zip(matrix, found, strict=True):
        for at, (length, number) in enumerate(known):
            row[at] = (int(np.float32(length).view(np.int32)) << 32) | number
    return matrix


@pytest.mark.parametrize("k", [1, 5, 16, 40])
@pytest.mark.parametrize("name", SETS)
def test_exact_lists(name: str, k: int) -> None:
    points = SETS[name](131)
    rows = as_rows(points)
    found = tiles.nearest_lists(rows, rows, np.arange(131, dtype=np.int32), k, 2)
    np.testing.assert_array_equal(found.matrix(), keys(oracle.exact(points, k), k))


@pytest.mark.parametrize("name", SETS)
def test_stages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n, k, size, seed = 203, 6, 24, 2**63 + 5
    points = SETS[name](n)
    monkeypatch.setattr(partitions, "LEAF", size)
    monkeypatch.setattr(partitions, "SAMPLE", 50)
    stages = partitions.CpuStages(points, k, seed, 2)
    first = oracle.leaves(oracle.padded(points), size, seed, 0)
    assert stages.numbers.tolist() == [i for members in first for i in members]
    rows = oracle.padded(points[stages.numbers])
    ends = np.cumsum([len(members) for members in first]).tolist()
    tree = [list(range(a, b)) for a, b in zip([0, *ends], ends, strict=False)]
    chosen = oracle.sample(n, seed, 50)
    assert sample_of(n, seed).tolist() == chosen
    found: list[list[oracle.Key]] = [[] for _ in range(n)]
    for stage in (0, 1, "pass", 2, "pass"):
        if isinstance(stage, str):
            stages.look_around()
            found = oracle.with_pass(rows, found, k, k)
        else:
            stages.tree(stage)
            if stage > 0:
                tree = oracle.leaves(rows, size, seed, stage)
            found = oracle.with_tree(rows, found, tree, k)
        np.testing.assert_array_equal(stages.found.matrix(), keys(found, k))
        assert stages.recall() == oracle.recall(rows, found, chosen, k)


def test_passes_look_at_the_first_entries_only() -> None:
    points = clustered(300)
    rows = as_rows(points)
    before, after = lists.empty_lists(300, 20), lists.empty_lists(300, 20)
    own = np.arange(300, dtype=np.int32)
    leaves.compare_leaves(0, 6, rows, own, own, np.arange(0, 301, 50), before)
    refine.look_around(0, 300, rows, before, after, 10)
    tree = [list(range(a, a + 50)) for a in range(0, 300, 50)]
    known = oracle.with_tree(oracle.padded(points), [[] for _ in range(300)], tree, 20)
    expected = oracle.with_pass(oracle.padded(points), known, 10, 20)
    np.testing.assert_array_equal(after.matrix(), keys(expected, 20))


@pytest.mark.parametrize(("n", "size"), [(1, 5), (5, 5), (6, 5), (1000, 64), (4097, 512), (77, 1)])
def test_leaves_are_nearly_equal(n: int, size: int) -> None:
    sizes = np.diff(trees.bounds_of_levels(n, size)[-1])
    assert sizes.sum() == n
    assert len(sizes) == -(-n // size)
    assert sizes.max() <= size
    assert sizes.max() - sizes.min() <= 2


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_same_bits_on_any_number_of_threads(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((partitions, "_POINTS_PER_TASK"), (trees, "POINTS_PER_TASK")):
        monkeypatch.setattr(module, name, 97)
    points = clustered(3000)
    found = set()
    for n_threads in (1, 2, 3, 8):
        knn, recall = approximate_knn(
            points, 15, metric=metric, accuracy=0.95, seed=3, n_threads=n_threads
        )
        found.add((knn.indices.tobytes(), knn.distances.tobytes(), recall))
    assert len(found) == 1


@pytest.mark.usefixtures("without_limits")
def test_recall_is_what_it_says() -> None:
    points = clustered(6000, 20)
    exact = exact_knn(points, 15)
    shares = []
    for accuracy in (0.5, 0.9, 0.99, 0.999):
        knn, recall = approximate_knn(points, 15, accuracy=accuracy, seed=1)
        share = float((knn.distances[:, 1:] <= exact.distances[:, -1:]).mean())
        assert share > accuracy - 0.02
        assert recall == pytest.approx(share, abs=0.02)
        shares.append(share)
        np.testing.assert_array_equal(knn.indices[:, 0], np.arange(6000))
        # Distances that are found have the bits of the exact search.
        same = knn.indices == exact.indices
        np.testing.assert_array_equal(knn.distances[same], exact.distances[same])
    assert shares == sorted(shares)


def test_other_seeds_give_other_neighbours() -> None:
    points = clustered(4000, 20)
    a, b = (approximate_knn(points, 15, accuracy=0.9, seed=seed)[0] for seed in (0, 1))
    assert (a.indices != b.indices).any()


@pytest.mark.usefixtures("without_limits")
@pytest.mark.parametrize("n", [2, 3, 17, 600])
def test_few_points(n: int) -> None:
    points = clustered(n)
    k = min(n, 15)
    knn, recall = approximate_knn(points, k, accuracy=1.0)
    np.testing.assert_array_equal(knn.indices, exact_knn(points, k).indices)
    assert recall == 1.0


class _Scripted:
    """Stages whose recall follows a script."""

    def __init__(self, after_trees: list[float], after_passes: list[float]) -> None:
        self._scripts = {"tree": iter(after_trees), "pass": iter(after_passes)}
        self.done: list[str] = []

    def tree(self, number: int) -> None:
        assert number == self.done.count("tree")
        self.done.append("tree")

    def look_around(self) -> None:
        self.done.append("pass")

    def recall(self) -> float:
        return next(self._scripts[self.done[-1]])


@pytest.mark.parametrize(
    ("after_trees", "after_passes", "done"),
    [
        ([0.5, 0.8], [0.91], "tree tree pass"),
        ([0.5, 0.95], [], "tree tree"),
        # A tree that finds less than a tenth of what is missing is the last one for now.
        ([0.2, 0.23], [0.6, 0.95], "tree tree pass pass"),
        # So is a pass. Then both follow in turn.
        ([0.2, 0.23], [0.6, 0.61, 0.7, 0.92], "tree tree pass pass tree pass tree pass"),
    ],
)
def test_choice_of_stages(after_trees: list[float], after_passes: list[float], done: str) -> None:
    stages = _Scripted(after_trees, after_passes)
    run_stages(stages, 0.9, 10**6)
    assert stages.done == done.split()


@pytest.mark.parametrize(("n", "n_trees"), [(10**6, 4), (20_000, 3), (3000, 2), (100, 1)])
def test_no_longer_than_an_exact_search(n: int, n_trees: int) -> None:
    """The recall rises slowly; with few points, it is soon clear that it will not reach 0.9."""
    stages = _Scripted([0.2, 0.21], [0.3, 0.31, 0.33, 0.331])
    assert run_stages(stages, 0.9, n) < 0.9
    assert stages.done.count("tree") == n_trees


@pytest.mark.parametrize("most", [10**6, 10])
def test_recall_that_is_not_reached(
    most: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    points = np.random.default_rng(0).normal(size=(3000, 40)).astype(np.float32)
    monkeypatch.setattr(search, "EXACT_AFTER", most)
    found = search.find_neighbors(points, 15, exact=False, accuracy=0.999)
    if most > 3000:
        assert found.search.recall == 1.0
        np.testing.assert_array_equal(found.knn.indices, exact_knn(points, 15).indices)
    else:
        assert "less than accuracy=0.999; exact=True" in caplog.text


@pytest.mark.parametrize("rank", [1, 6, 15, 40, 131])
@pytest.mark.parametrize("length", [0, 1, 3, 3000])
def test_bound_of_the_nearest(rank: int, length: int) -> None:
    """At least so many points do not exceed it; and hardly more, if the points are random."""
    n, n_words, size = 131, 3, tile_products.TILE
    rng = np.random.default_rng(rank)
    rounded = rng.integers(-length, length + 1, (n, 2 * n_words)).astype(np.int32)
    padded = np.zeros((-(-n // size) * size, n_words), np.int32)
    padded[:n] = (rounded[:, ::2] & 0xFFFF) | (rounded[:, 1::2] << 16)
    words = padded.reshape(-1, size, n_words).transpose(0, 2, 1).ravel()
    squares = np.full(padded.shape[0], codes.NO_POINT)
    squares[:n] = (rounded**2).sum(axis=1)
    nothing = np.empty(0, np.float32)
    of_points = codes.Codes(words, squares, nothing, np.empty(0, np.int32))
    expected = np.sort(((rounded[:, None] - rounded) ** 2).sum(axis=-1), axis=1)
    for q in range(0, n, tile_products.QUERIES):
        bests = _bounds(of_points, q, padded.shape[0] // size, rank, n_words)
        for r, best in enumerate(bests[: n - q]):
            assert best >= expected[q + r, rank - 1]
            if rank <= n // 3:
                assert best <= 1 + 1.02 * expected[q + r, 2 * rank]


@numba.njit
def _bounds(of_points: Any, q: Any, n_tiles: Any, rank: Any, n_words: Any) -> Any:
    width = tile_products.QUERIES
    minima = np.empty(codes.parts_of(rank) * width * tile_products.TILE, np.int32)
    bests = np.empty(width, np.int32)
    codes.find_bests(of_points, q, of_points, (0, n_tiles), rank, n_words, minima, bests)
    return bests


def test_leaves_are_used_once() -> None:
    """All leaves of a tree are ready when they are given away."""
    points = as_rows(clustered(3000))
    levels = trees.bounds_of_levels(3000, 40)
    expected = trees.grow(points, levels, 0, 1, 1)
    for n_threads in (1, 3):
        used: list[int] = []

        def use(a: int, b: int, order: NDArray[np.int32], used: list[int] = used) -> None:
            some = slice(levels[-1][a], levels[-1][b])
            np.testing.assert_array_equal(order[some], expected[some])
            used += range(a, b)

        trees.grow(points, levels, 0, 1, n_threads, use)
        assert sorted(used) == list(range(75))


def test_rows_beyond_the_last_query_are_not_touched() -> None:
    """Some points are much longer than others; there are places without a query."""
    points = as_rows(_outlier(131))
    own = np.arange(131, dtype=np.int32)
    found = lists.empty_lists(131, 5)
    every = 0, -(-131 // tiles.TILE)
    tiles._search(0, 50, tiles.prepare(points, 1), every, points, own, found)
    assert (found.matrix()[50:] == lists.NO_KEY).all()
    assert (found.matrix()[:50] != lists.NO_KEY).all()


@pytest.mark.parametrize("exact", [True, False])
def test_progress(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts that are reported, from any thread, are a hundred percents at most."""
    bars = []

    class Bar:
        def __init__(self, total: int, show: bool | None, unit: str, name: str) -> None:
            assert (total, show, unit, name) == (100, True, "%", "neighbours")
            self.parts: list[int] = []
            bars.append(self)

        def update(self, done: int) -> None:
            self.parts.append(done)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(search, "ProgressBar", Bar)
    points = clustered(5000, 2)
    search.find_neighbors(points, 5, exact=exact, accuracy=None if exact else 0.7, progress=True)
    assert len(bars) == 1
    assert sum(bars[0].parts) in ({100} if exact else range(90, 101))
    assert all(part > 0 for part in bars[0].parts)
