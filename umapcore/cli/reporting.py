"""Exit codes, and errors and warnings of one line."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from umapcore.errors import NotEnoughMemoryError
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
# Commands that compare use the exit codes of cmp and diff.
DIFFERENT, TROUBLE = 1, USAGE
_FOR_USERS = (ValueError, TypeError, OSError, ImportError, RuntimeError, NotEnoughMemoryError)


def one_line(error: Exception) -> str:
    """Return a message of one line for an error."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return flat(f"{error.filename2 or error.filename}: {error.strerror}")
    text = flat(str(error))
    # These types carry messages written for users; other errors need their type to make sense.
    if text and isinstance(error, _FOR_USERS):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def flat(text: str) -> str:
    """Return a text in one line: names of files may have line ends too."""
    return " ".join(text.split())


@contextmanager
def reporting(*, verbose: bool) -> Iterator[None]:
    """Print warnings and log messages as single lines on stderr."""

    def show(
        message: Warning | str, _category: type[Warning], *_place: object, **_more: object
    ) -> None:
        print(f"umapcore: warning: {flat(str(message))}", file=sys.stderr)

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("umapcore: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        with warnings.catch_warnings():
            if not verbose:
                # These warnings of other packages are for their programmers, not for users.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
            warnings.showwarning = show  # type: ignore[assignment]
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
