"""The package's logger: ``logging.getLogger("umapcore")``.

The library configures nothing. Where the program does not either, Python's logging writes warnings
to stderr and drops the rest; that is why there is no NullHandler here, which would drop both.
``logging.basicConfig(level=logging.INFO)`` shows what a run does.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("umapcore")
