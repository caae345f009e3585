"""The command line, ``umapcore COMMAND``: one file per command."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from typing import TYPE_CHECKING

from umapcore.cli import bench, compare, demo, embed, info, ingest, plot, verify, warm_up
from umapcore.cli.parser import Parser, shared_options
from umapcore.cli.reporting import FAILED, INTERRUPTED, OK, USAGE, flat, one_line, reporting
from umapcore.cli.signals import Signals, Stop, exit_code, said
from umapcore.files.atomic_write import recorded
from umapcore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FAILED", "INTERRUPTED", "OK", "USAGE", "main", "make_parser", "program"]

_WINDOWS = os.name == "nt"

# Each module has `add`, which declares the command's options and sets the default `run`: a
# function of the parsed arguments that returns an exit code, or None for 0. A command that uses 1
# as an answer sets `failed` to another exit code for errors.
_COMMANDS = (embed, plot, ingest, verify, compare, bench, demo, warm_up, info)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; None uses those of the process.

    Returns
    -------
    0: done; 1: failed, with one line on stderr that says why; 2: wrong usage (argparse then
    raises ``SystemExit``); 130: interrupted; 143: terminated; 129: hung up. `compare` and `verify`
    return 1 for a difference and 2 for a failure.
    """
    with Signals() as signals:
        return _main(argv, signals)


def program() -> int:
    """Run the command line of this process, which ends afterwards; see :func:`main`."""
    _print_anything()
    signals = Signals().__enter__()
    try:
        return _main(None, signals)
    finally:
        # Until the process has ended, a signal would change nothing but its exit code.
        signals.ignore()


def _print_anything() -> None:
    """Let names and messages be printed on consoles that lack some of their characters.

    These are printed as escape sequences; for stderr Python does so itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _main(argv: Sequence[str] | None, signals: Signals) -> int:
    with recorded() as written:
        try:
            code = _command(argv, signals, written)
            signals.ignore()
            if signals.received is None:
                return code
            number = signals.received
        except KeyboardInterrupt as stop:
            signals.ignore()
            number = stop.number if isinstance(stop, Stop) else signal.SIGINT
        print(f"umapcore: {said(number)}{_complete(written)}", file=sys.stderr)
        return exit_code(number)


def _command(argv: Sequence[str] | None, signals: Signals, written: list[Path]) -> int:
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        with reporting(verbose=args.verbose):
            code: int | None = args.run(args)
            sys.stdout.flush()
    except Exception as error:
        if _reader_has_ended(error):  # no message is printed, and the end of Python is silent too
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        if signals.received is not None:  # some code has made another error of the signal's
            raise Stop(signals.received) from error
        if args.traceback:
            raise
        print(
            f"umapcore {args.command}: error: {one_line(error)}{_complete(written)}",
            file=sys.stderr,
        )
        return int(getattr(args, "failed", FAILED))
    return OK if code is None else code


def _reader_has_ended(error: Exception) -> bool:
    """Tell whether an error is that of a pipe that nobody reads any more: `umapcore info | head`.

    On Windows that is an invalid argument (https://bugs.python.org/issue35754), here of no file.
    """
    if _WINDOWS and isinstance(error, OSError) and error.errno == errno.EINVAL:
        return error.filename is None
    return isinstance(error, BrokenPipeError)


def _complete(written: list[Path]) -> str:
    """Say which outputs are there all the same."""
    names = ", ".join(map(str, written))
    return flat(f"; written before that, and complete: {names}") if names else ""


def make_parser() -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="umapcore",
        description="UMAP layouts of neighbour graphs, with the same bits on every machine.",
    )
    parser.add_argument("--version", action="version", version=f"umapcore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    shared = shared_options()
    for command in _COMMANDS:
        command.add(commands, shared)
    return parser
