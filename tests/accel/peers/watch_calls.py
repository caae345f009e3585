"""A pytest plugin that counts the calls that umapcore answered in a test and those it passed on.

The counts go into the test's properties in the JUnit file. A fixture's calls count for the test
that asked for it first.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Counter(logging.Handler):
    """Counts the two lines of the log of umapcore that ``umapcore.accel`` writes for a call."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.taken = 0
        self.passed_on = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.taken += text.endswith(": done by umapcore")
        self.passed_on += ": passed on to the original: " in text


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    counter = _Counter()
    logger = logging.getLogger("umapcore")
    logger.setLevel(logging.INFO)
    logger.addHandler(counter)
    item.stash[_KEY] = counter
    yield
    logger.removeHandler(counter)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    counter = item.stash[_KEY]
    item.user_properties.append(("taken", counter.taken))
    item.user_properties.append(("passed_on", counter.passed_on))


_KEY = pytest.StashKey[_Counter]()
