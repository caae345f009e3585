"""Draw the pictures of these pages from real runs: ``python docs/draw [-o FOLDER] [NAME …]``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# The oracle, in which a walk can be followed step by step, is a module of the tests.
sys.path[:0] = [str(HERE), str(ROOT), str(ROOT / "backends")]

import buckets  # noqa: E402
import curve  # noqa: E402
import density  # noqa: E402
import epochs  # noqa: E402
import pool  # noqa: E402
import schedule  # noqa: E402
import start  # noqa: E402
import walk  # noqa: E402
from style import styled  # noqa: E402

PICTURES = {
    "curve.svg": curve.draw,
    "schedule.svg": schedule.draw,
    "buckets.svg": buckets.draw,
    "walk.svg": walk.draw,
    "pool.png": pool.draw,
    "start.png": start.draw,
    "epochs.png": epochs.draw,
    "density.png": density.draw,
}


def main() -> None:
    """Draw all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("-o", "--output", type=Path, default=HERE.parent / "figures")
    args = parser.parse_args()
    unknown = set(args.names) - PICTURES.keys()
    if unknown:
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    args.output.mkdir(parents=True, exist_ok=True)
    for name in args.names or PICTURES:
        began = time.perf_counter()
        with styled() as save:
            save(PICTURES[name](), args.output / name)
        print(f"{args.output / name}: {time.perf_counter() - began:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
