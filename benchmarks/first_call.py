"""Time what a user waits for first: the import, and first calls in fresh processes.

``python -m benchmarks.first_call [PYTHON]`` writes ``benchmarks/results/first_call.json``. PYTHON
is that of an environment in which a wheel with compiled kernels is installed; the others are
measured in this one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report

RESULTS = report.RESULTS / "first_call.json"
CELLS = 700
RUNS = 5

_IMPORT = "import time; t = time.perf_counter(); import umapcore; print(time.perf_counter() - t)"
_CALLS = {
    "tl.umap, 2 dimensions": "umapcore.tl.umap(cells, progress=False)",
    "tl.umap, 3 dimensions": "umapcore.tl.umap(cells, n_components=3, progress=False)",
    "tl.umap, densities": "umapcore.tl.umap(cells, density_weight=2.0, progress=False)",
    "pp.neighbors": "umapcore.pp.neighbors(cells, use_rep='X_pca')",
}
_ALL = "one after the other"
# The graph is made up, so that no search is needed for it.
_MAKE = """
import sys
import anndata, numpy as np, scipy.sparse as sp
rng, n = np.random.default_rng(0), int(sys.argv[2])
pairs = (np.arange(n)[:, None], (np.arange(n)[:, None] + rng.choice(n // 2, 15, False) + 1) % n)
pairs = [np.broadcast_to(part, (n, 15)).ravel() for part in pairs]
weights = rng.uniform(0.1, 1, n * 15).astype(np.float32)
graph = sp.csr_matrix((weights, pairs), (n, n))
cells = anndata.AnnData(shape=(n, 0), obsm={"X_pca": rng.normal(size=(n, 50)).astype(np.float32)})
cells.obsp["connectivities"] = graph.maximum(graph.T).tocsr()
cells.obsp["distances"] = sp.csr_matrix((1.5 - weights, pairs), (n, n))
cells.uns["neighbors"] = {
    "connectivities_key": "connectivities", "distances_key": "distances",
    "params": {"method": "umap", "n_neighbors": 16, "metric": "euclidean"},
}
cells.write_h5ad(sys.argv[1])
"""
_CALL = """
import sys, time
import anndata
cells = anndata.read_h5ad(sys.argv[1])
began = time.perf_counter()
import umapcore
{call}
print(time.perf_counter() - began)
"""


def main(arguments: list[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_call")
    parser.add_argument("python", nargs="?", metavar="PYTHON", help="with a wheel's kernels")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {
        "machine": report.machine(),
        "versions": report.versions(),
        "load_average_before": report.load_average(),
        "cells": CELLS,
        "runs": options.runs,
    }
    with tempfile.TemporaryDirectory() as folder:
        cells = str(Path(folder) / "cells.h5ad")
        _run(sys.executable, _MAKE, cells, str(CELLS))
        imports = [float(_run(sys.executable, _IMPORT)) for _ in range(1 + options.runs)]
        result["import_seconds"] = median(imports[1:])
        result["cases"] = []
        for name, call in {**_CALLS, _ALL: "\n".join(_CALLS.values())}.items():
            program = _CALL.format(call=call)
            cache = {"UMAPCORE_KERNELS": "compile", "NUMBA_CACHE_DIR": f"{folder}/{name}"}
            case: dict[str, Any] = {"call": name}
            case["nothing compiled"] = float(_run(sys.executable, program, cells, **cache))
            found = [_run(sys.executable, program, cells, **cache) for _ in range(options.runs)]
            case["compiled before"] = median(map(float, found))
            if options.python:
                found = [_run(options.python, program, cells) for _ in range(1 + options.runs)]
                case["wheel"] = median(map(float, found[1:]))
            result["cases"].append(case)
            print(report.rounded(case), flush=True)
    report.write_json(options.out, result)
    return 0


def section(path: Path) -> str:
    """Return the section of the page."""
    found = json.loads(path.read_text(encoding="utf-8"))
    kinds = [
        kind
        for kind in ("wheel", "compiled before", "nothing compiled")
        if kind in found["cases"][0]
    ]
    rows = [[case["call"], *(f"{case[kind]:.2f}" for kind in kinds)] for case in found["cases"]]
    return (
        "## First calls\n\n"
        f"`import umapcore`: {found['import_seconds']:.3f} s. Seconds of a first call on "
        f"{found['cells']} cells in a fresh process, from `import umapcore` on: with the kernels "
        "of a wheel for the platform, with kernels that an earlier process has compiled, and with "
        f"none. Medians of {found['runs']} runs (of the last, one) on "
        f"{found['machine']['processor']}, {found['machine']['cores']} cores. "
        "`python -m benchmarks.first_call` repeats it.\n\n" + report.table(["call", *kinds], rows)
    )


def _run(python: str, program: str, *arguments: str, **environment: str) -> str:
    inherited = dict(os.environ)
    if python != sys.executable:
        inherited.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, "-c", program, *arguments],
        env={**inherited, **environment},
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


if __name__ == "__main__":
    sys.exit(main())
