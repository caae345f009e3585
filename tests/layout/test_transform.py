"""New points in an existing embedding: the oracle's bits, whoever else is placed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import umapcore
from tests.support import transform_oracle as oracle
from umapcore import OptimizerSpec, place
from umapcore.errors import GPUMemoryError
from umapcore.layout import transform
from umapcore.layout.transform_plan import build_transform, transform_epochs, transform_steps
from umapcore.neighbors.query import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from umapcore.device.protocol import Backend

    Open = Callable[[], Backend]


def case(
    n_reference: int = 300, n: int = 90, k: int = 7, d: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give a reference embedding, and the neighbours of new points in it."""
    rng = np.random.default_rng(seed)
    points, new = rng.normal(size=(n_reference, 4)), rng.normal(size=(n, 4))
    new[::9] = points[: new[::9].shape[0]]  # some coincide
    embedding = rng.random((n_reference, d), np.float32) * 10
    return (embedding, *nearest(points, new, k))


def assert_equal_bits(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


def placed_by(
    backend: Backend, plan: Any, reference: np.ndarray, spec: OptimizerSpec, n_epochs: int
) -> np.ndarray:
    running = backend.begin_transform(reference, transform_steps(spec, n_epochs), spec)
    found = running.place(plan)
    backend.close()
    return found


class TestOracle:
    @pytest.mark.parametrize("d", [1, 2, 3, 5, 10])
    def test_dimensions(self, d: int, open_backend: Open) -> None:
        self.check({}, open_backend, d=d)

    @pytest.mark.parametrize(
        "changes",
        [
            {"min_dist": 0.0},
            {"a": 500.0, "b": 3.0},
            {"gamma": 0.0},
            {"gamma": 7.5},
            {"alpha": 25.0},
            {"negative_sample_rate": 0},
            {"negative_sample_rate": 4},
            {"seed": 2**64 - 1},
        ],
        ids=str,
    )
    def test_parameters(self, changes: dict[str, float], open_backend: Open) -> None:
        self.check(changes, open_backend)

    @pytest.mark.parametrize(("n_reference", "n", "k"), [(1, 3, 1), (2, 2, 2), (500, 70, 40)])
    def test_sizes(self, n_reference: int, n: int, k: int, open_backend: Open) -> None:
        self.check({}, open_backend, n_reference=n_reference, n=n, k=k, n_epochs=9)

    def check(
        self, changes: dict[str, Any], open_backend: Open, n_epochs: int = 14, **sizes: int
    ) -> None:
        reference, indices, distances = case(**({"n": 50, "k": 5} | sizes))
        indices[n_last := indices.shape[0] - 1, 1:] = -1
        distances[n_last, 1:] = np.inf
        spec = OptimizerSpec(n_components=reference.shape[1]).replace(**changes)
        plan = build_transform(indices, distances, reference, spec.seed)
        with np.errstate(over="ignore", invalid="ignore"):
            wanted = oracle.walk(plan, reference, spec, n_epochs)
        found = placed_by(open_backend(), plan, reference, spec, n_epochs)
        assert_equal_bits(found, wanted)
        assert len(reference) == 1 or not np.array_equal(found, plan.start)


def test_plan_is_umap_learns() -> None:
    reference, indices, distances = case(n=200, k=15)
    distances[3] = np.float32(2.5)  # all neighbours equally far
    distances[4] = np.float32(0)
    distances[5, 1:] = np.inf
    indices[5, 1:] = -1
    plan = build_transform(indices, distances, reference, 7)
    for i in range(200):
        weights = oracle.memberships(distances[i])
        np.testing.assert_allclose(plan.rates[i] / 2.0**32, weights, rtol=1e-6, atol=1e-9)
        row = np.where(indices[i] < 0, 0, indices[i])
        wanted = oracle.start(row, distances[i], reference)
        np.testing.assert_allclose(plan.start[i], wanted, rtol=1e-6, atol=1e-6)
        assert int(plan.keys[i]) == oracle.key(indices[i], distances[i], 7)


class TestIndependence:
    """What no other implementation promises."""

    def test_of_the_other_points(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reference, indices, distances = case(n=300)
        together = place(reference, indices, distances)
        assert_equal_bits(place(reference, indices[:1], distances[:1]), together[:1])
        some = np.random.default_rng(1).permutation(300)[:100]
        assert_equal_bits(place(reference, indices[some], distances[some]), together[some])
        monkeypatch.setattr(transform, "_CHUNK", 7)
        assert_equal_bits(place(reference, indices, distances), together)

    def test_of_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("umapcore._kit.parallel.thread_count", lambda n: n or 1)
        reference, indices, distances = case(n=5000, n_reference=900)
        one, *others = (place(reference, indices, distances, n_threads=n) for n in (1, 2, 3, 8))
        for other in others:
            assert_equal_bits(other, one)

    def test_of_a_longer_row_that_ends_in_nothing(self) -> None:
        reference, indices, distances = case()
        plan = build_transform(indices, distances, reference, 0)
        wide = np.pad(indices, ((0, 0), (0, 3)), constant_values=-1)
        far = np.pad(distances, ((0, 0), (0, 3)), constant_values=np.inf)
        np.testing.assert_array_equal(build_transform(wide, far, reference, 0).keys, plan.keys)

    def test_the_reference_is_only_read(self) -> None:
        reference, indices, distances = case()
        for array in (reference, indices, distances):
            array.flags.writeable = False
        before = reference.copy()
        place(reference, indices, distances)
        np.testing.assert_array_equal(reference, before)

    def test_the_seed_matters(self) -> None:
        given = case()
        assert not np.array_equal(place(*given), place(*given, OptimizerSpec(seed=1)))


def test_new_points_come_near_their_neighbours() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [20, 0], [0, 20]])
    label, new_label = np.arange(600) % 3, np.arange(90) % 3
    points = centres[label] + rng.normal(size=(600, 2))
    new = centres[new_label] + rng.normal(size=(90, 2))
    placed = place(points, *nearest(points, new, 15))
    of_centre = np.linalg.norm(placed[:, None] - centres[None], axis=2).argmin(axis=1)
    np.testing.assert_array_equal(of_centre, new_label)
    assert np.linalg.norm(placed - new, axis=1).mean() < 1.5


class TestInput:
    def test_epochs(self) -> None:
        assert transform_epochs(OptimizerSpec(), None) == 100
        assert transform_epochs(OptimizerSpec(n_epochs=500), None) == 166
        assert transform_epochs(OptimizerSpec(n_epochs=500), 7) == 7
        reference, indices, distances = case()
        start = build_transform(indices, distances, reference, 0).start
        for n_epochs in (0, 1):
            assert_equal_bits(place(reference, indices, distances, n_epochs=n_epochs), start)

    def test_other_dtypes_orders_and_lists(self) -> None:
        reference, indices, distances = case()
        wanted = place(reference, indices, distances)
        shuffled = np.random.default_rng(0).permutation(7)
        for given in (
            (reference.astype(np.float64), indices.astype(np.int64), distances.astype(np.float64)),
            (np.asfortranarray(reference), indices[:, shuffled], distances[:, shuffled]),
            (reference.tolist(), indices.tolist(), distances.tolist()),
        ):
            assert_equal_bits(place(*given), wanted)

    def test_points_without_neighbours(self, caplog: pytest.LogCaptureFixture) -> None:
        reference, indices, distances = case()
        wanted = place(reference, indices, distances)
        indices[[0, 40]] = -1
        with caplog.at_level(logging.WARNING, logger="umapcore"):
            found = place(reference, indices, distances)
        assert "2 new points have no neighbours" in caplog.text
        assert np.isnan(found[[0, 40]]).all()
        others = np.delete(np.arange(90), [0, 40])
        assert_equal_bits(found[others], wanted[others])

    def test_no_new_points(self) -> None:
        empty = np.empty((0, 5))
        assert place(np.ones((9, 3)), empty.astype(int), empty).shape == (0, 3)

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"reference_embedding": np.ones(5)}, r"reference_embedding has shape \(5,\)"),
            ({"reference_embedding": np.full((300, 2), np.nan)}, "300 rows that are not finite"),
            ({"reference_embedding": [["a"]]}, "reference_embedding has dtype <U1"),
            ({"knn_indices": np.full((90, 7), 300)}, "outside of 0 to 299"),
            ({"knn_indices": np.full((90, 7), -2)}, "outside of 0 to 299"),
            ({"knn_indices": np.zeros((90, 7), int)}, "neighbour twice in row 0"),
            ({"knn_indices": np.zeros((90, 7))}, "knn_indices .* must be a matrix of integers"),
            ({"knn_indices": np.zeros((90, 0), int)}, r"knn_indices has shape \(90, 0\)"),
            ({"knn_distances": np.ones((90, 6))}, "they must be equal"),
            ({"knn_distances": np.full((90, 7), np.nan)}, "NaN or negative"),
            ({"knn_distances": np.full((90, 7), -1.0)}, "NaN or negative"),
            ({"spec": 3}, "spec=3 has type int"),
            ({"n_epochs": -1}, "n_epochs=-1 is not allowed"),
            ({"n_epochs": 2.5}, "n_epochs=2.5 is not allowed"),
            ({"method": "gpu"}, "method='gpu' is unknown"),
            ({"progress": 1}, "progress=1 has type int"),
            ({"n_threads": 0}, "n_threads=0 is not allowed"),
        ],
    )
    def test_bad(self, changes: dict[str, Any], says: str) -> None:
        reference, indices, distances = case()
        given: dict[str, Any] = {
            "reference_embedding": reference, "knn_indices": indices, "knn_distances": distances
        }  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=says):
            place(**(given | changes))

    def test_progress(self, capsys: pytest.CaptureFixture[str]) -> None:
        place(*case(), progress=True)
        assert "90/90" in capsys.readouterr().err


class TestGPU:
    def test_too_little_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The CPU steps in half-way, with the same bits."""

        class Full:
            def begin_transform(self, *args: Any, **options: Any) -> Any:
                raise GPUMemoryError("3 GiB more are needed on the GPU.")

            def close(self) -> None:
                self.closed = True

        backend: Any = Full()
        monkeypatch.setattr(transform, "resolve_backend", lambda method: backend)
        given = case()
        with pytest.warns(UserWarning, match="runs on the CPU: 3 GiB more are needed"):
            found = place(*given, method="rapids")
        assert backend.closed
        monkeypatch.undo()
        assert_equal_bits(found, place(*given))
        monkeypatch.setattr(transform, "resolve_backend", lambda method: backend)
        monkeypatch.setattr(umapcore.settings, "gpu_fallback", False)
        with pytest.raises(umapcore.errors.GPUUnavailableError, match="gpu_fallback = True"):
            place(*given, method="rapids")

    def test_whole_runs_in_chunks(self, gpu_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        given = case(n=700)
        wanted = place(*given)
        monkeypatch.setattr(transform, "_CHUNK", 300)
        monkeypatch.setattr(transform, "resolve_backend", lambda method: gpu_backend)
        assert_equal_bits(place(*given, method="rapids"), wanted)
