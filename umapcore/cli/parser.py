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


def count(text: str) -> int:
    """Read an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not an integer of at least 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
