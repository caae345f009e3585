"""What the library computes has the bits that it had: see `tests/support/golden.py`."""

from __future__ import annotations

import pytest

from tests.support import golden
from umapcore.layout.spec import LAYOUT_VERSION


def test_they_are_those_of_this_version_of_layouts() -> None:
    assert golden.read()["layout_version"] == LAYOUT_VERSION


@pytest.mark.parametrize("section", golden.SECTIONS)
def test_the_cpu(section: str) -> None:
    assert golden.differences(section) == []


@pytest.mark.gpu
@pytest.mark.parametrize("section", golden.ON_DEVICE)
def test_the_gpu(section: str) -> None:
    assert golden.differences(section, "rapids") == []
