"""Settings of the process. An environment variable sets the default of each."""

from __future__ import annotations

import operator
import os
import re
from dataclasses import dataclass, field

from umapcore.errors import bad_type, bad_value, did_you_mean

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_MOST_THREADS = 2**31 - 1
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kmgt]?)(i?)b?", re.IGNORECASE | re.ASCII)


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
    memory_limit
        Most memory of the process while it lays out a graph on the CPU: bytes, or a text such as
        ``'6GB'`` or ``'6GiB'``. None (default): what the system can give. Larger graphs are kept
        in files. The bits do not depend on it. Environment: ``UMAPCORE_MEMORY_LIMIT``.
    scratch_dir
        Folder of these files, on a disk. None (default) takes the system's folder for temporary
        files. Environment: ``UMAPCORE_SCRATCH_DIR``.
    """

    gpu_fallback: bool = field(default_factory=lambda: _flag("UMAPCORE_GPU_FALLBACK", default=True))
    n_threads: int | None = field(default_factory=lambda: _count("UMAPCORE_NUM_THREADS"))
    memory_limit: int | str | None = field(default_factory=lambda: _size("UMAPCORE_MEMORY_LIMIT"))
    scratch_dir: str | os.PathLike[str] | None = field(
        default_factory=lambda: os.environ.get("UMAPCORE_SCRATCH_DIR", "").strip() or None
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
        if name == "memory_limit":
            value = memory_size(full_name, value)
        if name == "scratch_dir" and value is not None:
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


def memory_size(name: str, value: object) -> int | None:
    """Return a limit in bytes; None for none.

    Raises
    ------
    ValueError, TypeError
        When it is neither a whole number of bytes above 0 nor a text such as '6GB'.
    """
    allowed = "None, bytes, or a text such as '6GB' or '6GiB', above 0"
    if value is None:
        return None
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            raise bad_value(name, value, allowed)
        number, unit, binary = found.groups()
        size = int(float(number) * (1024 if binary else 1000) ** _UNITS[unit.lower()])
    else:
        if type(value).__name__ in {"bool", "bool_"}:
            raise bad_type(name, value, allowed)
        is_whole = getattr(value, "is_integer", None)
        if callable(is_whole) and is_whole():
            value = int(value)  # type: ignore[call-overload]
        try:
            size = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise bad_type(name, value, allowed) from None
    if size < 1:
        raise bad_value(name, value, allowed)
    return size


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


def _size(variable: str) -> int | None:
    text = os.environ.get(variable, "").strip()
    return memory_size(f"environment variable {variable}", text) if text else None


settings = Settings()
