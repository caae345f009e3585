"""One search in a process of its own: its first call and a second one.

``python -m benchmarks.neighbors.process POINTS.npy CONTENDER --rows ROWS.npy --out FILE.npz``. The
first call includes what the program imports; compiled code may be on disk.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import math
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.neighbors import programs
from benchmarks.resident import resident_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Task(NamedTuple):
    """What a process measures: the points, those that are judged, who runs, and the options."""

    points: NDArray[np.float32]
    rows: NDArray[np.int64]
    contender: programs.Contender
    options: argparse.Namespace


def task(name: str, doc: str | None, arguments: list[str] | None) -> Task:
    """Read the task from the command line of the module `name`."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.neighbors.{name}", description=doc)
    parser.add_argument("points", type=Path)
    parser.add_argument("contender", type=json.loads)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--warm-at-most", type=float, default=math.inf)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    contender = programs.Contender(**options.contender)
    return Task(np.load(options.points), np.load(options.rows), contender, options)


def main(arguments: list[str] | None = None) -> int:
    """Measure a contender and write what was found for some of the points."""
    points, rows, contender, options = task("process", __doc__, arguments)
    began = time.perf_counter()
    programs.load(contender.program)
    before = resident_bytes("VmRSS", reset_peak=True)
    found = programs.search(contender, points)
    measured: dict[str, Any] = {
        "first": time.perf_counter() - began,
        "warm": None,
        "bytes_above_the_data": resident_bytes("VmHWM") - before,
        "claimed_recall": found.claimed,
    }
    digests = [_digest(found)]
    if measured["first"] <= options.warm_at_most:
        del found
        gc.collect()
        began = time.perf_counter()
        found = programs.search(contender, points)
        measured["warm"] = time.perf_counter() - began
        digests.append(_digest(found))
    measured["digests"] = sorted(set(digests))
    np.savez(options.out, measured=json.dumps(measured), indices=found.indices[rows])
    return 0


def _digest(found: programs.Neighbours) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(found.indices).data)
    digest.update(np.ascontiguousarray(found.distances).data)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    raise SystemExit(main())
