"""Exit codes, errors and warnings of one line, and a clean end on SIGTERM."""

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
# Commands that compare use the exit codes of cmp and diff.
DIFFERENT, TROUBLE = 1, USAGE


def one_line(error: Exception) -> str:
    """Return a message of one line for an error."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename2 or error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    # These types carry messages written for users; other errors need their type to make sense.
    if text and isinstance(error, (ValueError, TypeError, OSError, ImportError, RuntimeError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def reporting(*, verbose: bool) -> Iterator[None]:
    """Print warnings and log messages as single lines on stderr; end cleanly on SIGTERM."""

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
    # Only the main thread may set signal handlers; in another thread there is none.
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if in_main else None
    try:
        with warnings.catch_warnings():
            if not verbose:
                # These warnings of other packages are for their programmers, not for users.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
            warnings.showwarning = show  # type: ignore[assignment]
            yield
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
        logger.removeHandler(handler)
        logger.setLevel(level)
