"""Fixtures for the tests of routing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import fake_peers
from umapcore import accel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    assert not accel.is_installed()
    finders = list(sys.meta_path)
    yield
    accel.uninstall()
    assert not accel.is_installed()
    assert sys.meta_path == finders


@pytest.fixture
def peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the stand-ins be what ``import scanpy`` and ``import umap`` find."""
    fake_peers.write(tmp_path)

    def belongs(name: str) -> bool:
        return name.partition(".")[0] in ("scanpy", "umap")

    real = {name: module for name, module in sys.modules.items() if belongs(name)}
    for name in real:
        del sys.modules[name]
    monkeypatch.syspath_prepend(tmp_path)
    yield
    accel.uninstall()
    for name in [name for name in sys.modules if belongs(name)]:
        del sys.modules[name]
    sys.modules.update(real)
