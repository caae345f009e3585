"""``umapcore info``: what umapcore finds on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Declare the command and its options."""
    info = commands.add_parser(
        "info",
        parents=[shared],
        help="print versions, processor, threads, GPU",
        description="Print what umapcore finds here: versions, processor, threads, GPU, and "
        "what to install if something is missing.",
    )
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Run the command with the parsed arguments."""
    from umapcore import info

    found = info.collect()
    print(json.dumps(found, indent=2) if args.json else "\n".join(info.lines(found)))
