"""The benchmark of lazy placement runs, on few cells and in one process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import lazy_placement

if TYPE_CHECKING:
    from pathlib import Path


def test_runs(tmp_path: Path) -> None:
    for package in ("distributed", "zarr"):
        pytest.importorskip(package)
    out = tmp_path / "found.json"
    sizes = ["--cells", "700", "--reference", "300", "--dimensions", "6", "--rows", "150"]
    where = ["--one-process", "--scratch", str(tmp_path), "--out", str(out)]
    assert lazy_placement.main([*sizes, *where]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["equal"]
    assert [part["block"] for part in found["compared"]] == [0, 1, 2, 3, 4]
    assert found["n_new"] == 700
    assert len(found["worker_bytes"]["most"]) == 2
