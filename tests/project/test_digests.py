"""Digests of several machines are compared as `tests/support/digests.py` promises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import digests, golden

if TYPE_CHECKING:
    from pathlib import Path

BOTH = {"plans: hub": "aa", "starts: hub": "bb"}


@pytest.mark.parametrize(
    ("machines", "code", "said"),
    [
        ([BOTH, BOTH, BOTH], 0, "2 digests are equal on 3 machines"),
        ([BOTH, BOTH | {"starts: hub": "cc"}], 1, "| starts: hub | bb | cc |"),
        ([BOTH, {"starts: hub": "bb"}], 0, "2 digests are equal on 2 machines"),
        ([BOTH, {"starts: hub": "cc"}, BOTH], 1, "| starts: hub | bb | cc | bb |"),
        ([BOTH], 1, "nothing to compare"),
        ([{}, {}], 1, "nothing to compare"),
    ],
)
def test_compare(
    machines: list[dict[str, str]],
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [tmp_path / f"machine{i}.json" for i in range(len(machines))]
    for file, found in zip(files, machines, strict=True):
        file.write_text(json.dumps({"where": "here", "digests": found}))
    assert digests.main(["compare", *map(str, files)]) == code
    assert said in capsys.readouterr().out


def test_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "SECTIONS", {"plans": lambda method: {"hub": method}})
    file = tmp_path / "new" / "here.json"
    assert digests.main(["write", str(file)]) == 0
    assert json.loads(file.read_text())["digests"] == {"plans: hub": "umap"}
