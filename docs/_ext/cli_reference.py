"""The commands and their options, from the parsers themselves: ``<!-- commands -->`` in a page."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from umapcore.cli import make_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "<!-- commands -->"
_WIDTH = 88


def setup(app: Any) -> dict[str, bool]:
    """Fill the mark in before the page is parsed."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(_app: Any, _page: str, source: list[str]) -> None:
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, reference(make_parser()))


def reference(parser: argparse.ArgumentParser) -> str:
    """Write what each command does and takes, in Markdown."""
    (commands,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return "\n\n".join(part for command in commands.choices.values() for part in _command(command))


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {parser.prog}"
    yield parser.description or ""
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=_WIDTH)
    yield f"```text\n{parser.format_usage().removeprefix('usage: ').rstrip()}\n```"
    for group in parser._action_groups:
        options = [action for action in group._group_actions if action.dest != "help"]
        if not options:
            continue
        if group.title and group.title not in ("options", "positional arguments"):
            yield f"**{group.title.capitalize()}**"
        for option in options:
            yield f"`{_names(parser, option)}`\n: {_help(parser, option)}"


def _names(parser: argparse.ArgumentParser, option: argparse.Action) -> str:
    value = parser._get_formatter()._format_args(option, option.dest.upper())
    names = ", ".join(option.option_strings)
    return f"{names} {value}".strip()


def _help(parser: argparse.ArgumentParser, option: argparse.Action) -> str:
    said = parser._get_formatter()._expand_help(option) if option.help else ""
    words = [f"`{word}`" if word.startswith("--") else word for word in said.split()]
    text = " ".join(words).replace(",`", "`,") or ("required" if option.required else "a path")
    return text.replace("*", r"\*").replace("_", r"\_").replace("<", r"\<")
