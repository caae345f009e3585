"""Runs that are killed and continued: the same bits, and no file of another run is touched."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse as sp

from tests.support import graphs
from umapcore import Checkpoint, OptimizerSpec, Snapshots, simplicial_set_embedding
from umapcore._kit.file_names import beside
from umapcore.runs.checkpoint_file import read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from umapcore.device.protocol import Backend

SPEC = OptimizerSpec(n_epochs=24, seed=5)


@pytest.fixture(scope="module")
def sheet() -> sp.csr_array:
    return graphs.surface(300)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


def stopped(graph: Any, path: Path, spec: OptimizerSpec = SPEC, epoch: int = 9, **more: Any) -> Any:
    """Run a layout up to an epoch; the file is left."""
    return simplicial_set_embedding(graph, spec, checkpoint=path, stop_epoch=epoch, **more)


@pytest.fixture
def no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever works out a start fails."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("the start is worked out again")

    monkeypatch.setattr("umapcore.runs.resume.start_positions", fail)


# --- killed ---------------------------------------------------------------------------------------

_KILLED = """
import sys, time
from tests.support import graphs
from umapcore import Checkpoint, OptimizerSpec, Snapshots, simplicial_set_embedding

def tell(epoch, positions):
    print(epoch, flush=True)
    time.sleep(0.01)

simplicial_set_embedding(
    graphs.surface(300), OptimizerSpec(n_epochs=2000, seed=5), callback=tell,
    checkpoint=Checkpoint(sys.argv[1], every=0.0), snapshots=Snapshots(50),
)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
@pytest.mark.usefixtures("no_start")
def test_killed_by_the_system(
    sheet: sp.csr_array, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 70:
                break
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 0 < read_state(path).epoch < 2000

    spec, seen = SPEC.replace(n_epochs=2000), Snapshots(50)
    with caplog.at_level(logging.INFO, "umapcore"):
        found = simplicial_set_embedding(sheet, spec, checkpoint=path, snapshots=seen)
    assert "the run continues after" in caplog.text
    assert os.listdir(path.parent) == []

    with pytest.MonkeyPatch.context() as patch:
        from umapcore.init.positions import start_positions

        patch.setattr("umapcore.runs.resume.start_positions", start_positions)
        whole = Snapshots(50)
        expected = simplicial_set_embedding(sheet, spec, snapshots=whole)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(seen.epochs, whole.epochs)
    np.testing.assert_array_equal(seen.positions, whole.positions)


# --- stopped and continued ------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["spectral", "random", "array"])
def test_continued_on_every_backend(
    graph: sp.csr_array,
    init: str,
    path: Path,
    open_backend: Callable[[], Backend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start: Any = graphs.random_start(graph.shape[0], 2) if init == "array" else init
    expected = simplicial_set_embedding(graph, SPEC, init=start)
    monkeypatch.setattr("umapcore.layout.embed.resolve_backend", lambda method, **_: open_backend())
    stopped(graph, path, init=start)
    found = simplicial_set_embedding(graph, SPEC, init=start, checkpoint=path)
    np.testing.assert_array_equal(found, expected)
    assert not path.exists()


@pytest.mark.usefixtures("no_start")
def test_spectral_start_is_not_worked_out_again(
    sheet: sp.csr_array, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from umapcore.init.positions import start_positions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("umapcore.runs.resume.start_positions", start_positions)
        stopped(sheet, path)
    simplicial_set_embedding(sheet, SPEC, checkpoint=path)


def test_a_callback_stops_and_a_later_call_goes_on(sheet: sp.csr_array, path: Path) -> None:
    expected = simplicial_set_embedding(sheet, SPEC)
    part = simplicial_set_embedding(
        sheet, SPEC, checkpoint=str(path), callback=lambda epoch, _: epoch == 7
    )
    state = read_state(path)
    assert state.epoch == 7
    np.testing.assert_array_equal(state.positions, part)
    np.testing.assert_array_equal(simplicial_set_embedding(sheet, SPEC, checkpoint=path), expected)


def test_a_run_of_the_middle_can_be_continued(sheet: sp.csr_array, path: Path) -> None:
    expected = simplicial_set_embedding(sheet, SPEC)
    middle = simplicial_set_embedding(sheet, SPEC, stop_epoch=6)
    stopped(sheet, path, init=middle, start_epoch=6)
    found = simplicial_set_embedding(sheet, SPEC, init=middle, start_epoch=6, checkpoint=path)
    np.testing.assert_array_equal(found, expected)


def test_the_file_of_a_complete_run_can_be_kept(sheet: sp.csr_array, path: Path) -> None:
    keeping = Checkpoint(path, keep=True)
    first = simplicial_set_embedding(sheet, SPEC, checkpoint=keeping)
    assert read_state(path).epoch == 24
    calls: list[int] = []
    again = simplicial_set_embedding(
        sheet, SPEC, checkpoint=keeping, callback=lambda epoch, _: calls.append(epoch)
    )
    np.testing.assert_array_equal(again, first)
    assert calls == []


def test_saved_as_often_as_asked(
    sheet: sp.csr_array, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []

    def save(path: Path, state: Any) -> None:
        saved.append(state.epoch)
        write_state(path, state)

    monkeypatch.setattr("umapcore.runs.checkpoint.write_state", save)
    monkeypatch.setattr("umapcore.runs.checkpoint._SHARE", 0)
    options: dict[str, Any] = {"callback": lambda *_: None, "callback_every": 8}
    simplicial_set_embedding(sheet, SPEC, checkpoint=Checkpoint(path, every=1e6), **options)
    assert saved == []
    simplicial_set_embedding(sheet, SPEC, checkpoint=Checkpoint(path, every=0), **options)
    # The start is worth saving, and the result is not: it is there.
    assert saved[0] == 0
    assert {8, 16} <= set(saved)
    assert 24 not in saved


@pytest.mark.parametrize("n_epochs", [0, 1])
@pytest.mark.parametrize("n", [1, 2])
def test_tiny_runs(n: int, n_epochs: int, path: Path) -> None:
    graph = sp.csr_array(np.ones((n, n), np.float32) - np.eye(n, dtype=np.float32))
    spec = SPEC.replace(n_epochs=n_epochs)
    expected = simplicial_set_embedding(graph, spec)
    for keep in (True, False):
        checkpoint = Checkpoint(path, every=0.0, keep=keep)
        found = simplicial_set_embedding(graph, spec, checkpoint=checkpoint)
        np.testing.assert_array_equal(found, expected)
        assert path.exists() is keep


# --- files that do not fit ------------------------------------------------------------------------


def _heavier(graph: sp.csr_array) -> sp.csr_array:
    other = graph.copy()
    other.data[:] = np.sqrt(other.data)
    return other


@pytest.mark.parametrize(
    ("graph", "spec", "init", "message"),
    [
        (_heavier, {}, "spectral", "its graph is another one"),
        (lambda g: g[:299, :299], {}, "spectral", "its graph is another one"),
        (None, {"seed": 6}, "spectral", "seed is 5 in it and 6 here"),
        (None, {"n_epochs": 25}, "spectral", "n_epochs is 24 in it and 25 here"),
        (None, {"gamma": 0.5}, "spectral", "gamma is 1.0 in it and 0.5 here"),
        (None, {"n_components": 3}, "spectral", "n_components is 2 in it and 3 here"),
        (None, {"alpha": 0.5, "seed": 6}, "spectral", "alpha is .*; seed is "),
        (None, {}, "random", "its start is another one"),
        (None, {}, graphs.random_start(300, 2), "its start is another one"),
    ],
)
def test_another_run_is_refused(
    sheet: sp.csr_array, path: Path, graph: Any, spec: Any, init: Any, message: str
) -> None:
    stopped(sheet, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"run\.ckpt.* belongs to another run: .*{message}"):
        simplicial_set_embedding(
            sheet if graph is None else graph(sheet),
            SPEC.replace(**spec),
            init=init,
            checkpoint=path,
        )
    assert path.read_bytes() == before


def test_other_positions_are_refused(sheet: sp.csr_array, path: Path) -> None:
    stopped(sheet, path, init=graphs.random_start(300, 2, seed=1))
    with pytest.raises(ValueError, match="its start positions are others"):
        simplicial_set_embedding(
            sheet, SPEC, init=graphs.random_start(300, 2, seed=2), checkpoint=path
        )


def test_another_representation_is_refused_only_where_it_was_used(
    sheet: sp.csr_array, path: Path, rng: np.random.Generator
) -> None:
    islands = graphs.clusters(300)
    one, other = rng.normal(size=(2, 300, 5))
    stopped(islands, path, representation=one)
    for more in ({"representation": other}, {"representation": one, "metric": "cosine"}, {}):
        with pytest.raises(ValueError, match="the representation that places its components"):
            simplicial_set_embedding(islands, SPEC, checkpoint=path, **more)
    expected = simplicial_set_embedding(islands, SPEC, representation=one)
    found = simplicial_set_embedding(
        islands, SPEC, representation=lambda: sp.csr_array(one).toarray(), checkpoint=path
    )
    np.testing.assert_array_equal(found, expected)
    stopped(sheet, path, representation=one)
    simplicial_set_embedding(sheet, SPEC, representation=other, checkpoint=path)


def test_another_version_is_refused(
    sheet: sp.csr_array, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(sheet, path)
    monkeypatch.setattr("umapcore.runs.resume.__version__", "99.0")
    with pytest.raises(ValueError, match=r"wrote it and this is 99\.0"):
        simplicial_set_embedding(sheet, SPEC, checkpoint=path)


def _text(path: Path) -> None:
    path.write_text("precious")


def _other_archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, positions=np.zeros(3))


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _flipped(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def _future(path: Path) -> None:
    with np.load(path) as archive:
        head = json.loads(str(archive["umapcore_checkpoint"])) | {"format": 7}
        arrays = {name: archive[name] for name in archive.files}
    arrays["umapcore_checkpoint"] = np.array(json.dumps(head))
    with path.open("wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize("harm", [_text, _other_archive, _truncated, _flipped, _future])
def test_what_is_no_checkpoint_is_left_alone(
    sheet: sp.csr_array, path: Path, harm: Callable[[Path], None]
) -> None:
    stopped(sheet, path)
    harm(path)
    before = path.read_bytes()
    message = "has format 7" if harm is _future else "is not a checkpoint"
    with pytest.raises(ValueError, match=rf"checkpoint='.*run\.ckpt' {message}.*remove it"):
        simplicial_set_embedding(sheet, SPEC, checkpoint=path)
    assert path.read_bytes() == before


def test_a_file_that_another_program_changes_meanwhile(
    sheet: sp.csr_array,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("umapcore.runs.checkpoint._SHARE", 0)

    def meddle(epoch: int, _: object) -> None:
        if epoch == 8:
            path.unlink(missing_ok=True)
            path.write_text("precious")

    found = simplicial_set_embedding(
        sheet, SPEC, checkpoint=Checkpoint(path, every=0.0), callback=meddle, callback_every=4
    )
    np.testing.assert_array_equal(found, simplicial_set_embedding(sheet, SPEC))
    assert "was changed by another program" in caplog.text
    assert path.read_text() == "precious"


def test_two_runs_that_write_the_same_file_at_once(sheet: sp.csr_array, path: Path) -> None:
    """They should not; but what is there is always one's or the other's, and whole."""
    states = []
    for epoch in (3, 5):
        stopped(sheet, path, epoch=epoch)
        states.append(read_state(path))
        path.unlink()
    write_state(path, states[0])
    threads = [
        threading.Thread(target=lambda state=state: [write_state(path, state) for _ in range(50)])
        for state in states
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert read_state(path).epoch in (3, 5)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_what_killed_runs_have_left_is_removed(sheet: sp.csr_array, path: Path) -> None:
    stopped(sheet, path)
    left = beside(path, "part")
    left.write_bytes(b"half a checkpoint")
    simplicial_set_embedding(sheet, SPEC, checkpoint=path)
    assert list(path.parent.iterdir()) == []


def test_names_that_cannot_be_written_are_refused_at_once(
    sheet: sp.csr_array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"checkpoint='.*x': its name has 300 bytes"):
        simplicial_set_embedding(sheet, SPEC, checkpoint=tmp_path / ("x" * 300))
    monkeypatch.setattr("umapcore._kit.file_names.WINDOWS", True)
    with pytest.raises(ValueError, match=r"checkpoint='.*run:1': on Windows, .* contain ':'"):
        simplicial_set_embedding(sheet, SPEC, checkpoint=tmp_path / "run:1")


def test_a_full_disk_does_not_end_the_run(
    sheet: sp.csr_array,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    found = simplicial_set_embedding(sheet, SPEC, checkpoint=Checkpoint(path, every=0.0))
    monkeypatch.undo()
    np.testing.assert_array_equal(found, simplicial_set_embedding(sheet, SPEC))
    assert "No space left on device" in caplog.text
    assert os.listdir(path.parent) == []


def test_beyond_where_it_shall_stop(sheet: sp.csr_array, path: Path) -> None:
    stopped(sheet, path, epoch=12)
    with pytest.raises(ValueError, match=r"stop_epoch=8 .*at least 12"):
        stopped(sheet, path, epoch=8)


def test_snapshots_that_the_file_lacks_are_missed_with_a_warning(
    sheet: sp.csr_array, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped(sheet, path)
    seen = Snapshots(4)
    simplicial_set_embedding(sheet, SPEC, checkpoint=path, snapshots=seen)
    assert seen.epochs.tolist() == [12, 16, 20, 24]
    assert "has 0 of the 3 snapshots up to epoch 9" in caplog.text


# --- bad values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda folder: folder, IsADirectoryError, "is a folder"),
        (lambda folder: folder / "no" / "x.ckpt", FileNotFoundError, "its folder does not exist"),
        (lambda _: 3, TypeError, "checkpoint=3"),
        (lambda _: "", TypeError, "checkpoint=''"),
    ],
)
def test_bad_places(
    sheet: sp.csr_array, tmp_path: Path, make: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        simplicial_set_embedding(sheet, SPEC, checkpoint=make(tmp_path))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": 3}, TypeError, "path=3"),
        ({"path": "x", "every": -1}, ValueError, "every=-1"),
        ({"path": "x", "every": "often"}, TypeError, "every='often'"),
        ({"path": "x", "keep": 1}, TypeError, "keep=1"),
    ],
)
def test_bad_values(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Checkpoint(**options)
