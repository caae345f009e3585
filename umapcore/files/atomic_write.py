"""Write files and folders that get their names only when they are complete."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a path beside `target`: renamed to `target` on success, removed on failure.

    Parameters
    ----------
    target
        Path to write. An existing file is replaced by a file, an existing folder by a folder.

    Yields
    ------
    An unused path in the same folder; the caller creates a file or a folder there.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield beside
        if beside.is_dir():
            _sync_tree(beside)
            _swap_folder(beside, target)
        else:
            if target.exists():
                shutil.copymode(target, beside)
            _sync(beside)
            os.replace(beside, target)
    finally:
        remove(beside)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            _sync(folder / place / name)


def _swap_folder(beside: Path, target: Path) -> None:
    """Replace a folder by another, so that one of the two always exists."""
    if not target.exists():
        os.rename(beside, target)
        return
    shutil.copymode(target, beside)
    if _exchange(beside, target):
        return  # the old folder is now at `beside`; the caller removes it
    before = target.with_name(f".{target.name}.{os.getpid()}.before")
    try:
        os.rename(target, before)
        os.rename(beside, target)
    except BaseException:
        if before.exists() and not target.exists():
            os.rename(before, target)
        raise
    finally:
        remove(before)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names atomically; return False if the system cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    done = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return bool(done == 0)
