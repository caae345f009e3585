"""Waits for the compiler: they are announced, counted, and kept out of the log.

A kernel that is not in the cache on disk is compiled, which takes seconds. When nothing that a task
needs is in the cache, this is announced once, with the time that all of it takes.
"""

from __future__ import annotations

import gc
import logging
import time
from typing import TYPE_CHECKING, Any

from numba.core import event

from umapcore._kit.compile_time import count
from umapcore._kit.jit import KERNELS
from umapcore.logs import logger

if TYPE_CHECKING:
    from umapcore._kit.jit import Kernel

#: What kernels are for, and how many seconds the usual ones take together, on an idle machine.
_SECONDS = {"finding and weighting neighbours": 8, "layouts": 15, "placing new cells": 6}
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


def _group(kernel: Kernel) -> str:
    """Return what the kernels of the same module are for."""
    module = kernel.function.__module__
    return next((_PURPOSES[name] for name in _PURPOSES if module.startswith(name)), module)


def can_be_kept(dispatcher: Any) -> bool:
    """Return whether there is a folder for a compiled kernel."""
    return hasattr(dispatcher._cache, "is_empty")


def _is_new(dispatcher: Any) -> bool:
    """Return whether no form of a kernel is in memory or on disk."""
    if dispatcher.overloads:
        return False
    return not can_be_kept(dispatcher) or bool(dispatcher._cache.is_empty())


class _Watch(event.Listener):
    """Follows numba's compilations. Its calls do not overlap: numba compiles under a lock."""

    def __init__(self) -> None:
        self.kernels: dict[Any, Kernel] = {}
        self._depth = 0
        self._began = 0.0
        self._muted = False
        self._paused = False
        #: Groups that have been announced, and whose longest kernel is still to come.
        self._announced: set[str] = set()

    def on_start(self, event: Any) -> None:
        """Begin to follow the compilation of a kernel, or of a function that it calls."""
        kernel = self.kernels.get(event.data["dispatcher"])
        if self._depth == 0 and kernel is None:
            return
        self._depth += 1
        if self._depth == 1 and kernel is not None:
            self._began = time.perf_counter()
            self._mute()
            self._pause_collector()
            self._announce(kernel, event.data["args"])

    def on_end(self, event: Any) -> None:
        """End what `on_start` began."""
        if self._depth > 0:
            self._depth -= 1
            if self._depth == 0:
                count(time.perf_counter() - self._began)
                self._unmute()
                if self._paused:
                    self._paused = False
                    gc.enable()

    def _announce(self, kernel: Kernel, types: Any) -> None:
        group = _group(kernel)
        purpose, seconds = group, kernel.seconds
        if all(_is_new(each.dispatcher) for each in KERNELS if _group(each) == group):
            if group in self._announced:
                return
            self._announced.add(group)
            seconds = _SECONDS.get(group, seconds)
        elif seconds >= _SHORT and group in self._announced:
            # A run needs one of several long kernels: another one will be a wait of its own.
            self._announced.remove(group)
            return
        elif kernel.purpose is not None:
            purpose = kernel.purpose(types)
        if seconds >= _SHORT:
            _announcements.warning(
                "compiling umapcore's kernels for %s, about %d s (%s)",
                purpose,
                seconds,
                _ONCE if can_be_kept(kernel.dispatcher) else _ALWAYS,
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


def watch(kernel: Kernel, dispatcher: Any) -> None:
    """Announce the compilation of a kernel, and mute numba meanwhile."""
    if not _watch.kernels:
        event.register("numba:compile", _watch)
    _watch.kernels[dispatcher] = kernel
