"""New cells placed by umapcore and by umap-learn: ``python -m benchmarks.placement``.

A tenth of the cells of a labelled data set is held out. The rest is laid out once. Both programs
place the held-out cells in that layout, from the same neighbours, with several seeds. umap-learn's
part is what ``UMAP.transform`` does once it has the neighbours, by its own functions. Three things
are judged: whether neighbours in the picture are neighbours in the data, whether they have the
cell's label, and how far the cell is from cells of its label.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from benchmarks import graphs, report
from umapcore import OptimizerSpec, place, simplicial_set_embedding
from umapcore.neighbors.query import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Placed = tuple[NDArray[np.float32], float]

DATA_SETS = ("cbmc8k", "pendigits11k", "letter20k", "fashion_mnist70k")
SHARE = 0.1
N_NEIGHBORS = 15
N_SEEDS = 5
#: Distances are measured to the cell of this rank among the nearest of the same label.
OWN_RANK = 5
# What umapcore promises, compared with umap-learn.
MOST_LOST = 0.01
MOST_DISTANCE_RATIO = 1.05


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison, and return 0 if every criterion holds, else 1."""
    options = _options(arguments)
    folder = graphs.data_folder(options.data)
    cases = []
    for name in options.data_sets:
        cases.append(case(name, folder / f"{name}.h5ad", options.seeds, options.threads))
        print(_line(cases[-1]), flush=True)
    passed = all(all(found["criteria"].values()) for found in cases)
    print("\n" + report.table(HEADER, [row for found in cases for row in _rows(found)]))
    print("every criterion holds" if passed else "SOME CRITERION FAILS")
    limits = {
        "neighbours_kept_and_accuracy_lower_by_at_most": MOST_LOST,
        "distance_to_own_ratio_at_most": MOST_DISTANCE_RATIO,
    }
    report.write_json(options.out, {"limits": limits, "passed": passed, "cases": cases})
    return 0 if passed else 1


def case(name: str, path: Path, n_seeds: int, n_threads: int) -> dict[str, Any]:
    """Hold out cells, lay out the others, place the held-out cells and judge them."""
    adata = anndata.read_h5ad(path)
    points = np.ascontiguousarray(adata.obsm["X_pca"], np.float32)
    labels = adata.obs["label"].astype("category").cat.codes.to_numpy()
    held = np.random.default_rng(0).random(len(points)) < SHARE
    reference, new = points[~held], points[held]
    embedding = _lay_out(reference)
    began = time.perf_counter()
    indices, distances = nearest(reference, new, N_NEIGHBORS, n_threads=n_threads)
    search = time.perf_counter() - began
    found: dict[str, Any] = {
        "data_set": name, "n_reference": len(reference), "n_new": len(new), "n_seeds": n_seeds,
        "n_threads": n_threads, "search_seconds": search,
    }  # fmt: skip

    def judged(placed: NDArray[np.float32]) -> dict[str, float]:
        return figures(embedding, placed, indices, labels[~held], labels[held])

    start = place(embedding, indices, distances, n_epochs=0)
    found["weighted means"] = {"mean": judged(start)}
    programs: dict[str, Callable[[int], Placed]] = {
        "umap-learn": lambda seed: _by_umap_learn(embedding, indices, distances, seed),
        "umapcore": lambda seed: _by_umapcore(embedding, indices, distances, seed, n_threads),
    }
    for program, run in programs.items():
        run(0)  # compiles
        runs = []
        for seed in range(n_seeds):
            placed, seconds = run(seed)
            runs.append(judged(placed) | {"seconds": seconds})
        found[program] = {
            "mean": {key: float(np.mean([one[key] for one in runs])) for key in runs[0]},
            "spread": {key: float(np.std([one[key] for one in runs])) for key in runs[0]},
        }
    ours, theirs = found["umapcore"]["mean"], found["umap-learn"]["mean"]
    found["criteria"] = {
        "kept": ours["kept"] >= theirs["kept"] - MOST_LOST,
        "accuracy": ours["accuracy"] >= theirs["accuracy"] - MOST_LOST,
        "own": ours["own"] <= theirs["own"] * MOST_DISTANCE_RATIO,
    }
    return found


def figures(
    embedding: NDArray[np.float32],
    placed: NDArray[np.float32],
    indices: NDArray[np.int32],
    labels: NDArray[np.integer],
    own_labels: NDArray[np.integer],
) -> dict[str, float]:
    """Judge placed cells.

    Parameters
    ----------
    embedding, placed
        Positions of the reference and of the placed cells.
    indices
        Nearest neighbours of the placed cells in the data.
    labels, own_labels
        Labels of the reference and of the placed cells.

    Returns
    -------
    kept
        Share of the neighbours in the data that are also nearest neighbours in the embedding.
    accuracy
        Share of cells whose label wins the vote of their nearest neighbours in the embedding.
    own
        Median distance to the fifth nearest cell of the same label.
    """
    _, found = cKDTree(embedding).query(placed, indices.shape[1])
    shared = (found[:, :, None] == indices[:, None, :]).any(axis=1)
    votes = np.zeros((len(placed), int(labels.max()) + 1), int)
    np.add.at(votes, (np.arange(len(placed))[:, None], labels[found]), 1)
    own = np.full(len(placed), np.nan)
    for label in np.unique(own_labels):
        those = own_labels == label
        like = embedding[labels == label]
        if len(like) >= OWN_RANK:
            own[those] = cKDTree(like).query(placed[those], OWN_RANK)[0][:, -1]
    return {
        "kept": float(shared.mean()),
        "accuracy": float((votes.argmax(axis=1) == own_labels).mean()),
        "own": float(np.nanmedian(own)),
    }


def _lay_out(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay out the reference from umap-learn's graph of its exact neighbours."""
    from umap.umap_ import fuzzy_simplicial_set

    indices, distances = nearest(points, points, N_NEIGHBORS)
    graph, *_ = fuzzy_simplicial_set(
        points, N_NEIGHBORS, np.random.RandomState(0), "euclidean",
        knn_indices=indices, knn_dists=distances,
    )  # fmt: skip
    return simplicial_set_embedding(graph, progress=False)


def _by_umapcore(
    embedding: NDArray[np.float32],
    indices: NDArray[np.int32],
    distances: NDArray[np.float32],
    seed: int,
    n_threads: int,
) -> Placed:
    spec = OptimizerSpec(seed=seed)
    began = time.perf_counter()
    placed = place(embedding, indices, distances, spec, n_threads=n_threads, progress=False)
    return placed, time.perf_counter() - began


def _by_umap_learn(
    embedding: NDArray[np.float32],
    indices: NDArray[np.int32],
    distances: NDArray[np.float32],
    seed: int,
) -> Placed:
    """Do what ``UMAP.transform`` of umap-learn 0.5 does with the neighbours, by its functions."""
    from umap import umap_
    from umap.layouts import optimize_layout_euclidean

    a, b = OptimizerSpec().curve()
    shape = (len(indices), len(embedding))
    began = time.perf_counter()
    n_epochs = 100 if len(indices) <= 10_000 else 30
    sigmas, rhos = umap_.smooth_knn_dist(distances, float(indices.shape[1]), local_connectivity=0.0)
    rows, columns, weights, _ = umap_.compute_membership_strengths(
        indices, distances, sigmas, rhos, bipartite=True
    )
    graph = sp.coo_matrix((weights, (rows, columns)), shape=shape)
    start = umap_.init_graph_transform(graph.tocsr(), embedding)
    graph.data[graph.data < graph.data.max() / n_epochs] = 0.0
    graph.eliminate_zeros()
    state = np.random.RandomState(seed).randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64)
    placed = optimize_layout_euclidean(
        start, embedding.copy(), graph.row, graph.col, n_epochs, len(embedding),
        umap_.make_epochs_per_sample(graph.data, n_epochs), a, b, state,
        1.0, 0.25, 5, False, tqdm_kwds={"disable": True},
    )  # fmt: skip
    return placed, time.perf_counter() - began


HEADER = (
    "data set", "new cells", "placed by", "neighbours kept", "label accuracy", "distance to own",
    "seconds",
)  # fmt: skip


def _rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for program in ("weighted means", "umap-learn", "umapcore"):
        mean = found[program]["mean"]
        seconds = f"{mean['seconds']:.3f}" if "seconds" in mean else ""
        rows.append(
            (
                found["data_set"], str(found["n_new"]), program, f"{mean['kept']:.4f}",
                f"{mean['accuracy']:.4f}", f"{mean['own']:.4f}", seconds,
            )
        )  # fmt: skip
    return rows


def _line(found: dict[str, Any]) -> str:
    ours, theirs = found["umapcore"]["mean"], found["umap-learn"]["mean"]
    return f"{found['data_set']}: " + ", ".join(
        f"{key} {ours[key]:.4f} ({theirs[key]:.4f})" for key in ours
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.placement", description=__doc__)
    parser.add_argument("--data-sets", nargs="+", default=list(DATA_SETS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="seeds 0 ... SEEDS - 1")
    parser.add_argument("--threads", type=int, default=1, help="threads of umapcore")
    parser.add_argument("--data", help="folder of the AnnData files (or $UMAPCORE_DATA)")
    parser.add_argument("--out", type=Path, default=report.RESULTS / "placement.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
