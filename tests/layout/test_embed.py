from __future__ import annotations

import io
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import graphs
from umapcore import OptimizerSpec, settings, simplicial_set_embedding
from umapcore.errors import GPUUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from umapcore.device.protocol import Backend

SPEC = OptimizerSpec(n_epochs=20)


@pytest.fixture
def on_each_backend(open_backend: Callable[[], Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every method run on a backend, one after the other."""
    monkeypatch.setattr("umapcore.layout.embed.resolve_backend", lambda method, **_: open_backend())


@pytest.fixture(scope="module")
def sheet() -> sp.csr_array:
    return graphs.surface(300)


@pytest.mark.usefixtures("on_each_backend")
def test_result_is_what_it_should_be(sheet: sp.csr_array) -> None:
    embedding = simplicial_set_embedding(sheet)
    assert embedding.dtype == np.float32
    assert embedding.flags.c_contiguous
    assert embedding.shape == (300, 2)
    assert np.isfinite(embedding).all()
    assert np.ptp(embedding) > 1


def test_the_seed_matters_and_nothing_else_is_random(sheet: sp.csr_array) -> None:
    first, second, other = (
        simplicial_set_embedding(sheet, SPEC.replace(seed=seed), init="random")
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_neighbours_end_up_together() -> None:
    from scipy.spatial import cKDTree

    graph = graphs.clusters(300, 3)
    embedding = simplicial_set_embedding(graph, init="random")
    nearest = cKDTree(embedding).query(embedding, 6)[1][:, 1:]
    assert (nearest % 3 == np.arange(300)[:, None] % 3).mean() > 0.99


@pytest.mark.usefixtures("on_each_backend")
def test_zero_epochs_give_the_scaled_start(sheet: sp.csr_array) -> None:
    start = graphs.random_start(300, 2) * 3 - 5
    embedding = simplicial_set_embedding(sheet, SPEC.replace(n_epochs=0), init=start)
    np.testing.assert_allclose(embedding.min(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(embedding.max(axis=0), 10, rtol=1e-6)
    assert np.corrcoef(embedding[:, 0], start[:, 0])[0, 1] > 0.9999


@pytest.mark.usefixtures("on_each_backend")
def test_graph_and_start_are_not_changed(sheet: sp.csr_array) -> None:
    start = graphs.random_start(300, 2)
    copies = [a.copy() for a in (sheet.data, sheet.indices, sheet.indptr, start)]
    simplicial_set_embedding(sheet, SPEC, init=start)
    for now, then in zip((sheet.data, sheet.indices, sheet.indptr, start), copies, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.usefixtures("on_each_backend")
def test_callback_sees_epochs_and_copies(sheet: sp.csr_array) -> None:
    seen: dict[int, np.ndarray] = {}

    def look(epoch: int, positions: np.ndarray) -> None:
        seen[epoch] = positions.copy()
        positions[:] = np.nan  # a callback may do what it likes with its copy

    embedding = simplicial_set_embedding(
        sheet, SPEC, init="random", callback=look, callback_every=6
    )
    assert list(seen) == [6, 12, 18, 20]
    np.testing.assert_array_equal(seen[20], embedding)
    assert np.isfinite(embedding).all()


@pytest.mark.usefixtures("on_each_backend")
def test_callback_can_stop_the_run_which_can_be_continued(sheet: sp.csr_array) -> None:
    whole = simplicial_set_embedding(sheet, SPEC, init="random")
    part = simplicial_set_embedding(
        sheet, SPEC, init="random", callback=lambda epoch, _: epoch == 7
    )
    rest = simplicial_set_embedding(sheet, SPEC, init=part, start_epoch=7)
    np.testing.assert_array_equal(rest, whole)


@pytest.mark.usefixtures("on_each_backend")
def test_errors_of_a_callback_come_through(sheet: sp.csr_array) -> None:
    def interrupt(epoch: int, positions: np.ndarray) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simplicial_set_embedding(sheet, SPEC, init="random", callback=interrupt)


@pytest.mark.usefixtures("on_each_backend")
def test_timings_name_the_stages(sheet: sp.csr_array) -> None:
    timings: dict[str, float] = {}
    simplicial_set_embedding(sheet, SPEC, init="random", timings=timings)
    assert set(timings) == {"graph", "plan", "start", "optimise"}
    assert all(seconds >= 0 for seconds in timings.values())


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"spec": {"n_epochs": 3}}, TypeError, "spec="),
        ({"callback": 3}, TypeError, "callback=3"),
        ({"callback_every": 0}, ValueError, "callback_every=0"),
        ({"progress": "yes"}, TypeError, "progress='yes'"),
        ({"n_threads": 0}, ValueError, "n_threads=0"),
        ({"start_epoch": -1}, ValueError, "start_epoch=-1"),
        ({"start_epoch": 21}, ValueError, "start_epoch=21"),
        ({"stop_epoch": 21}, ValueError, "stop_epoch=21"),
        ({"stop_epoch": 2.5}, ValueError, "stop_epoch=2.5"),
        ({"start_epoch": 3, "init": "random"}, ValueError, "init='random'"),
        ({"init": "sepctral"}, ValueError, "Did you mean 'spectral'"),
        ({"init": np.zeros((299, 2))}, ValueError, "init"),
        ({"init": np.full((300, 2), np.nan)}, ValueError, "init"),
        ({"method": "umpa"}, ValueError, "method='umpa'.*Did you mean 'umap'"),
        ({"method": 3}, TypeError, "method=3"),
    ],
    ids=str,
)
def test_bad_input(
    sheet: sp.csr_array, options: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        simplicial_set_embedding(sheet, **{"spec": SPEC, **options})


@pytest.mark.usefixtures("on_each_backend")
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("n_components", [1, 2, 3, 7])
def test_tiny_graphs(n: int, n_components: int) -> None:
    graph = sp.csr_array(np.ones((n, n), np.float32) - np.eye(n, dtype=np.float32))
    for init in ("spectral", "random"):
        embedding = simplicial_set_embedding(
            graph, SPEC.replace(n_components=n_components), init=init
        )
        assert embedding.shape == (n, n_components)
        assert np.isfinite(embedding).all()


@pytest.mark.usefixtures("on_each_backend")
def test_no_coordinate_runs_away_from_hubs() -> None:
    for n_epochs in (50, 500):
        embedding = simplicial_set_embedding(
            graphs.hub(1500, n_hubs=5), OptimizerSpec(n_epochs=n_epochs), init="random"
        )
        assert np.abs(embedding).max() < 40


# --- methods --------------------------------------------------------------------------------------


def test_rapids_without_gpu_warns_and_gives_the_same_bits(sheet: sp.csr_array) -> None:
    from umapcore.device.select import gpu_problem

    if gpu_problem() is None:
        pytest.skip("there is a GPU")
    cpu = simplicial_set_embedding(sheet, SPEC, init="random")
    with pytest.warns(UserWarning, match="runs on the CPU") as caught:
        fallen_back = simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    assert caught[0].filename == __file__  # points at the user's line
    np.testing.assert_array_equal(fallen_back, cpu)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        automatic = simplicial_set_embedding(sheet, SPEC, init="random", method="auto")
    np.testing.assert_array_equal(automatic, cpu)


def test_fallback_can_be_forbidden(sheet: sp.csr_array, monkeypatch: pytest.MonkeyPatch) -> None:
    from umapcore.device.select import gpu_problem

    if gpu_problem() is None:
        pytest.skip("there is a GPU")
    monkeypatch.setattr(settings, "gpu_fallback", False)
    with pytest.raises(GPUUnavailableError, match="gpu_fallback"):
        simplicial_set_embedding(sheet, SPEC, init="random", method="rapids")
    simplicial_set_embedding(sheet, SPEC, init="random", method="auto")


def test_settings_are_checked() -> None:
    with pytest.raises(TypeError, match="gpu_fallback"):
        settings.gpu_fallback = "no"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="n_threads"):
        settings.n_threads = 0


def test_environment_gives_the_settings(tmp_path: Path) -> None:
    code = "from umapcore import settings as s; print(s.gpu_fallback, s.n_threads, s.scratch_dir)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        env={
            "UMAPCORE_GPU_FALLBACK": "0",
            "UMAPCORE_NUM_THREADS": "3",
            "UMAPCORE_SCRATCH_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "3", str(tmp_path)]


# --- progress -------------------------------------------------------------------------------------


def test_progress_bar_when_asked_for(sheet: sp.csr_array, monkeypatch: pytest.MonkeyPatch) -> None:
    for progress, terminal, shown in (
        (True, False, True),
        (False, True, False),
        (None, False, False),
    ):
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, "stderr", screen)
        simplicial_set_embedding(sheet, SPEC, init="random", progress=progress)
        assert ("20/20" in screen.getvalue()) is shown


def test_progress_bar_on_a_terminal_only_when_the_run_lasts(
    sheet: sp.csr_array, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    simplicial_set_embedding(sheet, SPEC, init="random")
    assert "epoch" not in screen.getvalue()
    monkeypatch.setattr("umapcore._kit.progress.DELAY", 0.0)
    simplicial_set_embedding(sheet, SPEC, init="random")
    assert "epoch" in screen.getvalue()
