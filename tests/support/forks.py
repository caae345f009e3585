"""Run something in a child of this process, which may be limited or killed there."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Exit code of a child whose function raised an exception; the traceback is in its output.
RAISED = 99


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, or minus the signal, and what it printed."""

    code: int
    said: str


def in_child(
    function: Callable[[], object],
    *,
    prepare: Callable[[], object] = lambda: None,
    signal_after: tuple[signal.Signals, float] | None = None,
    patience: float = 120.0,
) -> Ended:
    """Fork, and call a function in the child; the child's exit code is what it returns, if an int.

    A child that takes longer than `patience`, in seconds, is killed: it hangs.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = RAISED
        try:
            os.close(reader)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            # pytest's own would write to its files.
            sys.stdout, sys.stderr = (os.fdopen(k, "w", closefd=False) for k in (1, 2))
            signal.alarm(int(patience) + 5)  # also if nobody waits any more
            prepare()
            found = function()
            code = found if isinstance(found, int) else 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            with suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    os.set_blocking(reader, False)
    said = b""
    began = time.monotonic()
    sent = signal_after is None
    while True:
        with suppress(BlockingIOError):
            said += os.read(reader, 1 << 16)
        if signal_after is not None and not sent and time.monotonic() - began >= signal_after[1]:
            os.kill(child, signal_after[0])
            sent = True
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > patience:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    with suppress(BlockingIOError):
        while part := os.read(reader, 1 << 16):
            said += part
    os.close(reader)
    return Ended(os.waitstatus_to_exitcode(status), said.decode(errors="replace"))
