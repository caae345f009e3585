"""Results of a part, written to a file while the part runs."""

from __future__ import annotations

import argparse
import faulthandler
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.gpu.sections import Sections

if TYPE_CHECKING:
    from collections.abc import Sequence


class Results:
    """Results of a part, written before each of its steps.

    Parameters
    ----------
    path
        JSON file to write.
    limit
        Seconds after which no step begins.

    Attributes
    ----------
    found
        Content of the file, to be filled by the part.
    steps
        Runs the steps.
    """

    def __init__(self, path: Path, limit: float) -> None:
        self._path = path
        self.found: dict[str, Any] = {}
        self.steps = Sections(limit, self.keep)

    def keep(self) -> None:
        """Write the results so far."""
        steps = self.steps
        known = {"skipped": steps.skipped, "failed": steps.failed, "under_way": steps.under_way}
        report.write_json(self._path, {**self.found, **known, "seconds": steps.seconds}, tell=False)

    def end(self, *, good: bool) -> int:
        """Write everything and return the exit status: 0 if all is good and nothing failed."""
        self.keep()
        if self.steps.failed:
            print(f"failed: {', '.join(self.steps.failed)}")
        return 0 if good and not self.steps.failed else 1


def from_command_line(what: str | None, arguments: Sequence[str] | None = None) -> Results:
    """Read the options that all parts share, and return empty results."""
    parser = argparse.ArgumentParser(description=(what or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument(
        "--limit", type=float, default=100.0, help="seconds after which no step begins"
    )
    options = parser.parse_args(arguments)
    # When its time is over, a part prints its traceback, even within a call that never returns.
    faulthandler.register(signal.SIGINT, chain=True)
    return Results(options.out, options.limit)
