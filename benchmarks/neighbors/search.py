"""Search for neighbours beside other programs: ``python -m benchmarks.neighbors.search``.

All programs find the 15 nearest neighbours of all points of a data set, the point itself included;
what they build for this is in their time. They run in turn, each in a process of its own: *first*
is the first call of the process with its imports, compiled code being on disk; *warm* a second call
of the same process. *Recall* is the share of the 14 nearest others that were found, on a fixed
sample of points. *Memory* is the peak of the first call above data and imports. Programs that are
not installed (``python -m pip install hnswlib faiss-cpu usearch pynndescent``) are left out, and
the results say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.neighbors import measure
from benchmarks.neighbors import points as data_sets
from benchmarks.neighbors.programs import EXACT, OURS, RIVALS, Contender, rivals

if TYPE_CHECKING:
    import argparse

SETS = ("mammoth50k", "fashion_mnist70k")
ACCURACIES = (0.9, 0.95, 0.99, 0.999, 1.0)
#: Our search among all points takes part up to so many.
EXACT_UP_TO = 100_000


def main(arguments: list[str] | None = None) -> int:
    """Measure all programs on the chosen data and write the results."""
    options = _options(arguments)
    cases = []
    for name in options.sets:
        points = data_sets.load(name, options.data)
        field = ours(len(points), options) + rivals(
            options.rivals,
            len(points),
            options.rival_threads or options.threads,
            measure.chosen_settings(options),
        )
        cases.append(measure.compare(name, points, field, options))
        print(f"\n{name}: {len(points):,} points\n{measure.contender_table(cases[-1])}", flush=True)
        # After every set: who is stopped has the sets before.
        measure.write_cases(options.out, cases, add=options.add)
    return 0


def ours(n: int, options: argparse.Namespace) -> list[Contender]:
    """Return our contenders: every aim on every number of threads, and the exact search."""
    field = [
        Contender(OURS, threads, {"accuracy": accuracy})
        for accuracy in options.accuracies
        for threads in options.threads
    ]
    if n <= options.exact_up_to:
        field += [Contender(EXACT, threads) for threads in options.threads]
    return field


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = measure.parser("benchmarks.neighbors.search", __doc__, "neighbors_search.json")
    measure.add_rounds(parser)
    measure.add_sets(parser, SETS)
    parser.add_argument(
        "--rivals", type=measure.listed(str), default=list(RIVALS), help=",".join(RIVALS)
    )
    parser.add_argument(
        "--rival-threads", type=measure.listed(int), default=[], help="instead of --threads"
    )
    parser.add_argument("--accuracies", type=measure.listed(float), default=list(ACCURACIES))
    parser.add_argument("--exact-up-to", type=float, default=EXACT_UP_TO, metavar="POINTS")
    options = parser.parse_args(arguments)
    if unknown := set(options.rivals) - set(RIVALS):
        parser.error(f"--rivals: {', '.join(sorted(unknown))}; known are {', '.join(RIVALS)}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
