"""The package's logger: ``logging.getLogger("umapcore")``."""

from __future__ import annotations

import logging

logger = logging.getLogger("umapcore")
