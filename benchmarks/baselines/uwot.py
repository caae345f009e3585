"""Run the optimisation of uwot (Melville), the UMAP of R, in an R process.

``Rscript`` is found on PATH, or ``UMAPCORE_RSCRIPT`` holds the command, for example ``chroot
/srv/debian Rscript`` or ``docker run -i --rm image Rscript``. Graph and start positions go to its
standard input, and the embedding comes from its standard output. It need not see the same files.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.outcome import Outcome, Run

if TYPE_CHECKING:
    from benchmarks.graphs import BenchGraph
    from umapcore import OptimizerSpec

VARIABLE = "UMAPCORE_RSCRIPT"
PROGRAM = Path(__file__).with_suffix(".R")
#: The first release with `optimize_graph_layout`, which takes a graph and start positions.
OLDEST = (0, 1, 15)
#: Reads the program from standard input, and leaves the rest of the input to the program.
_LOADER = (
    'con <- file("stdin", "rb"); '
    'eval(parse(text = readChar(con, readBin(con, "integer", 1), useBytes = TRUE)))'
)
_VERSION = 'cat(as.character(packageVersion("uwot")), as.character(getRversion()))'


def names(n_threads: int) -> list[str]:
    """Return the names of its modes: serial, threads with races, deterministic Adam batches."""
    parallel = [f"uwot parallel {n_threads}"] if n_threads > 1 else []
    return ["uwot serial", *parallel, f"uwot batch {n_threads}"]


def problem() -> str | None:
    """Return a sentence that says why it cannot run here; None if it can."""
    found = _versions()
    return found if isinstance(found, str) else None


def versions() -> dict[str, str]:
    """Return the versions of uwot and R; empty if one of them is missing."""
    found = _versions()
    return {} if isinstance(found, str) else found


def layout(name: str, bench: BenchGraph, spec: OptimizerSpec) -> Run:
    """Prepare to lay out a graph in one of the modes of `names`.

    The timing is that of `optimize_graph_layout` minus that of the same call with 0 epochs, which
    checks the graph. The check takes longer in R than in the other programs.
    """
    _, mode, *threads = name.split()
    a, b = spec.curve()
    # Serial means no thread besides R's own.
    n_sgd_threads = int(threads[0]) if threads else 0
    n, d = bench.start.shape
    header = (
        n, bench.graph.nnz, d, spec.epochs_for(n), a, b, spec.negative_sample_rate, spec.seed,
        n_sgd_threads, mode == "batch",
    )  # fmt: skip
    program = PROGRAM.read_bytes()
    message = b"".join(
        [
            np.int32(len(program)).tobytes(),
            program,
            np.array(header, np.float64).tobytes(),
            bench.graph.indptr.astype(np.int32).tobytes(),
            bench.graph.indices.astype(np.int32).tobytes(),
            bench.graph.data.astype(np.float64).tobytes(),
            bench.start.astype(np.float64).tobytes("F"),
        ]
    )

    def once() -> Outcome:
        done = _run(_LOADER, message)
        if done.returncode or len(done.stdout) != 8 * (3 + n * d):
            msg = f"uwot failed: {done.stderr.decode(errors='replace')}"
            raise RuntimeError(msg)
        found = np.frombuffer(done.stdout, np.float64)
        whole, setup, more = (float(value) for value in found[:3])
        embedding = found[3:].reshape(d, n).T.copy()
        return Outcome(embedding, {"optimise": whole - setup, "setup": setup}, more)

    return once


def _command() -> list[str]:
    return shlex.split(os.environ.get(VARIABLE, "")) or ["Rscript"]


def _run(expression: str, message: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [*_command(), "-e", expression]
    return subprocess.run(command, input=message, capture_output=True, check=False)


@cache
def _versions() -> dict[str, str] | str:
    """Return the versions, or the sentence of `problem`."""
    command = _command()
    if shutil.which(command[0]) is None:
        return f"{command[0]} was not found (install R and its package uwot, or set {VARIABLE})."
    done = _run(_VERSION)
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        return f"{shlex.join(command)} has no package uwot: {said}"
    uwot, r = done.stdout.decode().split()
    if tuple(int(part) for part in uwot.split(".")[:3]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return f"uwot {uwot} lays out no given graph: {oldest} or newer does."
    return {"uwot": uwot, "R": r}
