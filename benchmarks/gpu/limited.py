"""Run commands, and the processes that they start, with a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Seconds of its time in which an interrupted command can report: pytest lists failures.
GRACE = 5.0


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    status
        Exit status, negative for a signal; None if its time was over.
    seconds
        Seconds that it took.
    """

    status: int | None
    seconds: float


def run_limited(
    command: Sequence[str],
    seconds: float,
    console: Path,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Ended:
    """Run a command in its own process group, and end the group after `seconds`.

    Parameters
    ----------
    console
        File that receives its output.
    environment, folder
        Environment and working folder of the command; None takes those of this process.
    """
    grace = min(GRACE, seconds / 4)
    began = time.perf_counter()
    with (
        console.open("wb") as printed,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
            env=environment, cwd=folder, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        status = None
        try:
            status = process.wait(seconds - grace)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
        finally:
            # This also ends processes that it started and left behind.
            _signal(process, signal.SIGKILL)
    return Ended(status, time.perf_counter() - began)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Turn signals that end this process into KeyboardInterrupt, so that commands end, too."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
