"""Find the shipped machine code for this processor, and call it.

The code is a shared library for each level of processors (:mod:`umapcore._kit.processor`), with a
list of the kernels in it, of the types of arguments that each was compiled for, and of the source
files. If a source file has changed since, the code is not used.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

from umapcore._kit.processor import level
from umapcore.logs import logger

#: Where the libraries are, and what their names end in, the same on every system.
FOLDER, ENDING = Path(__file__).parent / "code", ".kernels"
#: The folder of all packages: names of source files begin there.
_ROOT = Path(__file__).parents[3]
#: The number that a kernel returns when it has failed: numba's for an exception.
_FAILED = 1


class Library:
    """The shipped code for one level of processors.

    Parameters
    ----------
    path
        The shared library; its list is beside it.
    """

    def __init__(self, path: Path) -> None:
        described: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
        self.level: str = described["level"]
        self._forms: dict[str, dict[str, tuple[str, str]]] = described["kernels"]
        self._sources: dict[str, str] = described["sources"]
        self._loaded = ctypes.CDLL(str(path))
        self._found: dict[tuple[str, str], Code | None] = {}

    def changed_source(self) -> str | None:
        """Return a source file that is not as it was when the code was compiled, or None."""
        return next(
            (name for name, digest in self._sources.items() if digest_of(_source(name)) != digest),
            None,
        )

    def find(self, name: str, form: str) -> Code | None:
        """Return the code of a kernel for a form of arguments; None: it was not compiled for it."""
        key = name, form
        try:
            return self._found[key]
        except KeyError:
            found = self._found[key] = self._find(*key)
            return found

    def _find(self, name: str, form: str) -> Code | None:
        described = self._forms.get(name, {}).get(form)
        if described is None:
            logger.debug("no code is shipped for %s%s: it is compiled", name, form)
            return None
        symbol, returned = described
        return Code(getattr(self._loaded, symbol), returned)


class Code:
    """A kernel's code for one form of arguments."""

    def __init__(self, function: Any, returned: str) -> None:
        self._function = function
        self._function.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        self._is_tuple = returned.startswith("(")
        self._returned = struct.Struct("=" + returned.strip("()"))

    def __call__(self, words: list[int]) -> Any:
        given = struct.pack(f"={len(words)}q", *words)
        found = ctypes.create_string_buffer(self._returned.size)
        if self._function(given, found) == _FAILED:
            # Allocating is all that can fail in a kernel.
            msg = "a kernel could not allocate memory"
            raise MemoryError(msg)
        values = self._returned.unpack(found)
        if self._is_tuple:
            return values
        return values[0] if values else None


def digest_of(file: Path) -> str:
    """Return a digest of a source file, empty if it does not exist."""
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
    except OSError:
        return ""


def _source(name: str) -> Path:
    """Return the source file of a name such as ``umapcore/graph/csr.py``."""
    direct = _ROOT / name
    return direct if direct.exists() else _ROOT / "backends" / name


@cache
def shipped() -> Library | None:
    """Return the code that this process takes; None: kernels are compiled."""
    taken = level()
    path = FOLDER / f"{taken}{ENDING}"
    if taken is None or not path.exists():
        return None
    try:
        found = Library(path)
        changed = found.changed_source()
    except Exception as error:  # a damaged or foreign library: compiling still works
        logger.warning("the shipped kernels cannot be used, so they are compiled: %s", error)
        return None
    if changed is not None:
        logger.warning("%s has changed: kernels are compiled instead of taken as shipped", changed)
        return None
    return found
