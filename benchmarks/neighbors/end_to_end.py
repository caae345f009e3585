"""From coordinates to the embedding: ``python -m benchmarks.neighbors.end_to_end``.

``pp.neighbors`` and ``tl.umap`` of scanpy and of umapcore with their defaults, 15 neighbours, on
``obsm['X_pca']``; and neighbours by other programs, handed to ``umapcore.pp.neighbors``. They run
in turn, each in a process of its own: *first* is the first pass in the process with its imports,
compiled code being on disk; *warm* a second pass in the same process. scanpy takes as many threads
as it likes; it is left out above 200,000 points unless ``--with-scanpy`` asks for it. *Memory* is
the peak of the first pass above the data, with the code of the programs.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.neighbors import measure
from benchmarks.neighbors import points as data_sets
from benchmarks.neighbors.pipeline import STEPS
from benchmarks.neighbors.programs import OURS, RIVALS, SCANPY, USUAL, Contender, default_settings

if TYPE_CHECKING:
    import argparse

SETS = ("fashion_mnist70k",)
#: Programs that only search.
SEARCHES = ("hnswlib", "faiss-ivf")
SCANPY_UP_TO = 200_000


def main(arguments: list[str] | None = None) -> int:
    """Measure all programs on the chosen data and write the results."""
    options = _options(arguments)
    cases = []
    for name in options.sets:
        points = data_sets.load(name, options.data)
        case = measure.compare(
            name, points, field(len(points), options), options,
            module="benchmarks.neighbors.pipeline", summary=summary,
        )  # fmt: skip
        cases.append(case)
        print(f"\n{name}: {len(points):,} points\n{table(case)}", flush=True)
        measure.write_cases(options.out, cases, add=options.add)
    return 0


def field(n: int, options: argparse.Namespace) -> list[Contender]:
    """Return who takes part: rivals of the search with one setting each, on most threads."""
    contenders = [Contender(OURS, threads) for threads in options.threads]
    if options.with_scanpy or n <= SCANPY_UP_TO:
        contenders.append(Contender(SCANPY, 0))
    chosen = measure.chosen_settings(options)
    for program in options.searches:
        settings = chosen.get(program) or default_settings(program, n)[: USUAL + 1][-1:]
        contenders += [Contender(program, max(options.threads), one) for one in settings]
    return contenders


def summary(runs: measure.Runs) -> dict[str, Any]:
    """Return medians of the steps' seconds, the recall, the layout's figures and the peak."""
    steps = {}
    for call in measure.CALLS:
        timed = [run["steps"][call] for run in runs if call in run["steps"]]
        if timed:
            steps[call] = {step: median(one[step] for one in timed) for step in STEPS}
    return {
        "steps": steps,
        "seconds": {
            call: [run[call] for run in runs if run[call] is not None] for call in measure.CALLS
        },
        **{
            key: median(run[key] for run in runs)
            for key in ("recall", "layout_loss", "layout_recall")
        },
        "bytes_above_the_data": measure.highest_peak(runs),
    }


def table(case: dict[str, Any]) -> str:
    """Return a row for every program and call."""
    rows = []
    for one in case["contenders"]:
        setting = Contender(one["program"], 1, one["settings"]).setting
        name = one["program"] + ("" if one["program"] in (OURS, SCANPY) else " + umapcore")
        for call, steps in one["steps"].items():
            rows.append(
                [
                    name, setting, one["threads"] or "its own", call,
                    *(f"{steps[step]:.3g}" if steps[step] > 1e-4 else "" for step in STEPS),
                    measure.spread(one["seconds"][call]), f"{one['recall']:.4f}",
                    f"{one['layout_loss']:.3f}", f"{one['layout_recall']:.3f}",
                    "" if one["bytes_above_the_data"] is None
                    else f"{one['bytes_above_the_data'] / 1e6:.0f}",
                ]
            )  # fmt: skip
    header = (
        "program", "setting", "threads", "call", *(f"{step}, s" for step in STEPS), "spread, s",
        "recall", "layout's loss", "layout's recall", "memory, MB",
    )  # fmt: skip
    return report.table(header, rows)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = measure.parser("benchmarks.neighbors.end_to_end", __doc__, "neighbors_end_to_end.json")
    measure.add_rounds(parser)
    measure.add_sets(parser, SETS)
    parser.add_argument(
        "--searches", type=measure.listed(str), default=list(SEARCHES), help=",".join(RIVALS)
    )
    parser.add_argument("--with-scanpy", action="store_true", help="also above 200,000 points")
    options = parser.parse_args(arguments)
    if unknown := set(options.searches) - set(RIVALS):
        parser.error(f"--searches: {', '.join(sorted(unknown))}; known are {', '.join(RIVALS)}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
