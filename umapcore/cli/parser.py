"""Argparse as all commands use it."""

from __future__ import annotations

import argparse
from typing import NoReturn

from umapcore.cli.reporting import USAGE


class Parser(argparse.ArgumentParser):
    """Argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        """Leave with the exit code of wrong usage."""
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def shared_options() -> argparse.ArgumentParser:
    """Options of every command."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    shared.add_argument(
        "--traceback", action="store_true", help="show where an error came from (for bug reports)"
    )
    return shared


def add_running_options(group: argparse._ActionsContainer) -> None:
    """Declare where and how a layout runs: --method, --threads, --progress."""
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
        help="progress bar (default: on a terminal, when it lasts)",
    )


def count(text: str) -> int:
    """Read an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not an integer of at least 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
