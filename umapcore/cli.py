"""The command line: ``umapcore embed``, ``umapcore demo``, ``umapcore info``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from umapcore import __version__
from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# What the library calls a parameter, where the command line calls it otherwise.
_OPTIONS = {
    "min_dist": "--min-dist",
    "spread": "--spread",
    "n_components": "--n-components",
    "n_epochs": "--maxiter",
    "alpha": "--alpha",
    "gamma": "--gamma",
    "negative_sample_rate": "--negative-sample-rate",
    "seed": "--random-state",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    0: done; 1: failed, with one line on stderr that says why; 2: wrong usage (argparse leaves
    by ``SystemExit`` in that case); 130: interrupted.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        with _reporting(verbose=args.verbose):
            args.run(args)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("umapcore: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`umapcore info | head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if args.traceback:
            raise
        print(f"umapcore {args.command}: error: {_one_line(error)}", file=sys.stderr)
        return FAILED
    return OK


class _Parser(argparse.ArgumentParser):
    """Argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="umapcore",
        description="UMAP layouts of neighbour graphs, with the same bits on every machine.",
    )
    parser.add_argument("--version", action="version", version=f"umapcore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    shared.add_argument(
        "--traceback", action="store_true", help="show where an error came from (for bug reports)"
    )
    _add_embed(commands, shared)
    _add_demo(commands, shared)
    _add_info(commands, shared)
    return parser


def _add_embed(commands: Any, shared: argparse.ArgumentParser) -> None:
    embed = commands.add_parser(
        "embed",
        parents=[shared],
        help="embed the neighbour graph of an .h5ad file",
        description="Embed the neighbour graph of an .h5ad file (scanpy.pp.neighbors makes it) "
        "and write the file with the embedding in it. All else in the file stays as it was.",
    )
    files = embed.add_argument_group("files")
    files.add_argument("input", type=Path, metavar="IN.h5ad")
    files.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.h5ad")
    files.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT.h5ad if it exists; it may then be IN.h5ad itself",
    )
    files.add_argument(
        "--neighbors-key", metavar="KEY", help="key of the graph in uns (default: neighbors)"
    )
    files.add_argument(
        "--key-added", metavar="KEY", help="write obsm[KEY] and uns[KEY] (default: X_umap, umap)"
    )

    layout = embed.add_argument_group("layout")
    layout.add_argument(
        "--min-dist",
        type=float,
        default=0.5,
        metavar="X",
        help="from 0 to spread (default: %(default)s)",
    )
    layout.add_argument(
        "--spread", type=float, default=1.0, metavar="X", help="above 0 (default: %(default)s)"
    )
    layout.add_argument(
        "--a", type=float, metavar="X", help="curve parameter, with --b, in place of the two above"
    )
    layout.add_argument("--b", type=float, metavar="X", help="curve parameter, with --a")
    layout.add_argument(
        "--n-components", type=int, default=2, metavar="N", help="dimensions (default: %(default)s)"
    )
    layout.add_argument(
        "--maxiter", type=int, metavar="N", help="epochs (default: 500 up to 10000 cells, else 200)"
    )
    layout.add_argument(
        "--alpha",
        type=float,
        default=1.0,
        metavar="X",
        help="first step size (default: %(default)s)",
    )
    layout.add_argument(
        "--gamma",
        type=float,
        default=1.0,
        metavar="X",
        help="weight of the repulsion (default: %(default)s)",
    )
    layout.add_argument(
        "--negative-sample-rate",
        type=int,
        default=5,
        metavar="N",
        help="for each firing edge (default: %(default)s)",
    )
    layout.add_argument(
        "--init-pos",
        default="spectral",
        metavar="START",
        help="spectral, random, paga, or a key of obsm (default: %(default)s)",
    )
    layout.add_argument(
        "--random-state", type=int, default=0, metavar="N", help="seed (default: %(default)s)"
    )

    running = embed.add_argument_group("running")
    running.add_argument(
        "--method",
        default="umap",
        choices=("umap", "rapids", "auto"),
        help="CPU, GPU, or the GPU if there is one; the bits are the same (default: %(default)s)",
    )
    running.add_argument(
        "--threads", type=_count, metavar="N", help="threads on the CPU (default: all)"
    )
    running.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="progress bar (default: on a terminal, when it lasts)",
    )
    embed.set_defaults(run=_embed, refuse=embed.error)


def _add_demo(commands: Any, shared: argparse.ArgumentParser) -> None:
    demo = commands.add_parser(
        "demo",
        parents=[shared],
        help="embed the bundled cells and draw them",
        description="Embed the bundled data set (8,617 cord blood cells), say how long each stage "
        "took, and write umap.png and umapcore_demo.h5ad.",
    )
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder to write into, made if need be (default: the current one)",
    )
    demo.add_argument("--threads", type=_count, metavar="N", help="threads (default: all)")
    demo.set_defaults(run=_demo)


def _add_info(commands: Any, shared: argparse.ArgumentParser) -> None:
    info = commands.add_parser(
        "info",
        parents=[shared],
        help="versions, processor, threads, GPU",
        description="Say what umapcore finds here: versions, processor, threading layer, GPU, and "
        "what to install where something is missing.",
    )
    info.add_argument("--json", action="store_true", help="as JSON")
    info.set_defaults(run=_info)


def _embed(args: argparse.Namespace) -> None:
    from umapcore.spec import OptimizerSpec

    layout = {
        name: getattr(args, name)
        for name in ("min_dist", "spread", "n_components", "alpha", "gamma")
    }
    layout |= {"negative_sample_rate": args.negative_sample_rate, "a": args.a, "b": args.b}
    try:
        # Before a large file is read: what is wrong with the options themselves.
        OptimizerSpec(n_epochs=args.maxiter, seed=args.random_state, **layout)
    except (ValueError, TypeError) as error:
        args.refuse(_in_options(str(error)))

    from umapcore.embed_file import embed_file

    done = embed_file(
        args.input,
        args.output,
        overwrite=args.overwrite,
        maxiter=args.maxiter,
        init_pos=args.init_pos,
        random_state=args.random_state,
        method=args.method,
        neighbors_key=args.neighbors_key,
        key_added=args.key_added,
        n_threads=args.threads,
        progress=args.progress,
        **layout,
    )
    n, d = done.shape
    order = ("read", "graph", "start", "plan", "optimise", "write")
    stages = {stage: done.timings[stage] for stage in order if stage in done.timings}
    said = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
    compiling = done.timings.get("compiling", 0.0)
    once = f"; {compiling:.2f} s of it compiling, once for this processor" if compiling else ""
    print(f"{args.output}: obsm[{done.key!r}], {n:,} x {d}")
    print(f"{sum(stages.values()):.2f} s ({said}){once}")


def _demo(args: argparse.Namespace) -> None:
    from umapcore import demo

    demo.run(args.output, n_threads=args.threads)


def _info(args: argparse.Namespace) -> None:
    from umapcore import info

    found = info.collect()
    print(json.dumps(found, indent=2) if args.json else "\n".join(info.lines(found)))


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not an integer of at least 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _in_options(message: str) -> str:
    """Put the options' names in place of the library's parameters."""
    for name, option in _OPTIONS.items():
        message = re.sub(rf"\b{name}\b", option, message)
    return message


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename2 or error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    # The user's mistakes have messages written for users; the rest needs its kind to make sense.
    if text and isinstance(error, (ValueError, TypeError, OSError, ImportError, RuntimeError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _reporting(*, verbose: bool) -> Iterator[None]:
    """Warnings and log messages as single lines on stderr, and a tidy end when terminated."""

    def show(
        message: Warning | str, _category: type[Warning], *_place: object, **_more: object
    ) -> None:
        print(f"umapcore: warning: {' '.join(str(message).split())}", file=sys.stderr)

    def terminate(_number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + signal.SIGTERM)

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("umapcore: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    # Only the main thread may handle signals; a caller's thread goes without.
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if in_main else None
    try:
        with warnings.catch_warnings():
            if not verbose:
                # Notices from the packages below to their programmers, not to users.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
            warnings.showwarning = show  # type: ignore[assignment]
            yield
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
        logger.removeHandler(handler)
        logger.setLevel(level)
