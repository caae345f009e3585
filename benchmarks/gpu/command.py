"""The command ``python -m benchmarks.gpu``: compare the GPU backend with a lower bound.

Generated graphs of 1e4 to 1e7 vertices (and fashion_mnist70k, if its file and h5py are available)
are laid out for 200 and 500 epochs. Every stage is timed by CUDA events and by wall time. The
optimisation is compared with a floor computed from the card's measured rates: see
:mod:`benchmarks.gpu.lower_bound`. Further results: bits compared with the CPU's, peak memory,
edges streamed from the host, the first call of a process, NVRTC alone, a graph of 1e8 vertices
that is made on the device.

A checkout of umapcore is enough; of its requirements, only NumPy, SciPy, Numba and CuPy are
needed. The results are written before every part, so that little is lost when time runs out.
``--table`` prints tables from them. ``--ten-minutes OUT`` runs everything that needs a GPU; this
command is one part of that: see :mod:`benchmarks.gpu.ten_minutes`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.generated import LEAST_VERTICES
from benchmarks.gpu import card
from benchmarks.gpu.clock import CudaClock
from benchmarks.gpu.first_call import COMMAND
from benchmarks.gpu.measurements import Measurements
from benchmarks.gpu.runs import Rig
from benchmarks.gpu.table import tables
from benchmarks.gpu.ten_minutes import ten_minutes
from umapcore.cli.parser import count
from umapcore.device.select import gpu_problem
from umapcore_cupy.backend import CupyBackend
from umapcore_cupy.host.compile import import_cupy
from umapcore_cupy.host.cupy_device import CupyDevice

RESULTS = report.RESULTS / "gpu.json"
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
EPOCHS = (200, 500)
RUNS = 5
#: Vertices of the graph whose edges are streamed.
STREAMED = 1_000_000
#: Vertices of the graph that is made on the device.
LARGEST = 100_000_000
#: No part begins after this many seconds, so that ten minutes are enough.
LIMIT = 480.0


def main(arguments: list[str] | None = None) -> int:
    """Measure and write the results; return 1 without a GPU or if a part failed, else 0."""
    options = parse(arguments)
    if options.table:
        if not options.out.is_file():
            print(f"{options.out} does not exist: python -m benchmarks.gpu", file=sys.stderr)
            return 1
        print(tables(json.loads(options.out.read_text(encoding="utf-8"))), end="")
        return 0
    if (problem := gpu_problem()) is not None:
        print(f"Nothing is measured without a GPU: {problem}", file=sys.stderr)
        return 1
    if options.ten_minutes is not None:
        return ten_minutes(options.ten_minutes, options.scale)
    result = on_the_card(options)
    report.write_json(options.out, result)
    print(tables(json.loads(options.out.read_text(encoding="utf-8"))), end="")
    return 1 if result["failed"] else 0


def on_the_card(options: argparse.Namespace) -> dict[str, Any]:
    """Measure CuPy's current device."""
    described = card.describe()
    device = CupyDevice()
    try:
        rates = card.measure(device)
    finally:
        device.close()
    architecture = int(described["compute_capability"].replace(".", ""))

    def keep(found: dict[str, Any]) -> None:
        report.write_json(options.out, {"device": described, **found}, tell=False)

    measurements = Measurements(
        Rig(CupyBackend, CudaClock, import_cupy()), rates, options, architecture, keep
    )
    return {"device": described, **measurements.measure()}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--sizes",
        nargs="*",
        type=_size,
        default=SIZES,
        metavar="N",
        help="vertices, for example 1e5",
    )
    parser.add_argument("--epochs", nargs="+", type=count, default=EPOCHS, metavar="E")
    parser.add_argument("--runs", type=count, default=RUNS, help="repetitions; fewer from 5e6 on")
    parser.add_argument("--no-first-call", action="store_true", help="start no fresh processes")
    parser.add_argument(
        "--largest",
        type=_size_or_none,
        default=LARGEST,
        metavar="N",
        help="vertices of a graph made on the device, fewer if they do not fit; 0: none",
    )
    parser.add_argument(
        "--limit", type=float, default=LIMIT, help="seconds after which no part begins"
    )
    parser.add_argument(
        "--data", default=os.environ.get("UMAPCORE_DATA"), help="folder of the AnnData files"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON to write, or to read")
    parser.add_argument("--table", action="store_true", help="print tables from the results")
    parser.add_argument(
        "--ten-minutes", type=Path, metavar="OUT", help="run all parts; folder of the results"
    )
    parser.add_argument(
        "--scale", type=_factor, default=1.0, help="factor for the time limits of --ten-minutes"
    )
    parser.set_defaults(streamed=STREAMED, first_command=COMMAND)
    return parser.parse_args(arguments)


def _size(text: str) -> int:
    try:
        n = int(float(text))
    except (ValueError, OverflowError):
        n = 0
    if n < LEAST_VERTICES:
        msg = f"{text} is not allowed: it must be a number of vertices from {LEAST_VERTICES} on"
        raise argparse.ArgumentTypeError(msg)
    return n


def _size_or_none(text: str) -> int:
    return 0 if text == "0" else _size(text)


def _factor(text: str) -> float:
    factor = float(text)
    if not 0.0 < factor < math.inf:
        msg = f"{text} is not allowed: it must be above 0 and finite"
        raise argparse.ArgumentTypeError(msg)
    return factor
