"""Files of compiled kernels: one file for each form of a kernel's arguments.

numba lists the files of a kernel in an index and numbers them. If two processes compile two forms
at the same time, both can read the same index and take the same number. The code of one form is
then called with arguments of the other, and returns nonsense. Here a file's name follows from its
form, the file says what it holds, and it appears whole or not at all. No file lists others, so
processes, also of several machines, can share a folder.
"""

from __future__ import annotations

import glob
import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core.serialize import dumps

from umapcore._kit.file_names import write_whole

if TYPE_CHECKING:
    from collections.abc import Hashable

_ENDING = ".nbc"


class KernelFiles:
    """The files of one kernel; it takes the place of numba's ``IndexDataCacheFile``.

    Parameters
    ----------
    folder
        Folder of the files.
    name
        Beginning of their names, different for every kernel.
    stamp
        What the code was compiled from. Files with another stamp are ignored, and replaced when
        their form is compiled again.
    """

    def __init__(self, folder: str, name: str, stamp: Hashable) -> None:
        self._folder, self._name = Path(folder), name
        self._stamp = numba.__version__, stamp

    def load(self, form: Hashable) -> Any:
        """Return the code for a form; None if there is none.

        Raises
        ------
        Exception
            Anything, when the file is damaged or cannot be read.
        """
        try:
            file = self._path(form).open("rb")
        except FileNotFoundError:
            return None
        with file:
            if pickle.load(file) != self._stamp:
                return None
            known, digest = pickle.load(file)
            payload = file.read()
        if known != form:
            return None
        if _digest(payload) != digest:
            msg = f"{self._path(form)} is damaged"
            raise ValueError(msg)
        return pickle.loads(payload)

    def save(self, form: Hashable, code: Any) -> None:
        """Write the code for a form.

        Raises
        ------
        OSError
            When it cannot be written.
        """
        payload = dumps(code)
        head = dumps(self._stamp) + dumps((form, _digest(payload)))
        write_whole(self._path(form), head + payload)

    def is_empty(self) -> bool:
        """Return whether there is no form of the kernel."""
        return not any(
            map(self._is_fresh, self._folder.glob(f"{glob.escape(self._name)}.*{_ENDING}"))
        )

    def _is_fresh(self, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                return bool(pickle.load(file) == self._stamp)
        except Exception:  # a damaged file can raise anything
            return False

    def _path(self, form: Hashable) -> Path:
        # Every version of numba has its own files. Not the stamp, or old files would remain.
        short = hashlib.blake2b(repr((numba.__version__, form)).encode(), digest_size=8).hexdigest()
        return self._folder / f"{self._name}.{short}{_ENDING}"


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
