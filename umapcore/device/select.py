"""Choose the backend for a ``method``, and fall back to the CPU when no GPU is usable."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from umapcore.errors import GPUUnavailableError, bad_type, did_you_mean
from umapcore.logs import logger
from umapcore.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Client

    from umapcore.device.protocol import Backend

#: Values of ``method`` and the device that each selects.
METHODS = {
    "umap": "the CPU",
    "rapids": "an NVIDIA GPU",
    "auto": "the GPU if there is one, else the CPU",
}


def check_method(method: object) -> str:
    """Return `method` if it is one of :data:`METHODS`.

    Raises
    ------
    ValueError, TypeError
        The message names what is allowed, and the nearest match.
    """
    allowed = ", ".join(f"{name!r} ({device})" for name, device in METHODS.items())
    if not isinstance(method, str):
        raise bad_type("method", method, f"one of {allowed}")
    if method not in METHODS:
        msg = f"method={method!r} is unknown: method must be one of {allowed}."
        raise ValueError(msg + did_you_mean(method, METHODS))
    return method


def resolve_backend(
    method: str = "umap",
    *,
    client: Client | None = None,
    devices: Sequence[int] | None = None,
) -> Backend:
    """Return the backend for a method.

    Parameters
    ----------
    method
        ``'umap'``: the CPU. ``'rapids'``: the GPU; if no GPU is usable, a warning gives the
        reason and the CPU is used, with the same bits. ``'auto'``: the same without a warning.

    client
        A ``distributed.Client``: its workers, which use their CPUs.
    devices
        Numbers of the GPUs; None: CuPy's current one.

    Raises
    ------
    ValueError, TypeError
        When `method` is unknown, or there are not so many GPUs.
    GPUUnavailableError
        For ``'rapids'`` without a usable GPU when ``settings.gpu_fallback`` is False.
    """
    check_method(method)
    if client is not None:
        from umapcore.cluster.backend import ClusterBackend

        return ClusterBackend(client)
    if method == "umap":
        return cpu_backend()
    try:
        return gpu_backend(devices)
    except GPUUnavailableError as error:
        return fall_back(method, str(error))


def fall_back(method: str, reason: str) -> Backend:
    """Return the CPU backend instead of the GPU backend.

    Parameters
    ----------
    method
        ``'rapids'``: with a warning; ``'auto'``: with a log line.
    reason
        The reason, as a sentence.

    Raises
    ------
    GPUUnavailableError
        For ``'rapids'`` when ``settings.gpu_fallback`` is False.
    """
    announce_fall_back(method, reason, "The result has the same bits.")
    return cpu_backend()


def announce_fall_back(method: str, reason: str, outcome: str) -> None:
    """Report that the CPU is used instead of the GPU, or raise if that is not allowed.

    Parameters
    ----------
    method
        ``'rapids'``: a warning; ``'auto'``: a log line.
    reason, outcome
        The reason, and what it means for the result, as sentences.

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
    """Return why no GPU is usable, as a sentence; None if one is usable."""
    # Imported here, and CuPy only inside `problem`, so that CPU runs do not pay for the import.
    from umapcore_cupy.host.problem import problem

    return problem()


def cpu_backend() -> Backend:
    """Return the CPU backend."""
    # Imported here because it imports numba, which takes a good part of a second.
    from umapcore_numba.backend import NumbaBackend

    return NumbaBackend()


def gpu_backend(devices: Sequence[int] | None = None) -> Backend:
    """Return the GPU backend, for some GPUs or CuPy's current one.

    Raises
    ------
    GPUUnavailableError
        If no GPU is usable; the message is the reason, as a sentence.
    """
    problem = gpu_problem()
    if problem is not None:
        raise GPUUnavailableError(problem)
    return _open_gpu(devices)


def _open_gpu(devices: Sequence[int] | None) -> Backend:
    from umapcore_cupy.backend import open_backend

    return open_backend(devices)


def _outside() -> int:
    """Return the stack level of the caller outside the package, for warnings to point at."""
    import sys

    level = 1
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("umapcore"):
        if frame.f_back is None:
            break
        frame = frame.f_back
        level += 1
    return level
