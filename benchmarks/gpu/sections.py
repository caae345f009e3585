"""Run the parts of a long benchmark so that a part that fails or is late does not end the rest."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Sections:
    """Runs parts and records which were not done.

    Parameters
    ----------
    limit
        Seconds after which no part begins.
    keep
        Called when a part begins, so that earlier results survive if the process is killed.

    Attributes
    ----------
    failed, skipped
        Reasons, by name of the part.
    under_way
        Name of the running part; None between parts.
    """

    def __init__(self, limit: float, keep: Callable[[], object] = lambda: None) -> None:
        self._began = time.perf_counter()
        self._limit, self._keep = limit, keep
        self.under_way: str | None = None
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def run(
        self, name: str, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs
    ) -> Result | None:
        """Run a part and return its result; None if it was not done."""
        began = self.seconds
        if began > self._limit:
            self.skipped[name] = f"{began:.0f} s had passed"
            return None
        print(f"{began:6.1f} s  {name}", flush=True)
        self.under_way = name
        self._keep()
        try:
            return work(*given, **named)
        except Exception as error:
            traceback.print_exc()
            self.failed[name] = f"{type(error).__name__}: {error}"
            return None
        finally:
            self.under_way = None
