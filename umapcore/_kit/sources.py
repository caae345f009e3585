"""Which source files a kernel depends on, and a digest of them: a change makes its code stale."""

from __future__ import annotations

import hashlib
import re
import sys
from functools import cache
from pathlib import Path

# Imports for type checkers are indented, so they do not match. `Later` is for modules that numba
# needs; see :mod:`umapcore._kit.later`.
_IMPORT = re.compile(r"^from (umapcore[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)
_LATER = re.compile(r'Later\("(umapcore[\w.]*)"\)')


def files_of(module: str) -> set[Path]:
    """Return the file of a module and those of all package modules that it imports.

    Modules that are not imported yet are found beside those that are.
    """
    files: set[Path] = set()
    seen: set[str] = set()
    left = {module}
    while left:
        name = left.pop()
        seen.add(name)
        file = _file_of(name)
        if file is not None and file not in files:
            files.add(file)
            left |= _imported(file) - seen
    return files


def digest_of(module: str) -> str:
    """Return a digest of the files that a module depends on."""
    digest = hashlib.sha256()
    for file in sorted(files_of(module)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _file_of(name: str) -> Path | None:
    """Return the file of a module; None for names that are no modules."""
    found = getattr(sys.modules.get(name), "__file__", None)
    if found is not None:
        return Path(found)
    parent, _, last = name.rpartition(".")
    folder = getattr(sys.modules.get(parent), "__file__", None)
    beside = None if folder is None else Path(folder).with_name(f"{last}.py")
    return beside if beside is not None and beside.is_file() else None


@cache
def _imported(file: Path) -> frozenset[str]:
    """Return the names of the package that a file imports at run time."""
    text = file.read_text(encoding="utf-8")
    found = set(_LATER.findall(text))
    for base, names in _IMPORT.findall(text):
        found |= {base, *(f"{base}.{name}" for name in re.findall(r"\w+", names))}
    return frozenset(found)
