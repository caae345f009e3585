"""Contenders in turn, each in a process of its own; and the options that the benchmarks share."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import report
from benchmarks.neighbors import points as data_sets
from benchmarks.neighbors.programs import COMPILED, EXACT, MODULES, OURS, Contender, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

REPEATS = 3
#: A first call that takes longer, in seconds, is not followed by a second one.
WARM_AT_MOST = 300.0
#: How a result names the seconds of a first call, and of a second one in the same process.
CALLS = ("first", "warm")
#: Others put their compiled code on disk by a search among so few points.
FEW = 5_000
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Runs = list[dict[str, Any]]


def compare(
    name: str,
    points: NDArray[np.float32],
    contenders: Sequence[Contender],
    options: argparse.Namespace,
    *,
    module: str = "benchmarks.neighbors.process",
    summary: Callable[[Runs], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Run all contenders in turn; return medians, recall, and who was left out and why.

    Parameters
    ----------
    name, points
        A data set.
    contenders
        Who takes part.
    options
        Those of :func:`parser`.
    module
        What runs a contender in a process.
    summary
        Makes what is told of a contender's runs; None: for runs of the search alone.
    """
    summary = summary or search_summary
    load_before = report.load_average()
    judge = data_sets.judge(points, options.sample)
    skipped = _left_out(contenders)
    field = [one for one in contenders if one.program not in skipped]
    runs: dict[str, Runs] = {one.name: [] for one in field}
    with saved(points, judge.rows) as folder:
        fill_caches(module, field, folder)
        for number in range(options.repeats):
            for one in field:
                rival = one.program not in (OURS, EXACT)
                if one.name in skipped or (rival and number >= options.rival_repeats):
                    continue
                try:
                    measured, indices = run_contender(
                        module, one, folder / "points.npy", options.warm_at_most
                    )
                except RuntimeError as error:
                    skipped[one.name] = str(error)
                    print(f"{name}: {one.name} is left out: {error}", flush=True)
                    continue
                measured["recall"] = judge.recall(indices)
                runs[one.name].append(measured)
                print(f"{name}: {one.name}: {_line(measured)}", flush=True)
    return {
        **described(name, points, load_before),
        "sample": len(judge.rows),
        "repeats": options.repeats,
        "rival_repeats": min(options.repeats, options.rival_repeats),
        "contenders": [one.as_dict() | summary(runs[one.name]) for one in field if runs[one.name]],
        "same_bits": _same_bits(field, runs),
        "skipped": skipped,
    }


def described(name: str, points: NDArray[np.float32], load_before: float | None) -> dict[str, Any]:
    """Return what every case begins with: the data, and when and where it was measured."""
    return {
        "set": name,
        "n_points": len(points),
        "n_dimensions": points.shape[1],
        "processor": report.processor(),
        "cores": os.cpu_count(),
        "commit": report.versions()["commit"],
        "load_average_before": load_before,
    }


def _left_out(field: Sequence[Contender]) -> dict[str, str]:
    found: dict[str, str] = {}
    for program in dict.fromkeys(one.program for one in field):
        if why := problem(program):
            found[program] = why
            print(f"{program} is left out: {why}", flush=True)
    return found


@contextmanager
def saved(points: NDArray[np.float32], rows: NDArray[np.int64]) -> Iterator[Path]:
    """Keep points, a few of them, and the rows of the sample in a folder for processes to read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "points.npy", points)
        np.save(folder / "few.npy", points[:FEW])
        np.save(folder / "rows.npy", rows)
        np.save(folder / "no rows.npy", rows[:0])
        yield folder


def in_process(module: str, *arguments: object, threads: int | None = None) -> None:
    """Run a module in a process of its own, every library of which has so many threads.

    Raises
    ------
    RuntimeError
        With the last line of what the process said, if it failed.
    """
    limits = dict.fromkeys(_VARIABLES, str(threads)) if threads else {}
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env={**os.environ, **limits},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(said[-1])


def run_contender(
    module: str,
    one: Contender,
    points: Path,
    warm_at_most: float,
    *,
    rows: str = "rows.npy",
) -> tuple[dict[str, Any], NDArray[Any]]:
    """Run a contender in a process; return what it measured, and the sample's neighbours."""
    out = points.with_name("result.npz")
    in_process(
        module, points, json.dumps(one.as_dict()), "--rows", points.with_name(rows),
        "--warm-at-most", warm_at_most, "--out", out, threads=one.threads,
    )  # fmt: skip
    with np.load(out) as stored:
        return json.loads(str(stored["measured"])), stored["indices"]


def fill_caches(module: str, field: Sequence[Contender], folder: Path) -> None:
    """Let programs put compiled code on disk: ours for this very data, others for a few points."""
    first = {(one.program, one.threads): one for one in reversed(field)}
    for one in first.values():
        if one.program in COMPILED:
            data = "points.npy" if one.program == OURS else "few.npy"
            # What fails here fails again where it is told.
            with suppress(RuntimeError):
                run_contender(module, one, folder / data, 0.0, rows="no rows.npy")


def search_summary(runs: Runs) -> dict[str, Any]:
    """Return medians of the seconds and the recall, and the highest peak of memory."""
    seconds = {call: [run[call] for run in runs if run[call] is not None] for call in CALLS}
    return {
        **{call: median(times) if times else None for call, times in seconds.items()},
        "seconds": seconds,
        "recall": median(run["recall"] for run in runs),
        "claimed_recall": runs[0]["claimed_recall"],
        "bytes_above_the_data": highest_peak(runs),
    }


def highest_peak(runs: Runs) -> float | None:
    """Return the highest peak of memory; None where it could not be measured."""
    peaks = [run["bytes_above_the_data"] for run in runs]
    return max((peak for peak in peaks if math.isfinite(peak)), default=None)


def _same_bits(field: Sequence[Contender], runs: dict[str, Runs]) -> dict[str, bool]:
    """Tell, per program and setting, whether all runs on any threads found the same bits."""
    digests: dict[str, set[str]] = {}
    for one in field:
        key = ", ".join(filter(None, [one.program, one.setting]))
        for run in runs[one.name]:
            digests.setdefault(key, set()).update(run["digests"])
    return {key: len(found) == 1 for key, found in digests.items()}


def _line(measured: dict[str, Any]) -> str:
    warm = "" if measured["warm"] is None else f", warm {measured['warm']:.3f} s"
    return f"recall {measured['recall']:.4f}, first {measured['first']:.3f} s{warm}"


def contender_table(case: dict[str, Any]) -> str:
    """Return the table of a case: settings, recall, seconds and memory."""
    rows = [
        [
            one["program"], Contender(one["program"], 1, one["settings"]).setting, one["threads"],
            f"{one['recall']:.4f}",
            *("" if one[call] is None else f"{one[call]:.3g}" for call in reversed(CALLS)),
            spread(one["seconds"]["warm"] or one["seconds"]["first"]),
            "" if one["bytes_above_the_data"] is None
            else f"{one['bytes_above_the_data'] / 1e6:.0f}",
        ]
        for one in case["contenders"]
    ]  # fmt: skip
    header = (
        "program", "setting", "threads", "recall", "warm, s", "first, s", "spread, s", "memory, MB",
    )  # fmt: skip
    return report.table(header, rows)


def spread(seconds: list[float]) -> str:
    """Return the fastest and the slowest run as text."""
    return f"{min(seconds):.3g} to {max(seconds):.3g}"


def write_cases(path: Path, cases: list[dict[str, Any]], *, add: bool, **content: Any) -> None:
    """Write cases; with `add`, those of other sets that the file has are kept."""
    names = {case["set"] for case in cases}
    if add and path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))["cases"]
        cases = [case for case in earlier if case["set"] not in names] + cases
    report.write_json(path, {**content, "cases": cases})


def listed(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Return a reader of options like ``1,2``; nothing between the commas is an empty list."""

    def read(text: str) -> list[Any]:
        return [kind(part.strip()) for part in text.split(",") if part.strip()]

    return read


def program_settings(text: str) -> tuple[str, dict[str, float]]:
    """Read an option like ``hnswlib:M=16,ef_construction=100,ef=50``."""
    program, _, settings = text.partition(":")
    if program not in MODULES or not settings:
        msg = f"{text!r}: PROGRAM:NAME=NUMBER,… is needed"
        raise argparse.ArgumentTypeError(msg)
    pairs = (part.partition("=") for part in settings.split(","))
    return program, {name.strip(): float(value) for name, _, value in pairs}


def parser(prog: str, description: str | None, out: str) -> argparse.ArgumentParser:
    """Return a parser with the options that the benchmarks of the search share."""
    made = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument("--data", help="folder of the AnnData files (or $UMAPCORE_DATA)")
    made.add_argument("--threads", type=listed(int), default=[1, 2], help="for example 1,2")
    made.add_argument(
        "--sample", type=int, default=data_sets.SAMPLE, help="points whose recall is counted"
    )
    made.add_argument("--out", type=Path, default=report.RESULTS / out)
    return made


def add_rounds(made: argparse.ArgumentParser) -> None:
    """Add the options of contenders that run in turn, as :func:`compare` needs them."""
    made.add_argument("--repeats", type=int, default=REPEATS)
    made.add_argument(
        "--rival-repeats", type=int, default=REPEATS, help="repeats in which rivals take part"
    )
    made.add_argument(
        "--settings", type=program_settings, action="append", default=[],
        metavar="PROGRAM:NAME=NUMBER,…", help="instead of a program's own; can be repeated",
    )  # fmt: skip
    made.add_argument(
        "--warm-at-most", type=float, default=WARM_AT_MOST, metavar="SECONDS",
        help="a first call that takes longer is not followed by a second",
    )  # fmt: skip


def add_sets(made: argparse.ArgumentParser, default: Sequence[str]) -> None:
    """Add the options that choose data sets and keep earlier results of others."""
    made.add_argument(
        "--set", dest="sets", type=listed(str), default=list(default), metavar="NAME,…",
        help="names of data sets; generated:1e6 for 1,000,000 generated points",
    )  # fmt: skip
    made.add_argument(
        "--add", action="store_true", help="keep the results of other sets that --out has"
    )


def chosen_settings(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return the settings that were given, by program."""
    chosen: dict[str, list[dict[str, float]]] = {}
    for program, settings in options.settings:
        chosen.setdefault(program, []).append(settings)
    return chosen
