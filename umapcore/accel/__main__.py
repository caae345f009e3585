"""``python -m umapcore.accel script.py …``: run a program with scanpy and umap-learn faster."""

from __future__ import annotations

import argparse
import logging
import os
import runpy
import sys
from importlib.util import find_spec

from umapcore.accel import install
from umapcore.device.select import METHODS

_USAGE = "python -m umapcore.accel [options] (script.py | -m module) [arguments ...]"


def main(arguments: list[str] | None = None) -> None:
    """Install, then run a script or module as ``python`` would.

    Parameters
    ----------
    arguments
        Options, the program, and its arguments; None uses those of the command line.
    """
    parser = argparse.ArgumentParser(
        "python -m umapcore.accel",
        usage=_USAGE,
        description="Run a Python program with umapcore at work in scanpy.pp.neighbors, "
        "scanpy.tl.umap and umap.UMAP.",
        allow_abbrev=False,
    )
    parser.add_argument("--method", choices=list(METHODS), default="umap", help="CPU, GPU or auto")
    parser.add_argument("--threads", type=int, metavar="N", help="threads on the CPU")
    parser.add_argument(
        "--neighbors",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="search neighbours too (default), or only compute layouts",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say of each call who does it, and why"
    )
    parser.add_argument("-m", dest="module", action="store_true", help="the program is a module")
    parser.add_argument("program", help="script or, with -m, module")
    rest = parser.add_argument("rest", nargs=argparse.REMAINDER, help="arguments of the program")
    rest.required = False  # else the error message for no arguments would name it
    options = parser.parse_args(arguments)
    if options.verbose:
        logging.basicConfig(format="%(name)s: %(message)s")
        logging.getLogger("umapcore").setLevel(logging.INFO)
    if not options.module and not os.path.exists(options.program):
        parser.error(f"there is no file {options.program!r}")
    if options.module and not _is_there(options.program):
        parser.error(f"there is no module {options.program!r}")
    try:
        install(method=options.method, n_threads=options.threads, neighbors=options.neighbors)
    except (ValueError, TypeError) as problem:
        parser.error(str(problem))
    sys.argv[:] = [options.program, *options.rest]
    if not sys.flags.safe_path:
        # Replace the folder that `python -m` put there for this module.
        folder = os.path.curdir if options.module else os.path.dirname(options.program)
        sys.path[0] = os.path.abspath(folder)
    if options.module:
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
        return
    runpy.run_path(options.program, run_name="__main__")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False


if __name__ == "__main__":
    main()
