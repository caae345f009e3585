"""Measure numba's compile time, the part of a first call that later calls do not need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def counted_compiling(timings: dict[str, float]) -> Iterator[None]:
    """Add the seconds that numba compiles within the block to ``timings['compiling']``.

    Loading a kernel from the cache does not count as compiling. The seconds are also included in
    the stages in which the compilation happens; they are not a separate stage.
    """
    from numba.core.event import install_timer

    def add(seconds: float) -> None:
        timings["compiling"] = timings.get("compiling", 0.0) + seconds

    with install_timer("numba:compile", add):
        yield
