"""A clean end on SIGINT, SIGTERM and SIGHUP, whenever they arrive."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from umapcore.files.atomic_write import ENDING

if TYPE_CHECKING:
    from types import FrameType

#: Seconds in which further signals are not heard: the first one's cleaning up is under way.
_DEAF = 1.0
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}


class Stop(KeyboardInterrupt):
    """A signal arrived that ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Signals:
    """Handlers that raise :class:`Stop`, as long as a ``with`` block runs.

    Attributes
    ----------
    received
        Number of the last signal, or None. It is known even if some code swallowed the exception.
    """

    received: int | None = None
    _raised = float("-inf")

    def __enter__(self) -> Signals:
        self._hook = sys.unraisablehook
        self._before: dict[int, Any] = {}
        # Only the main thread may set signal handlers; in another thread there is none.
        if threading.current_thread() is not threading.main_thread():
            return self
        sys.unraisablehook = self._unraisable
        for number in ENDING:
            before = signal.getsignal(number)
            # Under nohup, and behind the & of a script, some signals are ignored.
            if before not in (None, signal.SIG_IGN):
                self._before[number] = before
                signal.signal(number, self._handle)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.unraisablehook = self._hook
        for number, before in self._before.items():
            signal.signal(number, before)

    def ignore(self) -> None:
        """Ignore the signals from now on: what is left to do takes no time."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        now = time.monotonic()
        if now - self._raised > _DEAF:
            self._raised = now
            raise Stop(number)

    def _unraisable(self, error: Any) -> None:
        """Repeat a signal that arrived where Python can raise nothing, such as in a destructor."""
        if not isinstance(error.exc_value, Stop):
            # After a signal, it may come from an object that was only half made.
            if self.received is None:
                self._hook(error)
            return
        self._raised = float("-inf")
        again = threading.Timer(0.01, _send, (error.exc_value.number,))
        again.daemon = True
        again.start()


def _send(number: int) -> None:
    """Send a signal to the main thread, which also ends what that thread is waiting for."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def exit_code(number: int) -> int:
    """Return the exit code of a command that a signal has ended, as shells give it."""
    return 128 + number


def said(number: int) -> str:
    """Return the word for the end by a signal."""
    return _WORDS[signal.Signals(number).name]
