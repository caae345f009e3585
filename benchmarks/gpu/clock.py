"""Clocks that time work on a device."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from umapcore_cupy.host.compile import import_cupy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from umapcore_cupy.host.device import Device

Result = TypeVar("Result")


@dataclass(frozen=True)
class Timing:
    """Seconds of some work.

    Attributes
    ----------
    device
        Time between two events of the device's stream, before and after the work.
    wall
        Time on the host until the device had finished.
    """

    device: float
    wall: float


class Clock(Protocol):
    """Times work on a device."""

    def time(self, work: Callable[[], Result]) -> tuple[Result, Timing]:
        """Do the work, wait until the device has finished, and return result and timing."""


class CudaClock:
    """Times work by CUDA events.

    Parameters
    ----------
    device
        A :class:`umapcore_cupy.host.cupy_device.CupyDevice`.
    """

    def __init__(self, device: Any) -> None:
        self._cuda = import_cupy().cuda
        self.stream = stream_of(device)

    def time(self, work: Callable[[], Result]) -> tuple[Result, Timing]:
        """See :class:`Clock`."""
        before, after = self._cuda.Event(), self._cuda.Event()
        self.stream.synchronize()
        began = time.perf_counter()
        before.record(self.stream)
        result = work()
        after.record(self.stream)
        after.synchronize()
        wall = time.perf_counter() - began
        milliseconds = float(self._cuda.get_elapsed_time(before, after))
        return result, Timing(device=milliseconds / 1000.0, wall=wall)


def stream_of(device: Any) -> Any:
    """Return the stream in which a device runs its work."""
    return device.stream if hasattr(device, "stream") else device._stream


@contextmanager
def counted_launches(device: Device) -> Iterator[Counter[str]]:
    """Count kernel launches within the block, by kernel name."""
    counts: Counter[str] = Counter()
    unwatched: Any = device
    launch = unwatched.launch

    def counting(kernel: str, n_threads: int, *arguments: Any) -> None:
        counts[kernel] += n_threads > 0
        launch(kernel, n_threads, *arguments)

    unwatched.launch = counting
    try:
        yield counts
    finally:
        del unwatched.launch


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """Return median, least and most of some repetitions, and all of them in order."""
    return {"median": median(seconds), "least": min(seconds), "most": max(seconds),
            "runs": list(seconds)}  # fmt: skip
