"""Children, threads, signals and limits of the system: never a hang, a crash or half a file.

The children are forks of this process: what a new one would import is there already.
``UMAPCORE_EXAMPLES=200 pytest tests/faults`` tries as many moments and limits.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support import graphs
from tests.support.anndatas import sheet
from tests.support.fingerprint import elements
from tests.support.forks import RAISED, Ended, in_child
from umapcore import OptimizerSpec, cli, simplicial_set_embedding
from umapcore.files.anndata_files import read_file, write_with
from umapcore.files.atomic_write import remove
from umapcore.runs.digest import positions_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

resource = pytest.importorskip("resource", reason="the system has no limits of processes")

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
    # Python warns of forks of processes with threads; that they work is tested here.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

TRIES = int(os.environ.get("UMAPCORE_EXAMPLES", "4"))
MIB = 2**20
#: Forms of the test of signals that are always run.
SHORT = (
    ("h5ad", signal.SIGINT, False),
    ("h5ad", signal.SIGTERM, True),
    ("h5ad", signal.SIGKILL, True),
    ("zarr", signal.SIGTERM, False),
)


def laid_out(n_threads: int | None = None) -> str:
    graph = graphs.hub(700)
    found = simplicial_set_embedding(
        graph,
        OptimizerSpec(n_epochs=20),
        init=graphs.random_start(700, 2),
        progress=False,
        n_threads=n_threads,
    )
    return positions_digest(found)


def say(text: str) -> int:
    os.write(1, text.encode())
    return 0


def test_forks_and_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore_numba.backend.useful_workers", lambda plan, threads: threads)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    expected = laid_out()
    assert in_child(lambda: say(laid_out())) == Ended(0, expected)
    assert in_child(lambda: say(in_child(lambda: say(laid_out())).said)) == Ended(0, expected)
    found: dict[int, str] = {}

    def work(i: int) -> None:
        found[i] = laid_out([None, 1, 2, 3][i % 4])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    child = in_child(lambda: say(laid_out()))
    for thread in threads:
        thread.join(120)
    assert found == dict.fromkeys(range(6), expected)
    assert child == Ended(0, expected)
    assert laid_out() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity")
def test_many_workers_on_one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system interrupts each of them anywhere, for as long as all others take."""
    expected = laid_out(1)
    monkeypatch.setattr("umapcore_numba.backend.useful_workers", lambda plan, threads: threads)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "64")
    one = {min(os.sched_getaffinity(0))}
    for workers in (3, 20, 64):
        ended = in_child(
            lambda workers=workers: say(laid_out(workers)),
            prepare=lambda: os.sched_setaffinity(0, one),
        )
        assert ended == Ended(0, expected)


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An object on disk, h5ad or zarr."""
    folder = tmp_path / "source"
    folder.mkdir()
    sheet(60).write_h5ad(folder / "in.h5ad")
    if getattr(request, "param", "h5ad") == "h5ad":
        return folder / "in.h5ad"
    pytest.importorskip("zarr")
    write_with(folder / "in.h5ad", folder / "in.zarr", {})
    return folder / "in.zarr"


def embed(source: Path, target: Path, *options: str) -> int:
    given = ["embed", str(source), "-o", str(target), "--overwrite", "--init-pos", "random"]
    return cli.main([*given, "--maxiter", "20", *options])


def content(path: Path) -> Any:
    return elements(read_file(path)) if path.exists() else None


def moments(count: int, until: float) -> Iterator[float]:
    rng = random.Random(0)
    for k in range(count):
        yield until * (k + rng.random()) / count


@pytest.mark.parametrize(
    ("source", "number", "there_before"),
    [
        pytest.param(
            source,
            number,
            there_before,
            id=f"{source}, {number.name}, {'there before' if there_before else 'new'}",
            marks=[] if (source, number, there_before) in SHORT else pytest.mark.slow,
        )
        for source in ("h5ad", "zarr")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
        for there_before in (False, True)
    ],
    indirect=["source"],
)
def test_signals_at_any_moment(
    source: Path, number: signal.Signals, there_before: bool, tmp_path: Path
) -> None:
    target = tmp_path / f"out{source.suffix}"
    assert embed(source, target) == 0
    complete, old = content(target), content(source) if there_before else None

    def restore() -> None:
        for path in (target, *tmp_path.glob(".*")):
            remove(path)
        if there_before:
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)

    restore()
    began = time.monotonic()
    assert in_child(lambda: embed(source, target)).code == 0
    whole = time.monotonic() - began
    codes = {signal.SIGINT: 130, signal.SIGTERM: 128 + 15, signal.SIGKILL: -9}
    for moment in moments(TRIES, 1.1 * whole):
        restore()
        ended = in_child(lambda: embed(source, target), signal_after=(number, moment))
        # At its ends the command has no handler yet, or no longer.
        assert ended.code in (0, codes[number], -number, RAISED), ended
        assert ended.code != RAISED or "KeyboardInterrupt" in ended.said, ended
        assert content(target) in (old, complete), (ended, moment)
        if number != signal.SIGKILL and ended.code != -number:
            left = {path.name for path in tmp_path.iterdir()} - {source.parent.name, target.name}
            assert not left, (ended, moment)


@pytest.mark.parametrize("source", ["h5ad", "zarr"], indirect=True)
def test_files_that_may_not_grow(source: Path, tmp_path: Path) -> None:
    """As on a full disk; not even the size of a file is known to be left."""
    target = tmp_path / f"out{source.suffix}"
    assert embed(source, target) == 0
    whole = source.stat().st_size if source.is_file() else 4000
    remove(target)

    def limit(size: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    for share in moments(TRIES, 0.95):
        ended = in_child(
            lambda: embed(source, target), prepare=lambda share=share: limit(int(share * whole))
        )
        assert ended.code in (1, 0), ended
        if ended.code == 1:
            assert "Traceback" not in ended.said
            assert ended.said.strip().splitlines()[-1].startswith("umapcore embed: error: ")
            assert not target.exists()
            assert {path.name for path in tmp_path.iterdir()} == {source.parent.name}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")
def test_address_space_that_runs_out(source: Path, tmp_path: Path) -> None:
    """The command says so in one line; a limit in a library may kill it, but leaves nothing."""
    target = tmp_path / "out.h5ad"
    assert embed(source, target) == 0
    target.unlink()
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for spare in moments(TRIES, 64.0):
        size = now + int(spare * MIB)
        ended = in_child(
            lambda: embed(source, target),
            prepare=lambda size=size: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
        )
        assert ended.code in (0, 1), ended
        assert target.exists() == (ended.code == 0)
        assert "Traceback" not in ended.said
        assert {path.name for path in tmp_path.iterdir()} <= {source.parent.name, target.name}
        target.unlink(missing_ok=True)


@pytest.mark.parametrize("damage", ["bit", "cut", "zeros"])
def test_damaged_files_are_refused_in_one_line(damage: str, source: Path, tmp_path: Path) -> None:
    good = source.read_bytes()
    rng = np.random.default_rng(0)
    target = tmp_path / "out.h5ad"
    for _ in range(TRIES):
        bad = bytearray(good)
        at = int(rng.integers(len(bad)))
        if damage == "bit":
            bad[at] ^= 1 << int(rng.integers(8))
        elif damage == "cut":
            del bad[at:]
        else:
            bad[at : at + 64] = bytes(len(bad[at : at + 64]))
        source.write_bytes(bad)
        ended = in_child(lambda: embed(source, target), patience=20)
        if ended.code == -signal.SIGKILL:
            continue  # HDF5 itself may search a damaged index for ever
        assert ended.code in (0, 1), ended
        if ended.code == 1:
            assert not target.exists()
            assert "Traceback" not in ended.said
            assert ended.said.strip().splitlines()[-1].startswith("umapcore embed: error: ")
        target.unlink(missing_ok=True)
