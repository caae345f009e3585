"""Names of files on every system, and the renaming of complete files."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WINDOWS = os.name == "nt"
#: Names of devices on Windows, also with an ending: ``con.h5ad`` is the console.
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])", re.IGNORECASE)
#: Of these, the colon would write to a hidden stream of the file that is named before it.
_REFUSED = re.compile(r'[<>:"|?*\\/\x00-\x1f]')
#: Most bytes of a name; on Windows, units of UTF-16.
_LONGEST = 255
#: Most characters of a path on Windows, unless the system has been told to allow more.
_LONGEST_PATH = 259
#: Characters of the target's name in the temporary one, which may have 255 bytes at most.
_KEPT = 50
_BESIDE = re.compile(r"\.(?P<target>.+)\.[0-9a-f]{16}\.(?P<ending>\w+)", re.DOTALL)
#: How often a renaming is tried on Windows, and the seconds between two tries.
_TRIES, _PAUSE = 20, 0.05


def check_file_name(path: Path) -> None:
    """Refuse the name of a file that the system cannot make, or would make something else of.

    Raises
    ------
    ValueError
        The message contains the path and says what is not allowed.
    """
    name, wrong = path.name, None
    size = len(name.encode("utf-16-le")) // 2 if WINDOWS else len(os.fsencode(name))
    if "\0" in str(path):
        wrong = "a path must not contain a null character"
    elif size > _LONGEST:
        unit = "characters" if WINDOWS else "bytes"
        wrong = f"its name has {size} {unit}, and {_LONGEST} are allowed"
    elif WINDOWS and (found := _REFUSED.search(name)):
        wrong = f"on Windows, a name must not contain {found.group()!r}"
    elif WINDOWS and name != name.rstrip(". "):
        wrong = "on Windows, a name must not end in a dot or a space"
    elif WINDOWS and _DEVICES.fullmatch(name.partition(".")[0].rstrip(" ")):
        wrong = "on Windows, this is the name of a device"
    if wrong is not None:
        msg = f"{str(path)!r}: {wrong}; give another name."
        raise ValueError(msg)


def beside(target: Path, ending: str) -> Path:
    """Return a name in the folder of `target` that no other writer has, on any machine."""
    return target.with_name(f".{target.name[:_KEPT]}.{os.urandom(8).hex()}.{ending}")


def all_beside(target: Path, ending: str) -> list[Path]:
    """Return what is there under the names that `beside` gives."""
    there = target.parent.iterdir()
    return [path for path in there if target_of(path, ending) == target.name[:_KEPT]]


def target_of(path: Path, ending: str) -> str | None:
    """Return how the target's name begins, if `beside` gives names like this one; else None."""
    found = _BESIDE.fullmatch(path.name)
    return found["target"] if found and found["ending"] == ending else None


def replace(source: Path, target: Path) -> None:
    """Give a complete file the name `target`, whether or not there is a file of that name.

    On Windows this is not possible while another program has the target open, as a virus scanner
    may for a moment. It is tried again for a second.

    Raises
    ------
    OSError
        When it is not possible; both files are then as they were.
    """
    for left in reversed(range(_TRIES if WINDOWS else 1)):
        try:
            os.replace(source, target)
        except PermissionError:
            if not left:
                raise
            time.sleep(_PAUSE)
        else:
            return


def write_whole(target: Path, content: bytes) -> None:
    """Write a file that all others see whole or not at all.

    Raises
    ------
    OSError
        When it cannot be written; `target` is then as it was.
    """
    unfinished = beside(target, "part")
    try:
        unfinished.write_bytes(content)
        replace(unfinished, target)
    finally:
        # It still exists only if something failed or the user interrupted.
        with suppress(OSError):
            unfinished.unlink()


def explained(error: OSError, target: Path) -> OSError:
    """Return an error of the system with the name of the target, and what may be the reason."""
    text = error.strerror or str(error)
    if WINDOWS and isinstance(error, PermissionError):
        text += "; is it open in another program?"
    length = len(str(target.absolute()))
    if WINDOWS and length > _LONGEST_PATH:
        text += f"; its path has {length} characters, of which Windows may allow {_LONGEST_PATH}"
    return OSError(error.errno, text, str(target))
