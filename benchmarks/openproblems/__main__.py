"""The metrics of the openproblems task for umapcore, umap-learn and scanpy.

``python -m benchmarks.openproblems`` needs umap-learn, scanpy, igraph and scikit-learn; it writes
``benchmarks/results/openproblems.json``, from which ``python -m benchmarks.pages`` makes a table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.openproblems import data
from benchmarks.openproblems.methods import METHODS, TRUE, Prepared
from benchmarks.openproblems.metrics import Space, scores
from benchmarks.openproblems.page import tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

N_SEEDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for, and keep what an earlier run measured of the rest."""
    options = _options(arguments)
    cases: dict[str, Any] = {}
    if options.out.exists():
        cases = json.loads(options.out.read_text(encoding="utf-8"))["cases"]
    for name in options.sets:
        found = case(name, options.methods, options.seeds)
        found["methods"] = cases.get(name, {}).get("methods", {}) | found["methods"]
        cases[name] = found
        cases = {name: cases[name] for name in data.ABOUT if name in cases}
        report.write_json(options.out, {"n_seeds": options.seeds, "cases": cases})
    print("\n\n".join(tables(cases)))
    return 0


def case(name: str, methods: list[str], n_seeds: int) -> dict[str, Any]:
    """Compute all metrics of some methods on one set."""
    adata = data.load(name)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Prepared.of(adata, Path(folder) / "dataset.h5ad")
        labels = adata.obs["cell_type"].astype(str).to_numpy()
        space = Space(adata.layers["normalized"].toarray())
        found = {}
        if TRUE in methods:
            found[TRUE] = [_judged(name, TRUE, 0, space, space, labels)]
        for method in (METHODS[name] for name in methods if name != TRUE):
            found[method.name] = [
                _judged(name, method.name, seed, space, Space(method.run(prepared, seed)), labels)
                for seed in range(n_seeds if method.seeded else 1)
            ]
    return {
        "n_cells": adata.n_obs,
        "n_genes": adata.n_vars,
        "n_labels": len(set(labels)),
        "methods": found,
    }


def _judged(
    name: str, method: str, seed: int, space: Space, embedding: Space, labels: NDArray[np.str_]
) -> dict[str, float]:
    found = scores(space, embedding, labels)
    print(name, method, seed, report.rounded(found, 4), flush=True)
    return found


def _options(arguments: list[str] | None) -> argparse.Namespace:
    every = [TRUE, *METHODS]
    parser = argparse.ArgumentParser(prog="benchmarks.openproblems", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(data.ABOUT), choices=list(data.ABOUT))
    parser.add_argument("--methods", nargs="+", default=every, choices=every, metavar="METHOD")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="seeds 0 ... SEEDS - 1")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "openproblems.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
