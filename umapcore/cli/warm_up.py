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
from umapcore.cli.usual_calls import USUAL

if TYPE_CHECKING:
    import argparse

_CODE = "import sys; from umapcore.cli.warm_up import work; work(sys.argv[1])"


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    warm_up = commands.add_parser(
        "warm-up",
        parents=[shared],
        help="compile the kernels of the CPU now, so that later runs start at once",
        description="Compile the kernels that calls on the CPU commonly need, in parallel "
        "processes, and keep them on disk, unless the installation contains them. What is there "
        "already is only loaded. Later runs, by any program on this machine, then need not "
        "compile. Example, in a container's build: "
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

    left = list(USUAL)
    most = args.processes or min(4, thread_count(None))
    width = max(map(len, left))
    began = time.perf_counter()
    running: dict[str, subprocess.Popen[str]] = {}
    folders: set[str] = set()
    compiled, unsaved, failed = 0, 0, False
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
                compiled += done.get("compiled", 0)
                print(f"{name:<{width}}  {_said(done)}", flush=True)
            time.sleep(0.05)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    seconds = time.perf_counter() - began
    if not failed and not compiled and not folders:
        print(f"{seconds:.1f} s; the kernels are part of the installation")
        return OK
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
            USUAL[name]()
    except Exception as error:
        print(json.dumps({"error": one_line(error)}))
        return
    print(json.dumps({"seconds": timings.get("compiling", 0.0), **_cached()}))


def _cached() -> dict[str, Any]:
    """Return the folders of the kernels that were called, and how many could not be saved."""
    from umapcore._kit.jit import KERNELS

    folders, unsaved, compiled = set(), 0, 0
    for kernel in KERNELS:
        if not kernel.is_compiled:
            continue  # not called, or its code is part of the installation
        dispatcher = kernel.dispatcher
        misses = sum(dispatcher.stats.cache_misses.values())
        compiled += misses
        cache = dispatcher._cache
        path = getattr(cache, "cache_path", None)
        if path is None:
            unsaved += bool(misses)  # no folder can be written to
            continue
        folders.add(path)
        unsaved += bool(misses) and cache.is_empty()
    return {"folders": sorted(folders), "unsaved": unsaved, "compiled": compiled}
