"""``umapcore warm-up``: compile the kernels that most calls need, before they are needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from umapcore.cli.parser import count
from umapcore.cli.reporting import FAILED, OK, flat, one_line

if TYPE_CHECKING:
    import argparse

    from anndata import AnnData

#: Kernels for more edges than this many vertices have run on several threads.
_LARGE = 20_000
_SMALL = 300
_NEIGHBORS = 15

# What each process runs; each kernel is compiled by one or two of them. The longest come first.
_JOBS: dict[str, dict[str, Any]] = {
    "large graphs, 2 dimensions": {"n": _LARGE, "n_components": 2, "init_pos": "spectral"},
    "large graphs, 3 dimensions": {"n": _LARGE, "n_components": 3},
    "large graphs, densities": {"n": _LARGE, "n_components": 2, "density_weight": 2.0},
    "neighbours, small graphs, new cells": {"n": _SMALL, "n_components": 2, "ingest": True},
    "small graphs, 3 dimensions": {"n": _SMALL, "n_components": 3},
    "small graphs, densities": {"n": _SMALL, "n_components": 2, "density_weight": 2.0},
}
_CODE = "import sys; from umapcore.cli.warm_up import work; work(sys.argv[1])"


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    warm_up = commands.add_parser(
        "warm-up",
        parents=[shared],
        help="compile the kernels of the CPU now, so that later runs start at once",
        description="Compile the kernels that layouts on the CPU commonly need, in parallel "
        "processes, and keep them on disk. What is there already is only loaded. Later runs, by "
        "any program on this machine, then need not compile. Example, in a container's build: "
        "NUMBA_CACHE_DIR=/opt/kernels umapcore warm-up",
    )
    warm_up.add_argument(
        "--processes",
        type=count,
        metavar="N",
        help="processes at a time, about 0.5 GB each (default: one for each core, up to 4)",
    )
    warm_up.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command with the parsed arguments."""
    from umapcore._kit.threads import thread_count

    threads = thread_count(None)
    # With one thread, the kernels for several are never called.
    left = [name for name, job in _JOBS.items() if threads > 1 or job["n"] == _SMALL]
    most = args.processes or min(4, threads)
    width = max(map(len, left))
    began = time.perf_counter()
    running: dict[str, subprocess.Popen[str]] = {}
    folders: set[str] = set()
    unsaved, failed = 0, False
    try:
        while left or running:
            while left and len(running) < most:
                name = left.pop(0)
                running[name] = _started(name)
            ended = [name for name, process in running.items() if process.poll() is not None]
            for name in ended:
                done = _result(running.pop(name))
                failed |= "error" in done
                folders |= set(done.get("folders", ()))
                unsaved += done.get("unsaved", 0)
                print(f"{name:<{width}}  {_said(done)}", flush=True)
            time.sleep(0.05)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    seconds = time.perf_counter() - began
    if (unsaved or not folders) and not failed:
        msg = (
            "the kernels cannot be kept: neither the package's folder nor the user's cache can be "
            "written to. Set NUMBA_CACHE_DIR to a folder that can be, also for later runs."
        )
        raise RuntimeError(msg)
    if failed:
        return FAILED
    print(flat(f"{seconds:.1f} s; the kernels are kept in {_place(folders)}"))
    return OK


def _started(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The process finds the package where this one has found it.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    printed, errors = process.communicate()
    lines = printed.splitlines()
    if process.returncode == 0 and lines:
        found: dict[str, Any] = json.loads(lines[-1])
        return found
    last = (errors.splitlines() or [f"it ended with exit code {process.returncode}"])[-1]
    return {"error": last}


def _said(done: dict[str, Any]) -> str:
    if "error" in done:
        return f"failed: {flat(done['error'])}"
    return f"compiled in {done['seconds']:.1f} s" if done["compiled"] else "there already"


def _place(folders: set[str]) -> str:
    common = os.path.commonpath(folders)
    inside = all(os.path.basename(folder) == "__pycache__" for folder in folders)
    return f"the folders __pycache__ below {common}" if inside and len(folders) > 1 else common


def work(name: str) -> None:
    """Run a job in this process and print as JSON what it has compiled."""
    from umapcore._kit.compile_time import counted_compiling

    timings: dict[str, float] = {}
    try:
        with counted_compiling(timings):
            _call(dict(_JOBS[name]))
    except Exception as error:
        print(json.dumps({"error": one_line(error)}))
        return
    print(json.dumps({"seconds": timings.get("compiling", 0.0), **_cached()}))


def _call(job: dict[str, Any]) -> None:
    """Make the calls that need the kernels of a job."""
    from umapcore.tl import ingest, umap

    adata = _cells(job.pop("n"))
    new = job.pop("ingest", False)
    umap(adata, maxiter=2, progress=False, **{"init_pos": "random", **job})
    if new:
        umap(adata, maxiter=2, progress=False)  # the spectral start
        ingest(adata[:20].copy(), adata, use_rep="X_pca", maxiter=2)


def _cells(n: int) -> AnnData:
    """Return cells with neighbours: found for a few, made up for many."""
    import numpy as np
    from anndata import AnnData

    from umapcore.neighbors.partitions import CpuStages
    from umapcore.pp import neighbors

    rng = np.random.default_rng(0)
    adata = AnnData(shape=(n, 0), obsm={"X_pca": rng.normal(size=(n, 10)).astype(np.float32)})
    given = None
    if n == _LARGE:
        # Steps to the neighbours are the same for all vertices, and no two are alike.
        steps = rng.choice(np.arange(1, n // 2), _NEIGHBORS - 1, replace=False)
        indices = (np.arange(n)[:, None] + np.append(0, steps)) % n
        given = (indices, np.broadcast_to(np.arange(float(_NEIGHBORS)), indices.shape))
    else:
        stages = CpuStages(adata.obsm["X_pca"], _NEIGHBORS - 1, 0, None)
        stages.tree(0)
        stages.look_around()
    neighbors(adata, _NEIGHBORS, use_rep="X_pca", precomputed_knn=given)
    return adata


def _cached() -> dict[str, Any]:
    """Return the folders of the kernels that were called, and how many could not be saved."""
    import gc

    from numba.core.registry import CPUDispatcher

    from umapcore._kit.jit import _StampedCache

    folders, unsaved, compiled = set(), 0, 0
    for kernel in gc.get_objects():
        if not isinstance(kernel, CPUDispatcher) or not kernel.signatures:
            continue
        if not isinstance(kernel._cache, _StampedCache):
            continue  # no folder can be written to, or it is compiled as a part of others
        folders.add(kernel._cache.cache_path)
        misses = sum(kernel.stats.cache_misses.values())
        compiled += misses
        unsaved += bool(misses) and not os.path.exists(kernel._cache._cache_file._index_path)
    return {"folders": sorted(folders), "unsaved": unsaved, "compiled": compiled}
