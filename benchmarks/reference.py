"""Write the reference of tests/layout/test_quality.py: ``python -m benchmarks.reference``.

The reference holds means over umap-learn's layouts of the small graphs. The test therefore needs
umap-learn only to check that these means are still right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.baselines.umap_learn import umap_learn
from benchmarks.metrics import Figures, figures
from benchmarks.small import MIN_DISTS, N_EPOCHS, SMALL
from umapcore import OptimizerSpec

REFERENCE = Path(__file__).parents[1] / "tests" / "data" / "quality_reference.json"
N_RUNS = 12
LOSS_PAIRS = 500_000


def reference_run(name: str, min_dist: float, seed: int) -> Figures:
    """Compute the figures of one layout by umap-learn."""
    bench = SMALL[name]()
    a, b = OptimizerSpec(min_dist=min_dist).curve()
    embedding, _ = umap_learn(bench, a=a, b=b, seed=seed, n_epochs=N_EPOCHS)
    return figures(bench.graph, embedding, a=a, b=b, n_pairs=LOSS_PAIRS)


def main() -> None:
    """Run umap-learn and write the reference."""
    cases = []
    for name in SMALL:
        for min_dist in MIN_DISTS:
            runs = [reference_run(name, min_dist, seed).as_dict() for seed in range(N_RUNS)]
            mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
            spread = {key: float(np.std([run[key] for run in runs], ddof=1)) for key in runs[0]}
            most = max(run["largest"] for run in runs)
            cases.append(
                {"graph": name, "min_dist": min_dist, "mean": mean, "sd": spread, "most": most}
            )
            print(name, min_dist, report.rounded(mean), report.rounded(spread))
    report.write_json(REFERENCE, {"n_epochs": N_EPOCHS, "n_runs": N_RUNS, "cases": cases})


if __name__ == "__main__":
    main()
