"""The argument parser of all commands."""

from __future__ import annotations

import argparse
from typing import NoReturn

from umapcore.cli.reporting import USAGE


class Parser(argparse.ArgumentParser):
    """Argparse's parser, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with the exit code for wrong usage."""
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def shared_options() -> argparse.ArgumentParser:
    """Return a parser with the options of every command."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-v", "--verbose", action="store_true", help="print more on stderr")
    shared.add_argument(
        "--traceback", action="store_true", help="show where an error came from (for bug reports)"
    )
    return shared


def add_running_options(group: argparse._ActionsContainer) -> None:
    """Add the options for where and how a layout runs: --method, --threads, --progress."""
    group.add_argument(
        "--method",
        default="umap",
        choices=("umap", "rapids", "auto"),
        help="CPU, GPU, or the GPU if there is one; the bits are the same (default: %(default)s)",
    )
    group.add_argument(
        "--threads", type=count, metavar="N", help="threads on the CPU (default: all)"
    )
    group.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="progress bar (default: for a long run on a terminal)",
    )


def count(text: str) -> int:
    """Read an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not an integer of at least 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
