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
    from collections.abc import Iterator

    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

N_SEEDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for, and keep what an earlier run measured of the rest."""
    options = _options(arguments)
    cases: dict[str, Any] = {}
    if options.out.exists():
        cases = json.loads(options.out.read_text(encoding="utf-8"))["cases"]
    for name in options.sets:
        adata = data.load(name)
        of_set = cases.setdefault(name, {"methods": {}})
        of_set["n_cells"], of_set["n_genes"] = adata.shape
        for method, runs in measured(name, adata, options.methods, options.seeds):
            of_set["methods"][method] = runs
            cases = {known: cases[known] for known in data.ABOUT if known in cases}
            report.write_json(options.out, {"n_seeds": options.seeds, "cases": cases}, tell=False)
    print("\n\n".join(tables(cases)))
    return 0


def measured(
    name: str, adata: AnnData, methods: list[str], n_seeds: int
) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Compute all metrics of some methods on one set; yield them method by method."""
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    space = Space(adata.layers["normalized"].toarray())
    with tempfile.TemporaryDirectory() as folder:
        prepared = Prepared.of(adata, Path(folder) / "dataset.h5ad")
        if TRUE in methods:
            yield TRUE, [_judged(name, TRUE, 0, space, space, labels)]
        for method in (METHODS[name] for name in methods if name != TRUE):
            yield (
                method.name,
                [
                    _judged(
                        name, method.name, seed, space, Space(method.run(prepared, seed)), labels
                    )
                    for seed in range(n_seeds if method.seeded else 1)
                ],
            )


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
