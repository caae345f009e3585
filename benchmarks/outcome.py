"""What one run of a program gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """An embedding and what it took.

    Attributes
    ----------
    embedding
        (n, d).
    seconds
        Of each stage, of which "optimise" or "whole" is what counts.
    more_bytes
        Peak memory above what was held before, when the program ran in a process of its own; NaN
        when that process could not tell. None: it ran in this one.
    """

    embedding: NDArray[Any]
    seconds: dict[str, float]
    more_bytes: float | None = None


#: Runs a program once; it is warmed up already.
Run = Callable[[], Outcome]
