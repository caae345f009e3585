"""From ``method`` to a backend: what is available, and what happens when it is not."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from umapcore.errors import GPUUnavailableError, bad_type, did_you_mean
from umapcore.logs import logger
from umapcore.settings import settings

if TYPE_CHECKING:
    from umapcore.device.protocol import Backend

#: Values of ``method`` and what each stands for.
METHODS = {
    "umap": "the CPU",
    "rapids": "an NVIDIA GPU",
    "auto": "the GPU if there is one, else the CPU",
}


def check_method(method: object) -> str:
    """Return `method` when it is one of :data:`METHODS`.

    Raises
    ------
    ValueError, TypeError
        Naming what is allowed, and the nearest match.
    """
    allowed = ", ".join(f"{name!r} ({device})" for name, device in METHODS.items())
    if not isinstance(method, str):
        raise bad_type("method", method, f"one of {allowed}")
    if method not in METHODS:
        msg = f"method={method!r} is unknown: method must be one of {allowed}."
        raise ValueError(msg + did_you_mean(method, METHODS))
    return method


def resolve_backend(method: str = "umap") -> Backend:
    """Give the backend that a method runs on.

    Parameters
    ----------
    method
        ``'umap'``: the CPU. ``'rapids'``: the GPU; where none can be used, a warning says why
        and the CPU is taken, which gives the same bits. ``'auto'``: the same without a warning.

    Raises
    ------
    ValueError, TypeError
        When `method` is unknown.
    GPUUnavailableError
        For ``'rapids'`` without a usable GPU when ``settings.gpu_fallback`` is False.
    """
    if check_method(method) == "umap":
        return cpu_backend()
    try:
        return gpu_backend()
    except GPUUnavailableError as error:
        return fall_back(method, str(error))


def fall_back(method: str, reason: str) -> Backend:
    """Give the CPU's backend in place of the GPU's.

    Parameters
    ----------
    method
        ``'rapids'``: with a warning; ``'auto'``: with a line in the log.
    reason
        Why, as a sentence.

    Raises
    ------
    GPUUnavailableError
        For ``'rapids'`` when ``settings.gpu_fallback`` is False.
    """
    announce_fall_back(method, reason, "The result has the same bits.")
    return cpu_backend()


def announce_fall_back(method: str, reason: str, outcome: str) -> None:
    """Say that the CPU does what the GPU was asked for, or refuse.

    Parameters
    ----------
    method
        ``'rapids'``: a warning; ``'auto'``: a line in the log.
    reason, outcome
        Why, and what that means for the result, as sentences.

    Raises
    ------
    GPUUnavailableError
        For ``'rapids'`` when ``settings.gpu_fallback`` is False.
    """
    if method != "rapids":
        logger.info("method=%r runs on the CPU: %s", method, reason)
        return
    if not settings.gpu_fallback:
        msg = (
            f"method='rapids' cannot run: {reason} "
            f"With umapcore.settings.gpu_fallback = True it runs on the CPU. {outcome}"
        )
        raise GPUUnavailableError(msg)
    warnings.warn(
        f"method='rapids' runs on the CPU: {reason} {outcome}",
        UserWarning,
        stacklevel=_outside(),
    )


def gpu_problem() -> str | None:
    """Say why no GPU can be used, in a sentence; None when one can."""
    # Imported here, and CuPy only in there: a run on the CPU must not pay for it.
    from umapcore_cupy.host.problem import problem

    return problem()


def cpu_backend() -> Backend:
    """Give the backend of the CPU."""
    # Imported here: it brings numba, which takes a good part of a second.
    from umapcore_numba.backend import NumbaBackend

    return NumbaBackend()


def gpu_backend() -> Backend:
    """Give the backend of the GPU.

    Raises
    ------
    GPUUnavailableError
        With the reason, as a sentence.
    """
    problem = gpu_problem()
    if problem is not None:
        raise GPUUnavailableError(problem)
    return _open_gpu()


def _open_gpu() -> Backend:
    from umapcore_cupy.backend import CupyBackend

    return CupyBackend()


def _outside() -> int:
    """Stack level of the caller outside the package, at whom a warning should point."""
    import sys

    level = 1
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("umapcore"):
        if frame.f_back is None:
            break
        frame = frame.f_back
        level += 1
    return level
