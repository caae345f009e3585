"""Signals: the documented exit code and line at any moment, and what is written is whole."""

from __future__ import annotations

import gc
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import anndata
import pytest

from umapcore import cli, demo
from umapcore.cli import embed_file
from umapcore.cli.signals import Signals, Stop
from umapcore.files import anndata_files, atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = ("--maxiter", "2", "--init-pos", "random", "--no-progress")
INT = signal.SIGINT
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Hear interrupts even where a script's & has them ignored."""
    before = signal.signal(INT, signal.default_int_handler)
    yield
    signal.signal(INT, before)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "in.h5ad"
    demo.load_cells()[:100].write_h5ad(path)
    return path


# Where the signal arrives: module, function, whether before or after it, whether OUT is there then.
MOMENTS = [
    (anndata_files, "open_file", "before", False),
    (embed_file, "write_with", "before", False),
    (anndata_files, "_insert", "after", False),
    (atomic_write, "_sync", "after", False),
    (atomic_write, "_rename_without_replacing", "before", True),
    (atomic_write, "_rename_without_replacing", "after", True),
    (atomic_write, "remove", "before", True),
    (embed_file, "write_with", "after", True),
    (embed_file, "Embedded", "after", True),
]


@pytest.mark.parametrize(("number", "word"), [(INT, "interrupted"), (signal.SIGTERM, "terminated")])
@pytest.mark.parametrize(
    ("module", "name", "when", "whole"), MOMENTS, ids=[f"{m[2]} {m[1]}" for m in MOMENTS]
)
def test_any_moment(
    source: Path, tmp_path: Path, capsys: Any, monkeypatch: Any, number: int, word: str,
    module: Any, name: str, when: str, whole: bool,
) -> None:  # fmt: skip
    function = getattr(module, name)

    def signalled(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            signal.raise_signal(number)
        result = function(*args, **kwargs)
        if when == "after":
            signal.raise_signal(number)
        return result

    monkeypatch.setattr(embed_file if name == "open_file" else module, name, signalled)
    target = tmp_path / "out.h5ad"
    assert cli.main(["embed", str(source), "-o", str(target), *QUICK]) == 128 + number
    said = f"; written before that, and complete: {target}" if whole else ""
    assert capsys.readouterr().err == f"umapcore: {word}{said}\n"
    assert [path.name for path in tmp_path.iterdir()] == (["out.h5ad"] if whole else [])
    if whole:
        assert "X_umap" in anndata.read_h5ad(target).obsm
    assert signal.getsignal(INT) is signal.default_int_handler


def test_swallowed_by_other_code(
    source: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    """Some libraries turn any exception into one of theirs."""

    def other(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            raise RuntimeError("a callback failed") from error

    monkeypatch.setattr("umapcore.tl.umap", other)
    assert cli.main(["embed", str(source), "-o", str(tmp_path / "out.h5ad"), *QUICK]) == 143
    assert capsys.readouterr().err == "umapcore: terminated\n"


def test_a_signal_in_a_destructor_is_repeated() -> None:
    class Deaf:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def work() -> None:
        Deaf()
        gc.collect()
        time.sleep(60)

    with pytest.raises(Stop), Signals():
        work()
    # Without the command's handlers, all is as before.
    assert signal.getsignal(INT) is signal.default_int_handler


@pytest.mark.parametrize("stopped", [True, False])
def test_objects_that_a_signal_left_half_made_say_nothing(
    stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []

    class Half:
        def __del__(self) -> None:
            raise AttributeError("what its constructor had not come to")

    monkeypatch.setattr("sys.unraisablehook", said.append)
    with Signals():
        if stopped:
            with pytest.raises(Stop):
                signal.raise_signal(signal.SIGTERM)
        Half()
        gc.collect()
    assert len(said) == (not stopped)


def test_ignored_signals_stay_ignored() -> None:
    signal.signal(INT, signal.SIG_IGN)
    with Signals() as signals:
        signal.raise_signal(INT)
    assert signals.received is None
