"""The argument parser of all commands."""

from __future__ import annotations

import argparse
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from umapcore.cli.reporting import USAGE, flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Digits of a count: no machine has as many threads, epochs or dots.
_MOST_DIGITS = 9


class Parser(argparse.ArgumentParser):
    """Argparse's parser, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with the exit code for wrong usage."""
        self.exit(USAGE, flat(f"{self.prog}: error: {message} (see {self.prog} --help)") + "\n")


def shared_options() -> argparse.ArgumentParser:
    """Return a parser with the options of every command."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-v", "--verbose", action="store_true", help="print more on stderr")
    shared.add_argument(
        "--traceback", action="store_true", help="show where an error came from (for bug reports)"
    )
    return shared


def add_output_options(group: argparse._ActionsContainer, output: str, overwrite: str) -> None:
    """Add -o and --overwrite, with their help."""
    group.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=output)
    group.add_argument("--overwrite", action="store_true", help=overwrite)


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
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < 1:
        shown = text if len(text) <= 20 else f"{text[:20]}…"
        msg = f"{shown!r} is not an integer from 1 to 10**{_MOST_DIGITS} - 1"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


@contextmanager
def flagged(names: Iterable[str]) -> Iterator[None]:
    """Name options in errors of the block in place of the library's parameters."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(in_options(str(error), {n: option_of(n) for n in names})) from error


def option_of(name: str) -> str:
    """Return the option for a parameter of the library."""
    return f"--{name.replace('_', '-')}"


def in_options(message: str, options: Mapping[str, str]) -> str:
    """Replace the names of the library's parameters, followed by a value, by those of options."""
    for name, option in options.items():
        message = re.sub(rf"(?<![-\w]){name}(?==| must)", option, message)
    return message
