"""Measure what one core can do: separate float32 operations, and products of rounded points.

``python -m benchmarks.neighbors.rate`` writes ``benchmarks/results/neighbors_rate.json``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from benchmarks import report
from umapcore._kit.simd import fill, sum_of_halves
from umapcore.neighbors.codes import Codes, find_near
from umapcore.neighbors.tile_products import QUERIES, TILE

if TYPE_CHECKING:
    from collections.abc import Callable

COORDINATES, POINTS, REPEATS = 50, 512, 7
_CHAINS = 12
_MILLION = 1_000_000


@numba.njit(nogil=True)
def _float_operations(rounds: Any, x: Any, y: Any) -> Any:
    """Multiply and add, as separate operations, in twelve chains of eight lanes."""
    a = b = c = d = e = f = g = h = i = j = k = l = fill(x)  # noqa: E741
    for _ in range(rounds):
        a, b, c, d = a * x + y, b * x + y, c * x + y, d * x + y
        e, f, g, h = e * x + y, f * x + y, g * x + y, h * x + y
        i, j, k, l = i * x + y, j * x + y, k * x + y, l * x + y  # noqa: E741
    return sum_of_halves(((a + b) + (c + d)) + ((e + f) + (g + h)) + ((i + j) + (k + l)))


@numba.njit(nogil=True, error_model="numpy")
def _all_pairs(codes: Any, n_words: Any, limits: Any, near: Any) -> Any:
    count = 0
    for q in range(0, POINTS, QUERIES):
        count += find_near(codes, q, codes, (0, POINTS // TILE), n_words, limits, near)
    return count


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.neighbors.rate", description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--out", type=Path, default=report.RESULTS / "neighbors_rate.json")
    args = parser.parse_args(arguments)
    words = np.random.default_rng(0).integers(0, 2**31, POINTS * COORDINATES // 2).astype(np.int32)
    nothing = np.zeros(0, np.float32)
    codes = Codes(words, np.full(POINTS, 2**28, np.int32), nothing, np.zeros(0, np.int32))
    # No pair is near: what is timed are the comparisons.
    limits, near = np.full(POINTS, -(2**31), np.int32), np.empty(QUERIES * POINTS, np.int32)
    factor, summand = np.float32(0.999), np.float32(0.001)

    def floats() -> int:
        _float_operations(_MILLION, factor, summand)
        return 2 * 8 * _CHAINS * _MILLION

    def integers() -> int:
        for _ in range(40):
            _all_pairs(codes, np.int64(COORDINATES // 2), limits, near)
        return 40 * POINTS**2 * 2 * COORDINATES

    taken: dict[str, list[float]] = {"float32": [], "int16": []}
    runs: list[tuple[str, Callable[[], int]]] = [("float32", floats), ("int16", integers)]
    for turn in range(args.repeats + 1):
        for name, run in runs:
            began = time.perf_counter()
            operations = run()
            if turn > 0:  # the first one compiles
                taken[name].append(operations / (time.perf_counter() - began) / 1e9)
    rates = {name: statistics.median(found) for name, found in taken.items()}
    content = {
        "load": report.load_average(), "repeats": args.repeats, "coordinates": COORDINATES,
        "points": POINTS, "billions of operations a second": rates,
        "nanoseconds a pair": 2 * COORDINATES / rates["int16"],
    }  # fmt: skip
    report.write_json(args.out, content)
    print(
        report.table(
            ("operations", "billions a second"), [[k, f"{v:.0f}"] for k, v in rates.items()]
        )
    )


if __name__ == "__main__":
    main()
