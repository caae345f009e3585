"""Run NVIDIA's profiler and sanitizer if found: ``python -m benchmarks.gpu.parts.profilers``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gpu.limited import run_limited
from benchmarks.gpu.ten_minutes import CANNOT

if TYPE_CHECKING:
    from collections.abc import Sequence

WORKLOAD = (sys.executable, "-m", "benchmarks.gpu.parts.workload")
#: Profiles kernels of the first epoch, from its fourth bucket on.
NCU = (
    "--clock-control", "none", "--set", "detailed", "-k", "regex:walk|apply|draw_pool",
    "-s", "9", "-c", "6", *WORKLOAD, "1000000",
)  # fmt: skip
SANITIZED = (*WORKLOAD, "2000", "--epochs", "3", "--start", "--neighbours", "1500")
RUNS = (
    ("ncu", NCU),
    *(
        ("compute-sanitizer", ("--tool", tool, "--error-exitcode", "9", *SANITIZED))
        for tool in ("memcheck", "racecheck", "synccheck")
    ),
)
#: Shares of the time; other tools have 1. ncu repeats kernels, and runs them on a large graph.
SHARES = {"ncu": 2.0}
#: A tool does not start with fewer seconds than this.
LEAST = 3.0


def main(
    arguments: Sequence[str] | None = None,
    runs: Sequence[tuple[str, Sequence[str]]] = RUNS,
    folders: Sequence[Path] | None = None,
) -> int:
    """Run the tools that are found and print their output; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=100.0, help="seconds for all of them")
    end = time.perf_counter() + parser.parse_args(arguments).limit
    there = [(path, given) for name, given in runs if (path := find(name, folders))]
    shares = [SHARES.get(Path(path).name, 1.0) for path, _ in there]
    failed = False
    for i, (tool, given) in enumerate(there):
        # Time that a tool does not use goes to the others.
        seconds = (end - time.perf_counter()) * shares[i] / sum(shares[i:])
        print(f"--- {tool} {' '.join(given)}", flush=True)
        if seconds < LEAST:
            print("no time is left for it")
            continue
        failed = not _run((tool, *given), seconds) or failed
    absent = sorted({name for name, _ in runs if find(name, folders) is None})
    if absent:
        print(f"not found on PATH or in /usr/local/cuda*/bin: {', '.join(absent)}")
    if not there:
        return CANNOT
    return 1 if failed else 0


def find(name: str, folders: Sequence[Path] | None = None) -> str | None:
    """Return the path of a tool of the CUDA toolkit, which is often not on PATH."""
    if folders is None:
        folders = sorted(Path("/usr/local").glob("cuda*/bin"), reverse=True)
    return shutil.which(name) or next(
        (path for folder in folders if (path := shutil.which(name, path=str(folder)))), None
    )


def _run(command: Sequence[str], seconds: float) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        console = Path(folder) / "console"
        ended = run_limited(command, seconds, console)
        print(console.read_text(encoding="utf-8", errors="replace"))
    how = "was ended, its time was over" if ended.status is None else f"status {ended.status}"
    print(f"--- {how}, {ended.seconds:.1f} s", flush=True)
    return ended.status == 0


if __name__ == "__main__":
    raise SystemExit(main())
