"""Profiles of hypothesis: repeatable and short, or as long as the environment says.

``UMAPCORE_EXAMPLES=1000 pytest tests/properties`` runs 1000 examples of every test, and other ones
each time.
"""

from __future__ import annotations

import os

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:
    collect_ignore_glob = ["test_*.py"]
else:
    _common = {"deadline": None, "database": None, "suppress_health_check": [*HealthCheck]}
    settings.register_profile("short", max_examples=25, derandomize=True, **_common)
    settings.register_profile(
        "long",
        max_examples=int(os.environ.get("UMAPCORE_EXAMPLES", "1000")),
        print_blob=True,
        **_common,
    )
    settings.load_profile("long" if "UMAPCORE_EXAMPLES" in os.environ else "short")
