"""The result of one run of a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """An embedding, its time and its memory.

    Attributes
    ----------
    embedding
        Positions, (n, d).
    seconds
        Seconds of each stage; "optimise" or "whole" is the one that is compared.
    more_bytes
        Increase of memory at its peak if the program ran in a separate process, NaN if that
        process could not measure it. None if the program ran in this process.
    """

    embedding: NDArray[Any]
    seconds: dict[str, float]
    more_bytes: float | None = None


#: Runs a program once, after its warm-up.
Run = Callable[[], Outcome]
