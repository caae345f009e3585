"""``umapcore info``: what there is on this machine."""

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
        help="versions, processor, threads, GPU",
        description="Say what umapcore finds here: versions, processor, threading layer, GPU, and "
        "what to install where something is missing.",
    )
    info.add_argument("--json", action="store_true", help="as JSON")
    info.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Do what the arguments say."""
    from umapcore import info

    found = info.collect()
    print(json.dumps(found, indent=2) if args.json else "\n".join(info.lines(found)))
