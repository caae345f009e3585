"""Time what a user waits for first: the import, and the first call of a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

CELLS = 700
RUNS = 3

_IMPORT = "import time; t = time.perf_counter(); import umapcore; print(time.perf_counter() - t)"
_MAKE = """
import sys, anndata
cells = anndata.read_h5ad(sys.argv[1])
cells[: int(sys.argv[3])].copy().write_h5ad(sys.argv[2])
"""
_CALL = """
import sys, time
import anndata
cells = anndata.read_h5ad(sys.argv[1])
began = time.perf_counter()
import umapcore
umapcore.tl.umap(cells, progress=False)
print(time.perf_counter() - began)
"""


def measure(data: Path) -> dict[str, Any]:
    """Time imports, and first calls on a few cells without and with compiled code on disk.

    Parameters
    ----------
    data
        Folder with cbmc8k.h5ad.
    """
    with tempfile.TemporaryDirectory() as folder:
        few = str(Path(folder) / "few.h5ad")
        _run(_MAKE, str(data / "cbmc8k.h5ad"), few, str(CELLS))
        environment = {"NUMBA_CACHE_DIR": str(Path(folder) / "numba")}
        calls = [float(_run(_CALL, few, **environment)) for _ in range(1 + RUNS)]
    imports = [float(_run(_IMPORT)) for _ in range(1 + RUNS)]
    return {
        "cells": CELLS,
        "import_seconds": median(imports[1:]),
        "seconds_without_cache": calls[0],
        "seconds_with_cache": median(calls[1:]),
    }


def _run(program: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
