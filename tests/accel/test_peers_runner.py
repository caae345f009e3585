"""``tests/accel/peers/run.py`` tells what is expected from what is not."""

from __future__ import annotations

import importlib
import os
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PEERS = Path(__file__).parent / "peers"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PEERS)
    run = importlib.import_module("run")
    monkeypatch.setattr(run, "version", lambda _name: "0")
    return run


@pytest.mark.parametrize(
    ("results", "taken", "good", "said"),
    [
        ({"a": "passed", "b": "failure"}, 1, True, "1 differs as expected, 1 passed"),
        ({"a": "failure", "b": "failure"}, 1, False, "FAILED     a"),
        ({"a": "error", "b": "failure"}, 1, False, "FAILED     a"),
        ({"a": "passed", "b": "passed"}, 1, False, "take it off the list"),
        ({"a": "skipped", "b": "failure"}, 1, True, "skipped    a"),
        ({"a": "passed", "b": "failure"}, 0, False, "nothing was done by umapcore"),
        ({}, 0, False, "nothing ran"),
    ],
)
def test_verdict(
    results: dict[str, str],
    taken: int,
    good: bool,
    said: str,
    runner: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcomes = [runner.Outcome(test, result, "", taken, 0) for test, result in results.items()]
    options = SimpleNamespace(original=False, k=None, file=None)
    assert runner._report(runner.PEERS[0], outcomes, {"b": "because"}, options) == good
    assert said in capsys.readouterr().out


def test_wrong_usage(runner: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        runner.main(["--scanpy", str(tmp_path)])
    assert left.value.code == 2
    assert "has no folder tests" in capsys.readouterr().err


def test_list_names_tests_that_are_run(runner: Any) -> None:
    listed = tomllib.loads((PEERS / "differs.toml").read_text(encoding="utf-8"))["differs"]
    files = {f"{peer.name}: {name}" for peer in runner.PEERS for name in peer.tests}
    for entry in listed:
        assert entry["test"].partition("::")[0] in files
        assert entry["why"].strip()


def test_the_tree_beside_it_is_used(runner: Any) -> None:
    assert any(
        (Path(folder) / "umapcore" / "version.py").is_file()
        for folder in runner._environment()["PYTHONPATH"].split(os.pathsep)[1:2]
    )
