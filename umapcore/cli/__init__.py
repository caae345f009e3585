"""The command line, ``umapcore COMMAND``: one file per command."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from umapcore.cli import bench, compare, demo, embed, info, verify
from umapcore.cli.parser import Parser, shared_options
from umapcore.cli.reporting import FAILED, INTERRUPTED, OK, USAGE, one_line, reporting
from umapcore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FAILED", "INTERRUPTED", "OK", "USAGE", "main", "make_parser"]

# Each module has `add`, which declares the command's options and sets the default `run`: a
# function of the parsed arguments that returns an exit code, or None for 0. A command that uses 1
# as an answer sets `failed` to another exit code for errors.
_COMMANDS = (embed, verify, compare, bench, demo, info)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; None uses those of the process.

    Returns
    -------
    0: done; 1: failed, with one line on stderr that says why; 2: wrong usage (argparse then
    raises ``SystemExit``); 130: interrupted. `compare` and `verify` return 1 for a difference and
    2 for a failure.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        with reporting(verbose=args.verbose):
            code: int | None = args.run(args)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("umapcore: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe has ended (`umapcore info | head`), so no message is printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if args.traceback:
            raise
        print(f"umapcore {args.command}: error: {one_line(error)}", file=sys.stderr)
        return int(getattr(args, "failed", FAILED))
    return OK if code is None else code


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
