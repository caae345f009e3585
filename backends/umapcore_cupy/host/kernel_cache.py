"""A cache of compiled kernels, in the process and on disk.

An entry is used only if it is complete and belongs to the key. Its file holds digests of the key
and of the payload, so a damaged, shortened, renamed or foreign file is a miss. If nothing can be
written, every process compiles the kernels once.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from umapcore._kit.file_names import target_of, write_whole
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

#: Number of entries kept on disk: the most recently used ones.
MOST_ENTRIES = 64

_MAGIC = b"umapcore kernel 2\n"
# Magic, digest of the key, digest of the payload, bytes of the payload.
_HEADER = struct.Struct(f"<{len(_MAGIC)}s32s32sQ")
# Nothing else in the folder is ever touched: the user may keep other files in it.
_ENTRY = re.compile(r"[0-9a-f]{64}\.kernel")
_BEGINNING = re.compile(r"[0-9a-f]{50,64}")
_ABANDONED_AFTER_S = 3600.0

_in_process: dict[str, bytes] = {}


def digest(*parts: str | bytes) -> str:
    """Make a key from everything that a compiled kernel depends on.

    Every part is hashed with its length, so that no two lists of parts give the same key.
    """
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(struct.pack("<Q", len(data)))
        whole.update(data)
    return whole.hexdigest()


def cached(key: str, build: Callable[[], bytes]) -> bytes:
    """Return the entry of a key: from this process, from disk, or built and kept in both."""
    payload = _in_process.get(key)
    if payload is None:
        payload = _load(key)
        if payload is None:
            payload = build()
            _store(key, payload)
        _in_process[key] = payload
    return payload


def folder() -> Path | None:
    """Return the folder of the entries on disk.

    ``$UMAPCORE_CACHE_DIR/kernels``, or ``umapcore/kernels`` in the platform's folder for caches;
    None if there is no such folder (an account without a home folder).
    """
    try:
        if given := os.environ.get("UMAPCORE_CACHE_DIR"):
            return Path(given).expanduser().absolute() / "kernels"
        return _platform_folder() / "umapcore" / "kernels"
    except RuntimeError as error:  # Path.home() without a home folder
        logger.debug("no folder to cache kernels in: %s", error)
        return None


def contents() -> tuple[int, int]:
    """Return the number of entries on disk and their bytes."""
    sizes = [size for _, size, _ in _entries(folder())]
    return len(sizes), sum(sizes)


def _platform_folder() -> Path:
    if sys.platform == "win32":
        given = os.environ.get("LOCALAPPDATA")
        return Path(given) if given else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = os.environ.get("XDG_CACHE_HOME")
    # Its specification says that a relative path must be ignored.
    return Path(given) if given and Path(given).is_absolute() else Path.home() / ".cache"


def _load(key: str) -> bytes | None:
    place = folder()
    if place is None:
        return None
    path = place / f"{key}.kernel"
    try:
        data = path.read_bytes()
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            logger.debug("could not read a cached kernel: %s", error)
        return None
    payload = data[_HEADER.size :]
    if data[: _HEADER.size] != _header(key, payload):
        logger.debug("ignoring a damaged or foreign cached kernel: %s", path)
        return None
    with suppress(OSError):
        os.utime(path)  # time of last use: the oldest entries are dropped first
    return payload


def _header(key: str, payload: bytes) -> bytes:
    own = hashlib.sha256(key.encode()).digest()
    return _HEADER.pack(_MAGIC, own, hashlib.sha256(payload).digest(), len(payload))


def _store(key: str, payload: bytes) -> None:
    place = folder()
    if place is None:
        return
    path = place / f"{key}.kernel"
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_whole(path, _header(key, payload) + payload)
    except OSError as error:  # a read-only or full disk: the run goes on
        logger.debug("could not cache a kernel: %s", error)
        return
    _drop_oldest(place)


def _drop_oldest(place: Path) -> None:
    by_age = sorted(_entries(place), key=lambda entry: entry[2], reverse=True)
    stale = [path for path, _, _ in by_age[MOST_ENTRIES:]]
    with suppress(OSError):
        for path in place.iterdir():
            # Left by a killed process; a newer one may be about to be renamed.
            if _BEGINNING.fullmatch(target_of(path, "part") or ""):
                age = time.time() - path.stat().st_mtime
                stale += [path] if age > _ABANDONED_AFTER_S else []
    for path in stale:
        with suppress(OSError):
            path.unlink()


def _entries(place: Path | None) -> list[tuple[Path, int, float]]:
    """List path, bytes and time of last use of every entry in a folder."""
    found = []
    with suppress(OSError):
        for path in place.iterdir() if place is not None else ():
            if _ENTRY.fullmatch(path.name):
                with suppress(OSError):  # another process may be dropping it
                    status = path.stat()
                    found.append((path, status.st_size, status.st_mtime))
    return found
