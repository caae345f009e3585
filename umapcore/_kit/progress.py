"""A progress bar for long runs, shown only on a terminal or in a notebook."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

#: With ``progress=None`` a bar appears after this many seconds.
DELAY = 1.5


class ProgressBar:
    """A tqdm bar, or nothing.

    Parameters
    ----------
    total
        Number of epochs, or of other units.
    show
        True: always. False: never. None: when the run lasts longer than :data:`DELAY` seconds,
        on a terminal or in a notebook.
    unit, name
        Name of one unit, and of the bar.
    """

    def __init__(
        self, total: int, show: bool | None, unit: str = "epoch", name: str = "umapcore"
    ) -> None:
        self._bar: Any = None
        notebook = _in_notebook()
        if show is False or (show is None and not (notebook or sys.stderr.isatty())):
            return
        widget = notebook and find_spec("ipywidgets") is not None
        self._bar = import_module("tqdm.notebook" if widget else "tqdm").tqdm(
            total=total,
            desc=name,
            unit=unit,
            delay=0 if show else DELAY,
            leave=bool(show),
        )

    def update(self, done: int) -> None:
        """Advance the bar by `done` units."""
        if self._bar is not None:
            self._bar.update(done)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})
