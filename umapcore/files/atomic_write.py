"""Write files and folders that get their names only when they are complete."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from umapcore._kit import file_names
from umapcore._kit.file_names import check_file_name, explained
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Signals that end a program; Windows has no SIGHUP.
ENDING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
_AT_FDCWD = -100
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
#: Errors of renameat2 on a file system, or a kernel, that does not know the flag.
_UNKNOWN_FLAG = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}
#: How often the removal of what others may still use is tried, and the seconds between two tries.
_TRIES, _PAUSE = 20, 0.05

_records: list[list[Path]] = []


@contextmanager
def atomic_write(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a path beside `target`: renamed to `target` on success, removed on failure.

    Signals that end the program wait while names change, so that they leave nothing behind.

    Parameters
    ----------
    target
        Path to write. An existing file is replaced by a file, an existing folder by a folder.
    overwrite
        Whether an existing target is replaced, also one that appears in the meantime.

    Yields
    ------
    An unused path in the same folder; the caller creates a file or a folder there.

    Raises
    ------
    FileExistsError
        When there is a target at the end, and `overwrite` is false. It is left as it is.
    ValueError
        When the system does not allow the target's name.
    """
    check_file_name(target)
    beside = file_names.beside(target, "part")
    try:
        yield beside
        _sync(beside)
        with _signals_waiting():
            if not overwrite:
                _rename_without_replacing(beside, target)
            elif beside.is_dir():
                _swap_folder(beside, target)
            else:
                if target.exists():
                    shutil.copymode(target, beside)
                file_names.replace(beside, target)
            for record in _records:
                record.append(target)
    except OSError as error:
        names = f"{error.filename}\n{error.filename2}"
        if str(beside) not in names and error.filename2 is None:
            raise
        # The user knows the target by its own name.
        raise explained(error, target) from error
    finally:
        # What is there now is incomplete, or the folder that was replaced.
        with _signals_waiting():
            _remove_or_say(beside)


@contextmanager
def recorded() -> Iterator[list[Path]]:
    """Yield a list that receives the targets that are written within the block."""
    written: list[Path] = []
    _records.append(written)
    try:
        yield written
    finally:
        _records.remove(written)


def there_already(target: Path, what: str = "there already") -> FileExistsError:
    """Return the error for a target that must not be replaced; the caller raises it."""
    return FileExistsError(f"{target}: is {what}; use --overwrite to replace it.")


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        for left in reversed(range(_TRIES)):
            try:
                shutil.rmtree(path)
            except OSError:  # zarr's threads may still write what an interrupted call has begun
                if not left:
                    raise
                time.sleep(_PAUSE)
            else:
                break
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _remove_or_say(path: Path) -> None:
    """Remove a temporary file or folder; what has become of the target is known already."""
    try:
        remove(path)
    except OSError as error:
        logger.warning("%s is left and can be removed: %s", path, error.strerror or error)


def _sync(path: Path) -> None:
    if path.is_dir():
        for place, _, names in os.walk(path):
            for name in names:
                _sync(path / place / name)
        return
    # Windows needs a file that may be written to; elsewhere a read-only one will do.
    opened = os.open(path, os.O_RDWR if file_names.WINDOWS else os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _rename_without_replacing(beside: Path, target: Path) -> None:
    """Rename a file or folder; raise FileExistsError if the new name is taken."""
    try:
        if _renameat2(beside, target, _RENAME_NOREPLACE):
            return
        if file_names.WINDOWS:  # there, a rename never replaces
            os.rename(beside, target)
            return
        # Only one writer can create the name; that one then replaces what it has created.
        if beside.is_dir():
            target.mkdir()
        else:
            target.touch(exist_ok=False)
    except FileExistsError:
        raise there_already(target) from None
    try:
        file_names.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            target.rmdir() if target.is_dir() else target.unlink()
        raise


def _swap_folder(beside: Path, target: Path) -> None:
    """Replace a folder by another, so that one of the two always exists."""
    if not target.exists():
        os.rename(beside, target)
        return
    shutil.copymode(target, beside)
    if _renameat2(beside, target, _RENAME_EXCHANGE):
        return  # the old folder is now at `beside`; the caller removes it
    before = file_names.beside(target, "before")
    try:
        os.rename(target, before)
        os.rename(beside, target)
    except BaseException:
        if before.exists() and not target.exists():
            os.rename(before, target)
        raise
    finally:
        _remove_or_say(before)


def _renameat2(one: Path, other: Path, flag: int) -> bool:
    """Rename as Linux can; return False if this system or file system cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(flag)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN_FLAG:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


@contextmanager
def _signals_waiting() -> Iterator[None]:
    """Let the signals that end programs wait until the block has run.

    A mask would not do: the system would give the signal to another thread of the process.
    """
    with ExitStack() as stack:
        # Signals are handled in the main thread alone.
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                stack.enter_context(_waiting(number))
        yield


@contextmanager
def _waiting(number: int) -> Iterator[None]:
    handler = signal.getsignal(number)
    if handler is None:  # not Python's, so it could not be put back
        yield
        return
    caught: list[int] = []
    signal.signal(number, lambda *_: caught.append(number))
    try:
        yield
    finally:
        signal.signal(number, handler)
        if caught:
            signal.raise_signal(number)
