"""``umapcore``, and ``python -m umapcore`` where the console script is not on the path."""

from __future__ import annotations

import sys


def run() -> int:
    """Run the command line as a program; see :func:`umapcore.cli.main`."""
    try:
        from umapcore.cli import program

        return program()
    except KeyboardInterrupt:  # while the import was running
        print("umapcore: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
