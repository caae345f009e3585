"""Raise an exception at a chosen moment: at a line of the package, or at one of its allocations."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

#: Functions of NumPy that allocate, as the package calls them.
ALLOCATORS = (
    "empty", "zeros", "ones", "full", "arange", "empty_like", "zeros_like", "array", "asarray",
    "ascontiguousarray", "concatenate", "stack", "repeat", "cumsum", "bincount", "sort", "argsort",
    "unique", "where",
)  # fmt: skip


class Moments:
    """Counts moments and raises at one of them, once."""

    def __init__(self, at: int, error: type[BaseException]) -> None:
        self.at = at
        self.count = 0
        self._error = error

    def pass_one(self) -> None:
        self.count += 1
        if self.count == self.at:
            raise self._error


def _is_ours(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("umapcore")


@contextmanager
def at_line(at: int, error: type[BaseException] = KeyboardInterrupt) -> Iterator[Moments]:
    """Raise before a line of the package runs, as an interrupt may; counted in this thread."""
    moments = Moments(at, error)

    def local(frame: Any, event: str, arg: Any) -> Any:
        if event == "line":
            moments.pass_one()
        return local

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: local if _is_ours(frame) else None)
    try:
        yield moments
    finally:
        sys.settrace(before)


@contextmanager
def at_allocation(
    at: int, patch: pytest.MonkeyPatch, error: type[BaseException] = MemoryError
) -> Iterator[Moments]:
    """Raise when the package calls one of NumPy's functions that allocate."""
    moments = Moments(at, error)

    def failing(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if _is_ours(sys._getframe(1)):
                moments.pass_one()
            return function(*args, **options)

        return call

    with patch.context() as inner:
        for name in ALLOCATORS:
            inner.setattr(np, name, failing(getattr(np, name)))
        yield moments


def spread(count: int, tries: int) -> list[int]:
    """Numbers from 1 to `count`, evenly, both ends included; all of them if there are few."""
    return sorted({1 + round(k * (count - 1) / max(1, tries - 1)) for k in range(tries)})
