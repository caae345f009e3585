"""How long numba compiled: the share of a first call that later calls do not have."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def counted_compiling(timings: dict[str, float]) -> Iterator[None]:
    """Add the seconds that numba compiles within the block to ``timings['compiling']``.

    Loading a kernel from the cache is not compiling. The seconds are a part of the stages in
    which they fall, not a stage of their own.
    """
    from numba.core.event import install_timer

    def add(seconds: float) -> None:
        timings["compiling"] = timings.get("compiling", 0.0) + seconds

    with install_timer("numba:compile", add):
        yield
