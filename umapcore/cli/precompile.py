"""Compile the kernels that wheels contain: ``python -m umapcore.cli.precompile``.

It is for building wheels. numba compiles for each level of processors in a process of its own, as
its target is fixed once it is imported.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from umapcore._kit.precompiled.library import FOLDER
from umapcore._kit.processor import ARM_LEVELS, X86, X86_LEVELS
from umapcore._kit.threads import thread_count

_V2 = "+cx16,+popcnt,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3"
_V3 = f"{_V2},+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"
_V4 = f"{_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+evex512"
#: What numba is told of each level: the name of a processor, and its features.
_TARGETS = {
    "x86-64-v2": ("x86-64-v2", _V2),
    "x86-64-v3": ("x86-64-v3", _V3),
    "x86-64-v4": ("x86-64-v4", _V4),
    "aarch64": ("generic", "+neon"),
}


def main(arguments: list[str] | None = None) -> None:
    """Compile the levels that are asked for, or all of this kind of machine."""
    levels = X86_LEVELS if X86 else ARM_LEVELS
    parser = argparse.ArgumentParser(prog="python -m umapcore.cli.precompile", description=__doc__)
    parser.add_argument("levels", nargs="*", metavar="LEVEL", help=f"of {', '.join(levels)}")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (%(default)s)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    unknown = [level for level in args.levels if level not in levels]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(levels)}")
    if args.here:
        _compile(args.levels[0], args.folder)
        return
    with ThreadPoolExecutor(thread_count(None)) as pool:
        list(pool.map(partial(_in_a_process, folder=args.folder), args.levels or levels))


def _in_a_process(level: str, folder: Path) -> None:
    """Compile a level in a process of its own."""
    name, features = _TARGETS[level]
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "NUMBA_CPU_NAME": name,
            "NUMBA_CPU_FEATURES": features,
            "NUMBA_CACHE_DIR": cache,  # what numba takes from its cache has no LLVM module
        }
        command = [sys.executable, "-m", "umapcore.cli.precompile", "--here", level]
        subprocess.run([*command, "--folder", str(folder)], env=environment, check=True)


def _compile(level: str, folder: Path) -> None:
    from umapcore._kit.precompiled.build import build
    from umapcore.cli.usual_calls import RARER, USUAL

    for call in [*USUAL.values(), *RARER]:
        call()
    path = build(level, folder)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
