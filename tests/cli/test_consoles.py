"""Consoles that lack characters: what is printed may look odd, and never ends a command."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.anndatas import sheet
from umapcore import cli

if TYPE_CHECKING:
    from pathlib import Path

    from umapcore.cli.parser import Parser

#: Western Windows in windows and in its older consoles, no language at all, and Japanese.
ENCODINGS = ("cp1252", "cp437", "ascii", "shift_jis")
NAME = "Zellen \N{GREEK SMALL LETTER ALPHA}\N{MULTIPLICATION SIGN}\N{SNOWMAN}"


class Console:
    """Streams like those of a process whose console has an encoding, within a block."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        # Python's own choice for stderr is this one, whatever the environment says.
        self._out, self._err = (self._stream(how) for how in ("strict", "backslashreplace"))

    def _stream(self, errors: str) -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BytesIO(), self.encoding, errors=errors, write_through=True)

    def __enter__(self) -> None:
        self._before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self._out, self._err
        cli._print_anything()

    def __exit__(self, *_: object) -> None:
        sys.stdout, sys.stderr = self._before

    @property
    def printed(self) -> list[str]:
        """What was printed on stdout and stderr."""
        found = []
        for stream in (self._out, self._err):
            stream.seek(0)
            found.append(stream.read())
        return found


@pytest.fixture(params=ENCODINGS)
def console(request: pytest.FixtureRequest) -> Console:
    return Console(request.param)


def test_an_embedding_with_a_progress_bar(console: Console, tmp_path: Path) -> None:
    source, target = tmp_path / f"{NAME}.h5ad", tmp_path / f"{NAME} 2.h5ad"
    cells = sheet(60)
    cells.obs[NAME] = NAME
    cells.write_h5ad(source)
    options = ("--maxiter", "9", "--init-pos", "random", "--progress", "-v")
    with console:
        assert cli.main(["embed", str(source), "-o", str(target), *options]) == 0
        assert cli.main(["verify", str(target)]) == 0
        assert cli.main(["compare", str(target), str(target)]) == 0
    out, err = console.printed
    assert "Zellen" in out
    assert "100%" in err


def test_errors_that_repeat_what_was_given(console: Console, tmp_path: Path) -> None:
    with console:
        assert cli.main(["embed", str(tmp_path / NAME), "-o", str(tmp_path / "out.h5ad")]) == 1
    assert "Zellen" in console.printed[1]


def test_info_and_help(console: Console) -> None:
    parsers: list[Parser] = [cli.make_parser()]
    commands = parsers[0]._subparsers
    assert commands is not None
    for action in commands._group_actions:
        assert isinstance(action.choices, dict)
        parsers += action.choices.values()
    assert len(parsers) > 8
    with console:
        assert cli.main(["info"]) == 0
        for parser in parsers:
            parser.print_help()
    assert "umapcore" in console.printed[0]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252:strict"])
def test_a_process(encoding: str, tmp_path: Path) -> None:
    target = tmp_path / "out.h5ad"
    source = tmp_path / f"{NAME}.h5ad"
    sheet(60).write_h5ad(source)
    command = "import sys; from umapcore.__main__ import run; sys.exit(run())"
    paths = os.pathsep.join(p for p in sys.path if p)
    options = ["--init-pos", "random", "--maxiter", "3", "--overwrite", "--progress"]
    done = subprocess.run(
        [sys.executable, "-c", command, "embed", str(source), "-o", str(source), *options],
        env={
            **os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0",
        },
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Zellen" in done.stdout
    assert not target.exists()
