"""The seconds that numba compiles kernels."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_counting: list[dict[str, float]] = []


@contextmanager
def counted_compiling(timings: dict[str, float]) -> Iterator[None]:
    """Add the seconds that numba compiles within the block to ``timings['compiling']``.

    Loading a kernel from the cache does not count as compiling. The seconds are also included in
    the stages in which the compilation happens; they are not a separate stage.
    """
    _counting.append(timings)
    try:
        yield
    finally:
        _counting[:] = [other for other in _counting if other is not timings]


def count(seconds: float) -> None:
    """Add the seconds of a compilation wherever they are counted."""
    for timings in _counting:
        timings["compiling"] = timings.get("compiling", 0.0) + seconds
