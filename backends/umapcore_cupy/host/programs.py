"""Which files in ``kernels/`` are compiled together, and with which macros."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from umapcore.device import spectral_ops
from umapcore.layout import constants
from umapcore_cupy.host.compile import KERNELS

#: Threads per block of the walk; a block processes one group of walkers.
WALK_THREADS = constants.GROUP
#: Threads per block of all other kernels.
THREADS = 256
#: Minimum count of numbers that one thread of a running sum adds up.
CHUNK = 8
#: Points that a block of threads compares with others at a time.
TILE = 32
#: Threads that look at neighbours of neighbours of one point, each at one of them.
THREADS_A_POINT = 128
#: If the members of an aggregate have more edges than this, a whole block computes its row.
LONG_ROW = 1024
#: Maximum number of blocks of a cooperative launch, and number of the 64-bit words that they share:
#: see kernels/cooperative.cuh.
MOST_BLOCKS = 2047
GRID_WORDS = 1 + MOST_BLOCKS

_KERNEL = re.compile(
    r"\b(KERNEL|COOPERATIVE)\s+(?:__launch_bounds__\([\w, ]+\)\s*)?(\w+)\(([^)]*)\)"
)

#: Files of each program.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "inputs": ("graph.cu", "start.cu"),
    "plan": ("count.cu", "buckets.cu", "order.cu", "scan.cu", "fill.cu"),
    "spectral": (
        "scan.cu", "components.cu", "levels.cu", "matching.cu", "contract.cu", "blocks.cu",
    ),
    "layout": ("permute.cu", "epoch.cu", "pool.cu", "walk.cu", "updates.cu"),
    "epochs": ("permute.cu", "epochs.cu"),
    "density": ("density.cu", "walk_and_spread.cu"),
    "transform": ("transform.cu",),
    "neighbours": ("scan.cu", "tiles.cu", "trees.cu", "around.cu"),
}  # fmt: skip


def defines(name: str, dimensions: int = 2, samples: int = 5) -> dict[str, int | str]:
    """Return a program's macros: constants that all devices share, and what it is compiled for.

    Programs with positions are compiled for a number of dimensions. Walks are also compiled for a
    number of negative samples per fire.
    """
    if name == "inputs":
        return {}
    if name == "plan":
        return _shared("N_BUCKETS", "N_PHASES", "LONGEST_WALK") | {"THREADS": THREADS}
    if name == "spectral":
        numbers = {
            "STRONG": _single(spectral_ops.STRONG),
            "LARGEST_INVERSE": repr(spectral_ops.LARGEST_INVERSE),
        }
        own = {"THREADS": THREADS, "LONG_ROW": LONG_ROW}
        return own | numbers | {"RUN": spectral_ops.RUN, "BLOCK_ROWS": spectral_ops.BLOCK_ROWS}
    if name == "neighbours":
        return {"THREADS": THREADS, "TILE": TILE, "THREADS_A_POINT": THREADS_A_POINT}
    macros = _shared("CLIP", "TINY", "NEAR") | {"DIMENSIONS": dimensions, "N_SAMPLES": samples}
    if name == "transform":
        return macros
    if name == "density":
        macros |= _shared("SUM_EXPONENT")
        doubles = ("EPSILON", "MOST_TERM", "MOST_TERM_BY_RADIUS")
        macros |= {each: repr(getattr(constants, each)) for each in doubles}
    return macros | _shared(
        "LONGEST_MOVE", "LONGEST_WALK", "MAX_POOL", "MOST_SLOPE", "N_BUCKETS", "SAMPLES_A_WORD",
        "SAMPLE_BITS",
    ) | {"WALK_THREADS": WALK_THREADS}  # fmt: skip


def _shared(*names: str) -> dict[str, int | str]:
    """Return constants of :mod:`umapcore.layout.constants`, the real ones as float32."""
    values = {name: getattr(constants, name) for name in names}
    return {name: x if isinstance(x, int) else _single(x) for name, x in values.items()}


def _single(value: float) -> str:
    return f"{float(np.float32(value))!r}f"


class Kernel(NamedTuple):
    """The declaration of a kernel.

    Attributes
    ----------
    types
        C types of its arguments.
    cooperative
        Whether its blocks wait for one another. The device adds its first argument, and may start
        fewer threads than there are items of work.
    """

    types: tuple[str, ...]
    cooperative: bool


@cache
def kernels_of(name: str) -> dict[str, Kernel]:
    """Read the kernels of a program from its sources."""
    found = {}
    for file in PROGRAMS[name]:
        text = re.sub(r"//.*|__restrict__", "", (KERNELS / file).read_text(encoding="utf-8"))
        for kind, kernel, arguments in _KERNEL.findall(text):
            types = [" ".join(argument.split()[:-1]) for argument in arguments.split(",")]
            types = [one.removeprefix("const ") for one in types]
            found[kernel] = Kernel(tuple(types), kind == "COOPERATIVE")
    return found


def block_size(kernel: str) -> int:
    """Return the number of threads per block of a kernel."""
    return WALK_THREADS if kernel.startswith("walk") else THREADS
