"""Settings of the process. An environment variable sets the default of each."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass, field

from umapcore.errors import bad_type, bad_value, did_you_mean

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_MOST_THREADS = 2**31 - 1


@dataclass
class Settings:
    """Settings of every call that does not override them.

    Attributes
    ----------
    gpu_fallback
        True (default): ``method='rapids'`` without a usable GPU warns and runs on the CPU, which
        returns the same bits. False: it raises :class:`umapcore.errors.GPUUnavailableError`.
        Environment: ``UMAPCORE_GPU_FALLBACK``.
    n_threads
        Threads of the CPU backend. None (default) uses as many as there are processors that the
        process may use, or ``NUMBA_NUM_THREADS``. The bits do not depend on it.
        Environment: ``UMAPCORE_NUM_THREADS``.
    scratch_folder
        Folder for scratch files, which hold what is larger than memory. None (default): the
        system's folder for temporary files, :func:`tempfile.gettempdir`.
        Environment: ``UMAPCORE_SCRATCH_FOLDER``.
    """

    gpu_fallback: bool = field(default_factory=lambda: _flag("UMAPCORE_GPU_FALLBACK", default=True))
    n_threads: int | None = field(default_factory=lambda: _count("UMAPCORE_NUM_THREADS"))
    scratch_folder: str | None = field(
        default_factory=lambda: os.environ.get("UMAPCORE_SCRATCH_FOLDER") or None
    )

    def __setattr__(self, name: str, value: object) -> None:
        full_name = f"settings.{name}"
        if name not in self.__dataclass_fields__:
            known = ", ".join(self.__dataclass_fields__)
            msg = f"{full_name} is no setting; there are {known}."
            raise AttributeError(msg + did_you_mean(name, self.__dataclass_fields__))
        if name == "gpu_fallback" and not isinstance(value, bool):
            raise bad_type(full_name, value, "True or False")
        if name == "n_threads" and value is not None:
            value = _threads(full_name, value)
        if name == "scratch_folder" and value is not None:
            value = _folder(full_name, value)
        object.__setattr__(self, name, value)


def _threads(name: str, value: object) -> int:
    """Check a number of threads without NumPy, whose import takes longer than all of this one."""
    allowed = "None or an integer of at least 1"
    if type(value).__name__ in {"bool", "bool_"}:  # Python's, and NumPy's by both of its names
        raise bad_type(name, value, allowed)
    is_whole = getattr(value, "is_integer", None)  # floats, of NumPy too, as from YAML files
    if callable(is_whole) and is_whole():
        value = int(value)  # type: ignore[call-overload]
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise bad_type(name, value, allowed) from None
    if not 1 <= number <= _MOST_THREADS:
        raise bad_value(name, value, allowed)
    return number


def _folder(name: str, value: object) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise bad_type(name, value, "None or a folder")
    folder = os.fspath(value)
    if not os.path.isdir(folder):
        raise bad_value(name, folder, "None or a folder")
    return str(folder)


def _flag(variable: str, *, default: bool) -> bool:
    text = os.environ.get(variable, "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if not text:
        return default
    name = f"environment variable {variable}"
    raise bad_value(name, text, "0 or 1")


def _count(variable: str) -> int | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    # Python reads no integers of thousands of digits.
    if not text.isdecimal() or len(text) > len(str(_MOST_THREADS)) or int(text) < 1:
        name = f"environment variable {variable}"
        raise bad_value(name, text, "an integer of at least 1")
    return int(text)


settings = Settings()
