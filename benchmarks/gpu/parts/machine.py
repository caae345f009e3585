"""Describe the machine and its software: ``python -m benchmarks.gpu.parts.machine``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks import report

COMMANDS = (
    ["nvidia-smi"],
    ["nvidia-smi", "-q", "-d", "CLOCK,PERFORMANCE,POWER,ECC"],
    [sys.executable, "-m", "pip", "list"],
    ["lscpu"],
)


def main() -> int:
    """Print everything that can be found; return 1 without a usable GPU, else 0."""
    for command in COMMANDS:
        print(f"--- {' '.join(command)}", flush=True)
        print(output(command), flush=True)
    # A process may often use fewer cores than the machine has.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    _print({**report.machine(), "cores_allowed": allowed, "load": report.load_average()})
    _print(report.versions())
    from umapcore_cupy.host.problem import problem

    found = problem()
    print(f"--- problem: {found}")
    if found is not None:
        return 1
    from benchmarks.gpu.card import describe

    _print(describe())
    return 0


def output(command: list[str]) -> str:
    """Return the output of a command, or why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stdout + done.stderr).strip()


def _print(found: object) -> None:
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    raise SystemExit(main())
