"""Layouts from approximate neighbours and from exact ones.

``python -m benchmarks.neighbors.layouts``: for every data set, the same start positions and seeds,
and the graphs of exact neighbours and of approximate ones by several aims. All layouts are judged
on the graph of the exact neighbours. A difference is within the noise of seeds if the mean is worse
by no more than twice the standard deviation over seeds of the layouts from exact neighbours.
"""

from __future__ import annotations

from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from benchmarks import graphs, report
from benchmarks.metrics import figures
from benchmarks.neighbors import measure
from benchmarks.neighbors import points as data_sets
from benchmarks.neighbors.programs import K
from benchmarks.quality import standard_error
from umapcore import OptimizerSpec, fuzzy_simplicial_set, simplicial_set_embedding
from umapcore.neighbors.search import find_neighbors

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

ACCURACIES = (0.9, 0.95, 0.99)
N_SEEDS = 5
#: A mean that is worse by more standard deviations over seeds is no longer noise.
MOST_DEVIATIONS = 2.0
#: Figures that are compared, and the sign of a change for the worse.
WORSE = {"loss": 1.0, "recall": -1.0}

Runs = list[dict[str, float]]


def main(arguments: list[str] | None = None) -> int:
    """Compare the layouts; return 0 if every difference is within the noise, else 1."""
    options = _options(arguments)
    cases = []
    for name in options.sets:
        cases.append(_case(name, data_sets.load(name, options.data), options))
        measure.write_cases(options.out, cases, add=options.add, deviations=MOST_DEVIATIONS)
    print(table(cases))
    return 0 if all(one["within_noise"] for case in cases for one in case["approximate"]) else 1


def _case(name: str, points: NDArray[np.float32], options: argparse.Namespace) -> dict[str, Any]:
    load_before = report.load_average()
    judge = data_sets.judge(points, options.sample)
    n_threads = max(options.threads)

    def graph_of(**search: Any) -> tuple[Any, float]:
        found = find_neighbors(points, K, seed=0, n_threads=n_threads, **search)
        recall = judge.recall(found.knn.indices[judge.rows])
        return fuzzy_simplicial_set(*found.knn, n_threads=n_threads), recall

    def lay_out(graph: Any) -> Runs:
        runs: Runs = []
        for seed in range(options.seeds):
            spec = OptimizerSpec(seed=seed, n_epochs=500 if len(points) <= 10_000 else 200)
            embedding = simplicial_set_embedding(
                graph, spec, init=start, n_threads=n_threads, progress=False
            )
            a, b = spec.curve()
            judged = figures(exact, embedding, a=a, b=b)
            runs.append({"seed": seed, **{key: getattr(judged, key) for key in WORSE}})
        return runs

    start = graphs.scaled_start(points[:, :2])
    exact, _ = graph_of(exact=True)
    reference = lay_out(exact)
    case: dict[str, Any] = {
        **measure.described(name, points, load_before),
        "n_seeds": options.seeds,
        "exact": {
            key: {"mean": mean(values), "deviation": stdev(values)}
            for key, values in _by_figure(reference).items()
        },
        "exact_runs": reference,
        "approximate": [],
    }
    for accuracy in options.accuracies:
        graph, recall = graph_of(exact=False, accuracy=accuracy)
        found = compared(reference, lay_out(graph))
        case["approximate"].append({"accuracy": accuracy, "recall_of_neighbours": recall, **found})
        print(f"{name}, accuracy {accuracy}: {'within' if found['within_noise'] else 'NOT within'}"
              f" the noise", flush=True)  # fmt: skip
    return case


def compared(reference: Runs, runs: Runs) -> dict[str, Any]:
    """Compare layouts with those from exact neighbours: means, errors, and whether it is noise."""
    found: dict[str, Any] = {"runs": runs}
    within = True
    for key, sign in WORSE.items():
        before, after = _by_figure(reference)[key], _by_figure(runs)[key]
        difference = mean(after) - mean(before)
        found[key] = {
            "mean": mean(after),
            "difference": difference,
            "error": standard_error(reference, runs, key),
        }
        within &= sign * difference <= MOST_DEVIATIONS * stdev(before)
    return found | {"within_noise": bool(within)}


def _by_figure(runs: Runs) -> dict[str, list[float]]:
    return {key: [run[key] for run in runs] for key in WORSE}


def table(cases: list[dict[str, Any]]) -> str:
    """Return a row for every data set and aim."""
    rows = []
    for case in cases:
        exact = case["exact"]
        for one in case["approximate"]:
            cells = [
                case["set"], f"{case['n_points']:,}", case["n_seeds"], one["accuracy"],
                f"{one['recall_of_neighbours']:.4f}",
            ]  # fmt: skip
            for key in WORSE:
                judged = one[key]
                cells += [
                    f"{exact[key]['mean']:.4f} ± {exact[key]['deviation']:.4f}",
                    f"{judged['mean']:.4f}",
                    f"{judged['difference']:+.4f} ± {judged['error']:.4f}",
                ]
            rows.append([*cells, "yes" if one["within_noise"] else "NO"])
    header = (
        "data", "points", "seeds", "accuracy", "recall of neighbours",
        "loss, exact", "approximate", "difference", "recall, exact", "approximate", "difference",
        "within seed noise?",
    )  # fmt: skip
    return report.table(header, rows)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = measure.parser("benchmarks.neighbors.layouts", __doc__, "neighbors_layouts.json")
    measure.add_sets(parser, graphs.DATA_SETS)
    parser.add_argument("--accuracies", type=measure.listed(float), default=list(ACCURACIES))
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="seeds 0 ... SEEDS - 1")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error(f"--seeds {options.seeds}: noise needs at least 2 seeds")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
