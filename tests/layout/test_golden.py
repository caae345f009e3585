"""What the library computes has the bits that it had: see `tests/support/golden.py`."""

from __future__ import annotations

import pytest

from tests.support import golden


def test_they_are_those_of_these_versions() -> None:
    assert golden.VERSIONS.items() <= golden.read().items()


@pytest.mark.parametrize("section", golden.SECTIONS)
def test_the_cpu(section: str) -> None:
    assert golden.differences(section) == []


@pytest.mark.gpu
@pytest.mark.parametrize("section", golden.ON_DEVICE)
def test_the_gpu(section: str) -> None:
    assert golden.differences(section, "rapids") == []
