"""Seconds of our search against the number of points: ``python -m benchmarks.neighbors.growth``.

Generated points, exact and approximate search, as ``benchmarks.neighbors.search`` measures them.
Where the two take the same time is where the search without ``exact`` should change over.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.neighbors import measure
from benchmarks.neighbors import points as data_sets
from benchmarks.neighbors.programs import EXACT, OURS
from benchmarks.neighbors.search import ours

if TYPE_CHECKING:
    import argparse

SIZES = (1e4, 3e4, 1e5, 3e5, 1e6)
ACCURACY = 0.99


def main(arguments: list[str] | None = None) -> int:
    """Measure all sizes and write the results."""
    options = _options(arguments)
    cases: list[dict[str, Any]] = []
    for size in options.sizes:
        name = f"{data_sets.GENERATED}{size:.0f}"
        points = data_sets.load(name)
        cases.append(measure.compare(name, points, ours(len(points), options), options))
        content = {"accuracies": options.accuracies, "crossings": crossings(cases)}
        measure.write_cases(options.out, cases, add=False, **content)
    print(table(cases))
    print(crossing_table(crossings(cases)))
    return 0


def table(cases: list[dict[str, Any]]) -> str:
    """Return a row for every size, search and number of threads."""
    rows = []
    for case in cases:
        for one in case["contenders"]:
            seconds = [one[call] for call in measure.CALLS]
            per_point = None if one["warm"] is None else one["warm"] / case["n_points"] * 1e6
            rows.append(
                [
                    f"{case['n_points']:,}", one["program"], one["settings"].get("accuracy", ""),
                    one["threads"], f"{one['recall']:.4f}",
                    *("" if value is None else f"{value:.3g}" for value in reversed(seconds)),
                    "" if per_point is None else f"{per_point:.1f}",
                    "" if one["bytes_above_the_data"] is None
                    else f"{one['bytes_above_the_data'] / case['n_points']:.0f}",
                ]
            )  # fmt: skip
    header = (
        "points", "program", "accuracy", "threads", "recall", "warm, s", "first, s",
        "warm, µs a point", "peak, bytes a point",
    )  # fmt: skip
    return report.table(header, rows)


def crossings(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Find where the exact search begins to take longer than the approximate one.

    Between two sizes, the logarithm of the ratio is taken to be linear in that of the size. None:
    the exact search is the faster one at all sizes that both had, or the slower one at all.
    """
    found = []
    aims = sorted(
        {
            (one["settings"]["accuracy"], one["threads"])
            for case in cases
            for one in case["contenders"]
            if one["program"] == OURS
        }
    )
    for accuracy, threads in aims:
        for call in measure.CALLS:
            ratios = []
            for case in cases:
                exact = _seconds(case, call, EXACT, threads)
                approximate = _seconds(case, call, OURS, threads, accuracy)
                if exact and approximate:
                    ratios.append((case["n_points"], exact / approximate))
            found.append(
                {
                    "accuracy": accuracy, "threads": threads, "call": call,
                    "exact_over_approximate": ratios, "points": _where_one(ratios),
                }
            )  # fmt: skip
    return found


def crossing_table(found: list[dict[str, Any]]) -> str:
    """Return the ratios at all sizes, and where they are 1."""
    rows = [
        [
            one["accuracy"], one["threads"], one["call"],
            "; ".join(f"{n:,}: {ratio:.2f}" for n, ratio in one["exact_over_approximate"]),
            "" if one["points"] is None else f"{one['points']:,.0f}",
        ]
        for one in found
    ]  # fmt: skip
    header = ("accuracy", "threads", "call", "seconds exact / approximate", "equal at, points")
    return report.table(header, rows)


def _seconds(
    case: dict[str, Any], call: str, program: str, threads: int, accuracy: float | None = None
) -> float | None:
    for one in case["contenders"]:
        key = (one["program"], one["threads"], one["settings"].get("accuracy"))
        if key == (program, threads, accuracy):
            seconds: float | None = one[call]
            return seconds
    return None


def _where_one(ratios: list[tuple[int, float]]) -> float | None:
    for (n, before), (m, after) in pairwise(ratios):
        if before <= 1.0 < after:
            share = -math.log(before) / (math.log(after) - math.log(before))
            return float(n * (m / n) ** share)
    return None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = measure.parser("benchmarks.neighbors.growth", __doc__, "neighbors_growth.json")
    measure.add_rounds(parser)
    parser.add_argument("--sizes", type=measure.listed(float), default=list(SIZES))
    parser.add_argument("--accuracies", type=measure.listed(float), default=[ACCURACY])
    parser.add_argument("--exact-up-to", type=float, default=1e5, metavar="POINTS")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
