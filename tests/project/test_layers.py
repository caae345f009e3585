"""Imports run downwards only: the layers are those of docs/contributing.md."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FACADE = "umapcore"


def _layers() -> list[list[str]]:
    """Read the table: rooms or modules by layer, the top one first."""
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    block = re.search(r"## Layers\n.*?```text\n(.*?)```", text, re.DOTALL)
    assert block is not None
    names = (re.split(r"  {3,}|\n", line)[0].split() for line in block[1].splitlines())
    return [[n if n.startswith("umapcore_") else f"{FACADE}.{n}" for n in row] for row in names]


def _modules() -> dict[str, Path]:
    folders = (ROOT / "umapcore", *(ROOT / "backends").glob("umapcore_*"))
    files = (file for folder in folders for file in folder.rglob("*.py"))
    starts = {
        file: ROOT if ROOT / "umapcore" in file.parents else ROOT / "backends" for file in files
    }
    found = {}
    for file, start in starts.items():
        parts = file.relative_to(start).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = _modules()


def _imports(module: str) -> set[str]:
    """Modules of ours that one imports anywhere, for type checkers alone included."""
    named = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            named |= {name if name in MODULES else node.module for name in inner}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            named |= {str(getattr(arg, "value", "")) for arg in node.args}
    return {name for name in named if name in MODULES and name != module}


LEVELS = {name: level for level, row in enumerate(_layers()) for name in row}


def _layer(module: str) -> int:
    """Return the layer of a module: that of the longest name in the table it begins with."""
    parts = module.split(".")
    for k in range(len(parts), 0, -1):
        if ".".join(parts[:k]) in LEVELS:
            return LEVELS[".".join(parts[:k])]
    pytest.fail(f"{module} is in no layer")


#: The façade names everything lazily, and nothing in the package takes anything from it.
INNER = sorted(set(MODULES) - {FACADE})


def test_every_name_of_the_table_is_there() -> None:
    assert [name for row in _layers() for name in row if name not in MODULES] == []


def test_no_import_goes_up() -> None:
    up = [
        f"{module} imports {name}"
        for module in INNER
        for name in _imports(module)
        if name == FACADE or _layer(name) < _layer(module)
    ]
    assert up == []


def test_no_circle() -> None:
    try:
        TopologicalSorter({name: _imports(name) for name in INNER}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
