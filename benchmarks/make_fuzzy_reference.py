"""Write ``tests/data/fuzzy_reference.npz``: neighbours and the weights that umap-learn computes.

``python -m benchmarks.make_fuzzy_reference`` needs umap-learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

OUT = Path(__file__).parents[1] / "tests" / "data" / "fuzzy_reference.npz"
#: (set_op_mix_ratio, local_connectivity) of each case.
CASES = ((1.0, 1.0), (0.5, 1.0), (1.0, 2.5), (0.0, 0.5))


def points() -> np.ndarray:
    """Return clusters of different density, duplicate points, and a point far from all others."""
    rng = np.random.default_rng(7)
    clusters = [rng.normal(c, s, (40, 3)) for c, s in ((0, 0.1), (5, 1), (20, 5))]
    doubles = np.repeat(rng.normal(-9, 1, (6, 3)), [2, 3, 4, 12, 1, 1], axis=0)
    return np.vstack([*clusters, doubles, [[400.0, 0, 0]]]).astype(np.float32)


def main() -> None:
    from umap.umap_ import fuzzy_simplicial_set

    from umapcore.neighbors.exact import exact_knn

    knn = exact_knn(points(), 10)
    n = knn.indices.shape[0]
    stored: dict[str, Any] = {"indices": knn.indices, "distances": knn.distances}
    for number, (mix, connectivity) in enumerate(CASES):
        graph = fuzzy_simplicial_set(
            sparse.coo_matrix((n, 1)),
            10,
            None,
            None,
            knn_indices=knn.indices,
            knn_dists=knn.distances,
            set_op_mix_ratio=mix,
            local_connectivity=connectivity,
        )[0].tocoo()
        stored |= {f"row{number}": graph.row, f"col{number}": graph.col}
        stored |= {f"weight{number}": graph.data, f"case{number}": [mix, connectivity]}
    np.savez_compressed(OUT, **stored)
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
