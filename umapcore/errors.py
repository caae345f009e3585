"""Errors for bad input. Every message names the parameter, its value and what is allowed."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class GPUUnavailableError(RuntimeError):
    """A GPU was required but none can be used; the message says why and what would help."""


class GPUMemoryError(GPUUnavailableError):
    """The GPU has too little memory; the message says how much is needed and how much is free."""


class GPUError(RuntimeError):
    """Work on the GPU failed after it had started."""


class NotEnoughMemoryError(MemoryError):
    """A layout needs more memory, or its files more room, than there is; nothing was begun.

    The message says how much is needed and how much there is.
    """


class WorkerLostError(RuntimeError):
    """A worker ended, or could not be reached, while it ran a part of a layout."""


def bad_value(name: str, value: object, allowed: str, hint: str = "") -> ValueError:
    """Return the error for a parameter whose value is not allowed; the caller raises it.

    `hint` is what :func:`did_you_mean` returns.
    """
    return ValueError(f"{name}={_short(value)} is not allowed: {name} must be {allowed}.{hint}")


def bad_type(name: str, value: object, allowed: str) -> TypeError:
    """Return the error for a parameter of the wrong type; the caller raises it."""
    kind = type(value).__name__
    return TypeError(f"{name}={_short(value)} has type {kind}: {name} must be {allowed}.")


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Suggest the name that an unknown name was probably meant to be.

    Returns
    -------
    ``" Did you mean 'x'?"``, or an empty string when no candidate is close.
    """
    found = get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


def _short(value: object, limit: int = 80) -> str:
    """Return the repr of a value, cut so that an array does not fill the screen."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to write out integers of thousands of digits
        text = f"<{type(value).__name__} without a repr>"
    return text if len(text) <= limit else text[: limit - 1] + "…"
