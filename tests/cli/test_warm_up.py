"""``umapcore warm-up``: kernels compiled in other processes, and kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from umapcore import cli
from umapcore.cli import warm_up

ONE = "layouts in 3 dimensions"


def test_a_job_is_run_and_the_folder_is_said(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(warm_up, "USUAL", {ONE: warm_up.USUAL[ONE]})
    assert cli.main(["warm-up", "--processes", "1"]) == cli.OK
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(ONE)
    assert "compiled in" in first or "there already" in first
    assert "s; the kernels are kept in " in last
    assert cli.main(["warm-up"]) == cli.OK
    assert "there already" in capsys.readouterr().out


def test_an_error_of_a_job_is_its_result(monkeypatch: Any, capsys: Any) -> None:
    def fail() -> None:
        msg = "n_components=0 is not allowed"
        raise ValueError(msg)

    monkeypatch.setattr(warm_up, "USUAL", {"a": fail})
    warm_up.work("a")
    assert "n_components=0" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ('print(\'{"seconds": 1.5, "compiled": 2, "folders": ["/k"]}\')', 0, "compiled in 1.5 s"),
        ('print(\'{"error": "no compiler"}\')', 1, "failed: no compiler"),
        ("raise SystemExit('gone')", 1, "failed: gone"),
        ("raise SystemExit(9)", 1, "failed: it ended with exit code 9"),
        (
            'print(\'{"seconds": 1.5, "compiled": 2, "folders": ["/k"], "unsaved": 1}\')',
            1,
            "cannot be kept",
        ),
        (
            'print(\'{"seconds": 1.5, "compiled": 2, "folders": [], "unsaved": 1}\')',
            1,
            "NUMBA_CACHE_DIR",
        ),
        ('print(\'{"seconds": 0, "compiled": 0, "folders": []}\')', 0, "part of the installation"),
    ],
)
def test_what_is_said(code: str, exit_code: int, said: str, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(warm_up, "USUAL", {ONE: print})
    monkeypatch.setattr(warm_up, "_CODE", code)
    assert cli.main(["warm-up"]) == exit_code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
