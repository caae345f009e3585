"""Nearest neighbours on the GPU have the bits of the CPU's, after every stage of a search."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

from tests.support import cuda_host
from umapcore.errors import GPUMemoryError, GPUUnavailableError
from umapcore.neighbors import partitions
from umapcore.neighbors.exact import approximate_knn, exact_knn
from umapcore.neighbors.metrics import OWN_METRICS
from umapcore.neighbors.pairs import as_rows
from umapcore.neighbors.partitions import CpuStages
from umapcore.neighbors.search import find_neighbors, nearest_neighbors
from umapcore.neighbors.trees import bounds_of_levels, grow
from umapcore.settings import settings
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host import programs
from umapcore_cupy.neighbors import by_cuvs, tiles
from umapcore_cupy.neighbors import knn as device_knn
from umapcore_cupy.neighbors.stages import DeviceStages
from umapcore_cupy.neighbors.tiles import bring_points
from umapcore_cupy.neighbors.trees import Trees

if TYPE_CHECKING:
    from umapcore.neighbors.knn import KNN

needs_compiler = pytest.mark.skipif(cuda_host.MISSING is not None, reason=str(cuda_host.MISSING))


@cache
def points_of(kind: str, n: int = 700, p: int = 20) -> np.ndarray:
    rng = np.random.default_rng(n + p)
    points = rng.normal(size=(n, p)).astype(np.float32)
    if kind == "duplicates":
        points = points[rng.integers(0, n, n) // 3]
        points[:, :2] = 7
    elif kind == "grid":  # many equal distances, and zeros of both signs
        points = np.float32(0.5) * rng.integers(-2, 3, (n, p)).astype(np.float32)
        points[points == 0] *= rng.choice(np.float32([-1, 1]), (points == 0).sum())
    elif kind == "constant":
        points[:] = points[0]
    elif kind == "one line":
        points[:, 1:] = 0
    return points


def assert_same(found: KNN, expected: KNN) -> None:
    assert found.indices.dtype == expected.indices.dtype
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert found.distances.tobytes() == expected.distances.tobytes()


class TestExact:
    @pytest.mark.parametrize(
        ("kind", "n", "p", "k"),
        [
            ("normal", 1, 3, 1),
            ("normal", 40, 3, 1),
            ("normal", 2, 1, 2),
            ("normal", 33, 16, 33),
            ("normal", 1501, 50, 15),
            ("normal", 300, 130, 40),
            ("duplicates", 700, 20, 15),
            ("grid", 700, 3, 40),
            ("constant", 100, 17, 5),
            ("one line", 400, 5, 7),
        ],
    )
    def test_same_bits(self, gpu_backend: Any, kind: str, n: int, p: int, k: int) -> None:
        points = points_of(kind, n, p)
        assert_same(gpu_backend.nearest(points, k, "euclidean"), exact_knn(points, k))

    @pytest.mark.parametrize("metric", OWN_METRICS)
    def test_metrics(self, gpu_backend: Any, metric: str) -> None:
        points = points_of("normal", 333, 7).copy()
        points[5] = 0
        found = gpu_backend.nearest(points, 9, metric, metric_kwds=None, n_threads=1)
        assert_same(found, exact_knn(points, 9, metric=metric))

    def test_in_several_launches(self, gpu_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tiles, "ROWS_PER_LAUNCH", 100)
        monkeypatch.setattr(tiles, "WORK_PER_LAUNCH", 100 * 16 * 200)
        points = points_of("grid", 501, 4)
        assert_same(gpu_backend.nearest(points, 12, "euclidean"), exact_knn(points, 12))
        if isinstance(gpu_backend.device, cuda_host.HostDevice):
            assert gpu_backend.device.launches.count("compare_tiles") > 12

    @needs_compiler
    @pytest.mark.parametrize("kind", ["normal", "grid"])
    def test_order_of_threads_does_not_matter(self, kind: str) -> None:
        backend = CupyBackend(lambda: cuda_host.HostDevice(reversed_order=True))
        points = points_of(kind)
        assert_same(backend.nearest(points, 15, "euclidean"), exact_knn(points, 15))


class TestTrees:
    @pytest.mark.parametrize("kind", ["normal", "duplicates", "grid", "constant", "one line"])
    @pytest.mark.parametrize("size", [1, 33, 250, 700])
    def test_same_order(self, gpu_backend: Any, kind: str, size: int) -> None:
        points, device = points_of(kind), gpu_backend.device
        device.compile("neighbours")
        levels = bounds_of_levels(points.shape[0], size)
        trees, brought = Trees(device, levels, 11), bring_points(device, points)
        for number in range(2):
            order = trees.grow(brought, number)
            expected = grow(as_rows(points), levels, 11, number, 1)
            if len(levels) == 1:
                assert order is None
            else:
                np.testing.assert_array_equal(device.download(order), expected)


@pytest.fixture
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "LEAF", 60)
    monkeypatch.setattr(partitions, "SAMPLE", 150)


def assert_same_stages(device: Any, points: np.ndarray, k: int) -> None:
    """Compare all lists after every stage."""
    device.compile("neighbours")
    here, there = CpuStages(points, k, 5, 1), DeviceStages(device, points, k, 5)
    numbers = np.arange(points.shape[0]) if there.numbers is None else there.numbers
    np.testing.assert_array_equal(numbers, here.numbers)
    assert here.recall() == there.recall()
    for tree in (0, None, None, 1, 2, None):
        for stages in (here, there):
            if tree is None:
                stages.look_around()
            else:
                stages.tree(tree)
        np.testing.assert_array_equal(there.found(), here.found.matrix())
        assert there.recall() == here.recall()


@pytest.mark.usefixtures("small_leaves")
class TestApproximate:
    @pytest.mark.parametrize(
        ("kind", "n", "p", "k"),
        [
            ("normal", 2, 1, 1),
            ("normal", 60, 3, 4),  # one leaf
            ("normal", 1501, 20, 14),
            ("normal", 500, 130, 39),
            ("duplicates", 700, 20, 14),
            ("grid", 700, 3, 3),
            ("constant", 200, 17, 5),
        ],
    )
    def test_same_lists_after_every_stage(
        self, gpu_backend: Any, kind: str, n: int, p: int, k: int
    ) -> None:
        assert_same_stages(gpu_backend.device, points_of(kind, n, p), k)

    @needs_compiler
    def test_order_of_threads_does_not_matter(self) -> None:
        assert_same_stages(cuda_host.HostDevice(reversed_order=True), points_of("grid"), 9)

    @needs_compiler
    def test_without_cooperative_launches(self) -> None:
        assert_same_stages(cuda_host.HostDevice(cooperative=False), points_of("normal"), 9)

    @pytest.mark.parametrize("metric", OWN_METRICS)
    @pytest.mark.parametrize("accuracy", [0.6, 0.97])
    def test_same_search(self, gpu_backend: Any, metric: str, accuracy: float) -> None:
        points, options = points_of("normal", 800, 9), {"accuracy": accuracy, "seed": 2**63 + 1}
        found, recall = gpu_backend.approximate(points, 10, metric, **options, n_threads=1)
        expected, wanted = approximate_knn(points, 10, metric=metric, **options)
        assert_same(found, expected)
        assert recall == wanted

    def test_each_neighbour_of_a_neighbour_has_a_thread(self) -> None:
        assert partitions.REACH**2 <= programs.THREADS_A_POINT <= programs.THREADS
        assert programs.THREADS % programs.THREADS_A_POINT == 0


class TestRefusals:
    def test_sparse_data_and_other_metrics(self, gpu_backend: Any) -> None:
        points = points_of("normal")
        with pytest.raises(GPUUnavailableError, match="sparse"):
            gpu_backend.nearest(sparse.csr_array(points), 5, "euclidean")
        with pytest.raises(GPUUnavailableError, match="metrics 'euclidean'"):
            gpu_backend.nearest(points, 5, "cityblock")

    def test_metric_without_parameters(self, gpu_backend: Any) -> None:
        with pytest.raises(ValueError, match="metric='cosine' has no parameters"):
            gpu_backend.nearest(points_of("normal"), 5, "cosine", metric_kwds={"p": 3})


@needs_compiler
class TestMemory:
    @pytest.fixture(autouse=True)
    def _no_small_change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let estimates of small searches not be about what the allocator rounds up."""
        monkeypatch.setattr(device_knn, "_SMALL_CHANGE", 16 << 10)

    @pytest.mark.parametrize(("p", "k"), [(3, 5), (100, 5), (3, 40)])
    @pytest.mark.usefixtures("small_leaves")
    def test_estimates_are_close_from_above(self, p: int, k: int) -> None:
        points = points_of("normal", 1000, p)
        for estimate, search, options in (
            (device_knn.exact_bytes, device_knn.nearest, {}),
            (device_knn.approximate_bytes, device_knn.approximate, {"accuracy": 0.5}),
        ):
            device, needed = cuda_host.HostDevice(), estimate(points.shape, k - 1)
            search(device, points, k, "euclidean", **options)
            # The stand-in sorts in place.
            assert 0.6 * needed < device.peak <= needed
            device = cuda_host.HostDevice(memory=needed)
            search(device, points, k, "euclidean", **options)
            device = cuda_host.HostDevice(memory=needed - 1)
            with pytest.raises(GPUMemoryError, match="search for neighbours needs"):
                search(device, points, k, "euclidean", **options)
            assert device.asked["allocations"] == 0

    @pytest.mark.parametrize("exact", [True, False])
    def test_too_little_memory(self, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """The CPU steps in, with a warning, or an error, as the settings say."""
        monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: None)
        monkeypatch.setattr(
            "umapcore.device.select._open_gpu",
            lambda *_: CupyBackend(lambda: cuda_host.HostDevice(memory=20_000)),
        )
        points = points_of("normal", 400, 6)
        with pytest.warns(UserWarning, match="on the CPU: The search for neighbours needs .* KiB"):
            found = nearest_neighbors(points, 6, exact=exact, method="rapids")
        assert_same(found, nearest_neighbors(points, 6, exact=exact))
        nearest_neighbors(points, 6, exact=exact, method="auto")  # warnings are errors
        monkeypatch.setattr(settings, "gpu_fallback", False)
        with pytest.raises(GPUUnavailableError, match="free"):
            nearest_neighbors(points, 6, exact=exact, method="rapids")


@needs_compiler
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
def test_search_takes_the_gpu(exact: bool, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[cuda_host.HostDevice] = []

    def open_device() -> cuda_host.HostDevice:
        opened.append(cuda_host.HostDevice())
        return opened[-1]

    monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: None)
    monkeypatch.setattr("umapcore.device.select._open_gpu", lambda *_: CupyBackend(open_device))
    points = points_of("normal", 600, 6)
    found = find_neighbors(points, 8, metric=metric, exact=exact, method="rapids")
    expected = find_neighbors(points, 8, metric=metric, exact=exact)
    assert_same(found.knn, expected.knn)
    assert found.search == expected.search
    assert [device.closed for device in opened] == [True]


@needs_compiler
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_candidates_of_cuvs(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for cuVS and CuPy: the distances are those of our own search."""

    def search(index: np.ndarray, queries: np.ndarray, k: int) -> tuple[None, np.ndarray]:
        squares = ((queries[:, None] - index) ** 2).sum(axis=2)
        return None, np.argpartition(squares, k - 1, axis=1)[:, :k]

    brute_force = SimpleNamespace(build=lambda points, metric: points, search=search)
    monkeypatch.setitem(sys.modules, "cuvs", ModuleType("cuvs"))
    monkeypatch.setitem(sys.modules, "cuvs.neighbors", SimpleNamespace(brute_force=brute_force))
    cuda = SimpleNamespace(Device=lambda: SimpleNamespace(synchronize=lambda: None))
    monkeypatch.setattr(
        by_cuvs, "import_cupy", lambda: SimpleNamespace(asarray=np.asarray, cuda=cuda)
    )
    for points, k in ((points_of("normal", 300, 9), 12), (points_of("normal", 10, 2), 10)):
        found = by_cuvs.nearest(points, k, metric, open_device=cuda_host.HostDevice)
        assert_same(found, exact_knn(points, k, metric=metric))


@pytest.mark.gpu
@pytest.mark.parametrize("exact", [True, False])
def test_many_points_on_a_gpu(exact: bool) -> None:
    points = points_of("normal", 20_000, 30)
    found = find_neighbors(points, 15, exact=exact, method="rapids")
    expected = find_neighbors(points, 15, exact=exact)
    assert_same(found.knn, expected.knn)
    assert found.search == expected.search
