"""The package's logger: ``logging.getLogger("umapcore")``.

The library does not configure logging. If the program does not either, Python's logging writes
warnings to stderr and drops the rest. There is no NullHandler here because it would drop both.
``logging.basicConfig(level=logging.INFO)`` shows what a run does.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("umapcore")
