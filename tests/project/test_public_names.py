"""What ``import umapcore`` offers: to programs, to type checkers and editors, to the log."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import umapcore


def _names_for_type_checkers() -> set[str]:
    tree = ast.parse(Path(str(umapcore.__file__)).read_text(encoding="utf-8"))
    guarded = (
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    imports = (node for body in guarded for node in body if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_type_checkers_see_every_public_name() -> None:
    assert _names_for_type_checkers() | {"__version__", "settings"} == set(umapcore.__all__)
    assert (Path(str(umapcore.__file__)).parent / "py.typed").is_file()


@pytest.mark.parametrize("name", umapcore.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(umapcore, name) is not None
    assert name in dir(umapcore)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="'umapcore' has no attribute 'umpa'"):
        _ = umapcore.umpa  # type: ignore[attr-defined]


def test_only_warnings_are_seen_unless_asked_for() -> None:
    code = (
        "from umapcore.logs import logger\n"
        "logger.info('what a run does')\n"
        "logger.warning('what was mended')\n"
        "assert not logger.handlers\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "what was mended\n")


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"settings.nthreads is no setting.*'n_threads'\?"):
        umapcore.settings.nthreads = 2  # type: ignore[attr-defined]
