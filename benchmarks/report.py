"""What every benchmark writes: the machine, the versions, JSON and tables."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import umapcore

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "numpy", "scipy", "numba", "llvmlite", "tbb", "anndata", "umap-learn", "scanpy", "scranpy",
    "scikit-learn", "pynndescent", "hnswlib", "faiss-cpu", "usearch", "dask", "distributed", "zarr",
)  # fmt: skip
#: What the name of a file ends in that is still being written.
PARTIAL = ".partial"
# Instruction sets that change which code a compiler writes for the kernels.
FLAGS = ("sse2", "sse4_2", "avx", "f16c", "avx2", "fma", "avx512f", "avx512bw", "avx512vl")


@cache
def processor() -> str:
    """Name of the processor."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


@cache
def machine() -> dict[str, Any]:
    """Processor, its instruction sets and cores, and the system."""
    present = set(_cpuinfo("flags").split())
    return {
        "processor": processor(),
        "flags": [flag for flag in FLAGS if flag in present],
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def load_average() -> float | None:
    """Give the load of the last minute, which says whether a timing can be trusted."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


@cache
def versions() -> dict[str, str | None]:
    """Versions of the packages that decide a figure, and the commit of the checkout."""
    found: dict[str, str | None] = {"umapcore": umapcore.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    found["commit"] = _commit()
    return found


def write_json(path: Path, content: dict[str, Any], *, tell: bool = True) -> None:
    """Write a result with the machine and the versions in front.

    A file that is there already is replaced as a whole: whoever is stopped meanwhile leaves what
    was written before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine(), "versions": versions(), **content}
    partial = path.with_name(f".{path.name}{PARTIAL}")
    partial.write_text(json.dumps(rounded(whole), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
    if tell:
        print(f"wrote {path}")


def rounded(value: Any, digits: int = 5) -> Any:
    """Every float in a nested structure to so many significant digits."""
    if isinstance(value, dict):
        return {key: rounded(part, digits) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part, digits) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    return value


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown table, columns padded so that it also reads well in a terminal."""
    cells = [[str(part) for part in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cpuinfo(field: str) -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith(field):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return ""


def _commit() -> str | None:
    """Commit of the checkout, marked when tracked files differ from it."""
    folder = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
