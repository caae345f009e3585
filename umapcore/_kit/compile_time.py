"""The time that numba compiles: it is measured, announced, and kept out of the log.

A kernel that is not in the cache on disk is compiled, which takes seconds. When nothing that a task
needs is in the cache, this is announced once, with the time that all of it takes.
"""

from __future__ import annotations

import gc
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numba.core import event

from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What kernels are for, and how many seconds the usual ones take together, on an idle machine.
_SECONDS = {"finding and weighting neighbours": 9, "layouts": 20, "placing new cells": 9}
_NEIGHBOURS, _LAYOUTS, _PLACING = _SECONDS
#: The same by the beginning of the name of a kernel's module.
_PURPOSES = {
    "umapcore.neighbors": _NEIGHBOURS,
    "umapcore.layout.transform": _PLACING,
    "umapcore_numba.transform": _PLACING,
    "umapcore": _LAYOUTS,
}
#: Shorter waits, in seconds, are not announced.
_SHORT = 3.0

_ONCE = "once for this processor; `umapcore warm-up` does it ahead"
_ALWAYS = (
    "in every process: neither the package's folder nor the home folder can be written to; "
    "set NUMBA_CACHE_DIR to a folder that can, and they are kept there"
)

#: A child, so that programs can silence it alone.
_announcements = logging.getLogger(f"{logger.name}.compiling")


@contextmanager
def counted_compiling(timings: dict[str, float]) -> Iterator[None]:
    """Add the seconds that numba compiles within the block to ``timings['compiling']``.

    Loading a kernel from the cache does not count as compiling. The seconds are also included in
    the stages in which the compilation happens; they are not a separate stage.
    """

    def add(seconds: float) -> None:
        timings["compiling"] = timings.get("compiling", 0.0) + seconds

    with event.install_timer("numba:compile", add):
        yield


@dataclass(frozen=True, eq=False)
class Compiled:
    """A kernel, and how long numba compiles it: see :func:`umapcore._kit.jit.kernel`."""

    dispatcher: Any
    seconds: float
    purpose: Callable[[Any], str] | None = None

    @property
    def group(self) -> str:
        """What the kernels of the same module are for."""
        module = self.dispatcher.__module__
        return next((_PURPOSES[name] for name in _PURPOSES if module.startswith(name)), module)

    @property
    def can_be_kept(self) -> bool:
        """Whether there is a folder for the compiled kernel."""
        return hasattr(self.dispatcher._cache, "is_empty")

    @property
    def is_new(self) -> bool:
        """Whether no form of the kernel is in memory or on disk."""
        if self.dispatcher.overloads:
            return False
        return not self.can_be_kept or bool(self.dispatcher._cache.is_empty())


class _Watch(event.Listener):
    """Follows numba's compilations. Its calls do not overlap: numba compiles under a lock."""

    def __init__(self) -> None:
        self.kernels: dict[Any, Compiled] = {}
        self._depth = 0
        self._muted = False
        self._paused = False
        #: Groups that have been announced, and whose longest kernel is still to come.
        self._announced: set[str] = set()

    def on_start(self, event: Any) -> None:
        """Begin to follow the compilation of a kernel, or of a function that it calls."""
        compiled = self.kernels.get(event.data["dispatcher"])
        if self._depth == 0 and compiled is None:
            return
        self._depth += 1
        if self._depth == 1 and compiled is not None:
            self._mute()
            self._pause_collector()
            self._announce(compiled, event.data["args"])

    def on_end(self, event: Any) -> None:
        """End what `on_start` began."""
        if self._depth > 0:
            self._depth -= 1
            if self._depth == 0:
                self._unmute()
                if self._paused:
                    self._paused = False
                    gc.enable()

    def _announce(self, compiled: Compiled, types: Any) -> None:
        group = compiled.group
        purpose, seconds = group, compiled.seconds
        if all(kernel.is_new for kernel in self.kernels.values() if kernel.group == group):
            if group in self._announced:
                return
            self._announced.add(group)
            seconds = _SECONDS.get(group, seconds)
        elif seconds >= _SHORT and group in self._announced:
            # A run needs one of several long kernels: another one will be a wait of its own.
            self._announced.remove(group)
            return
        elif compiled.purpose is not None:
            purpose = compiled.purpose(types)
        if seconds >= _SHORT:
            _announcements.warning(
                "compiling umapcore's kernels for %s, about %d s (%s)",
                purpose,
                seconds,
                _ONCE if compiled.can_be_kept else _ALWAYS,
            )

    def _mute(self) -> None:
        """Keep numba's own notes, a hundred thousand lines, out of a log at level DEBUG."""
        numba = logging.getLogger("numba")
        if numba.level == logging.NOTSET:  # otherwise the program has chosen
            numba.setLevel(logging.INFO)
            self._muted = True

    def _pause_collector(self) -> None:
        """Spare the compiler the collection of garbage, 8 % of its time: it makes little of it."""
        if gc.isenabled():
            self._paused = True
            gc.disable()

    def _unmute(self) -> None:
        numba = logging.getLogger("numba")
        if self._muted and numba.level == logging.INFO:
            numba.setLevel(logging.NOTSET)
        self._muted = False


_watch = _Watch()


def watch(compiled: Compiled) -> None:
    """Announce the compilation of a kernel, and mute numba meanwhile."""
    if not _watch.kernels:
        event.register("numba:compile", _watch)
    _watch.kernels[compiled.dispatcher] = compiled
