"""What the command line says: exit codes, errors and warnings of one line, a tidy end."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
# Commands that compare end as cmp and diff do.
DIFFERENT, TROUBLE = 1, USAGE


def one_line(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename2 or error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    # The user's mistakes have messages written for users; the rest needs its kind to make sense.
    if text and isinstance(error, (ValueError, TypeError, OSError, ImportError, RuntimeError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def reporting(*, verbose: bool) -> Iterator[None]:
    """Warnings and log messages as single lines on stderr, and a tidy end when terminated."""

    def show(
        message: Warning | str, _category: type[Warning], *_place: object, **_more: object
    ) -> None:
        print(f"umapcore: warning: {' '.join(str(message).split())}", file=sys.stderr)

    def terminate(_number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("umapcore: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    # Only the main thread may handle signals; a caller's thread goes without.
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if in_main else None
    try:
        with warnings.catch_warnings():
            if not verbose:
                # Notices from the packages below to their programmers, not to users.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
            warnings.showwarning = show  # type: ignore[assignment]
            yield
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
        logger.removeHandler(handler)
        logger.setLevel(level)
