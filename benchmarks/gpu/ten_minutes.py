"""Run all checks that need a GPU in ten minutes: ``python -m benchmarks.gpu --ten-minutes OUT``.

Each part is a separate process with its own time limit. A part that crashes, hangs or breaks the
CUDA context does not stop the others. The most important parts come first. ``OUT`` receives at
most eight files, none above 16 MB: ``summary.json``, which is rewritten before and after every
part, the JSON of the parts, and their output.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.gpu.checkout import ROOT, environment
from benchmarks.gpu.limited import Ended, interrupted_by_signals, run_limited

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Exit status of a part that cannot run here; the last line of its output says why.
CANNOT = 77
#: Most bytes that are kept of a part's output, from its beginning and its end.
MOST_PRINTED = 2 << 20
#: Share of its time after which a part starts nothing new.
BEGIN = 0.85


@dataclass(frozen=True)
class Part:
    """One part of the checks.

    Attributes
    ----------
    name
        Name in the summary.
    seconds
        Seconds that it may take, besides unused time of earlier parts.
    command
        Arguments for Python. ``{out}`` stands for the folder of the results, and ``{begin}`` for
        the seconds after which nothing new may start.
    printed
        File that receives its output; parts may share a file.
    results
        File that it writes, or None.
    """

    name: str
    seconds: float
    command: tuple[str, ...]
    printed: str = "console.txt"
    results: str | None = None


def _own(name: str, seconds: float, module: str, results: str, *more: str) -> Part:
    command = ("-m", module, "--out", f"{{out}}/{results}", "--limit", "{begin}", *more)
    return Part(name, seconds, command, results=results)


#: With pytest-xdist, several processes share the GPU: the host's work takes longer than the GPU's,
#: and one that breaks its CUDA context does not end the others.
_WORKERS = () if find_spec("xdist") is None else ("-n", "4", "--dist", "worksteal")
_PYTEST = (
    "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default",
    "-o", "faulthandler_timeout=40", "--maxfail=40", "--durations=15", *_WORKERS,
)  # fmt: skip

PARTS = (
    Part("machine", 20, ("-m", "benchmarks.gpu.parts.machine")),
    _own("bits", 125, "benchmarks.gpu.parts.bits", "bits.json"),
    _own("table", 204, "benchmarks.gpu", "gpu.json", "--runs", "3"),
    Part("pytest", 100, _PYTEST, "pytest.txt"),
    _own("cpu", 55, "benchmarks.gpu.parts.cpu", "cpu.json"),
    _own("cross-backend", 50, "benchmarks.gpu.parts.cross_backend", "cross_backend.json"),
    Part(
        "profilers", 45, ("-m", "benchmarks.gpu.parts.profilers", "--limit", "{begin}"),
        "profile.txt",
    ),
)  # fmt: skip


def ten_minutes(out: Path, scale: float = 1.0, parts: Sequence[Part] = PARTS) -> int:
    """Run the parts in order; return 0 if each is done or cannot run here, else 1.

    Parameters
    ----------
    out
        Folder of the results; those of an earlier run are removed.
    scale
        Factor for the seconds of the parts.
    """
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for name in {"summary.json", *(p.printed for p in parts), *(p.results for p in parts)} - {None}:
        (out / str(name)).unlink(missing_ok=True)
    summary = Summary(out / "summary.json", parts)
    began = perf_counter()
    ends = accumulate(scale * part.seconds for part in parts)
    with tempfile.TemporaryDirectory() as cache, interrupted_by_signals():
        for part, end in zip(parts, ends, strict=True):
            # Unused time of earlier parts is passed on.
            seconds = end - (perf_counter() - began)
            summary.put(part, status="under way", limit=seconds)
            print(f"{perf_counter() - began:6.1f} s  {part.name}", flush=True)
            console = Path(cache) / "console"
            command = [word.format(out=out, begin=BEGIN * seconds) for word in part.command]
            ended = run_limited(
                [sys.executable, *command], seconds, console,
                environment=environment(Path(cache)), folder=ROOT,
            )  # fmt: skip
            found = outcome(ended, console, out / part.results if part.results else None)
            summary.put(part, **found, seconds=ended.seconds, limit=seconds)
            append(console, out / part.printed, f"=== {part.name}: {found['status']}\n")
            for left in out.glob(f".*{report.PARTIAL}"):
                left.unlink()
    print(summary.table())
    return 0 if summary.good() else 1


def outcome(ended: Ended, console: Path, results: Path | None = None) -> dict[str, str]:
    """Return how a part ended, and the reason if it was not done."""
    if ended.status == 0:
        return {"status": "done"}
    last = last_line(console)
    if ended.status is None:
        step = step_under_way(results)
        reason = f"the last line it printed: {last}" if step is None else f"it was at: {step}"
        return {"status": "over its time", "reason": reason}
    if ended.status == CANNOT:
        return {"status": "skipped", "reason": last}
    return {"status": "failed", "reason": f"exit status {ended.status}: {last}"}


class Summary:
    """The file with the status of the parts.

    Parameters
    ----------
    path
        Path of the file.
    parts
        Parts to run.
    """

    def __init__(self, path: Path, parts: Sequence[Part]) -> None:
        self._path = path
        self._entries: dict[str, dict[str, Any]] = {
            part.name: {"status": "not begun", "files": [part.printed]} for part in parts
        }
        for part in parts:
            if part.results is not None:
                self._entries[part.name]["files"].append(part.results)

    def put(self, part: Part, **found: Any) -> None:
        """Update the entry of a part, and write the file."""
        self._entries[part.name] |= found
        report.write_json(self._path, {"parts": self._entries}, tell=False)

    def good(self) -> bool:
        """Return whether every part was done or cannot run here."""
        return all(entry["status"] in ("done", "skipped") for entry in self._entries.values())

    def table(self) -> str:
        """Return the summary as a table."""
        return report.table(("part", "s", "status", "reason"), [*map(_row, self._entries.items())])


def _row(named: tuple[str, Mapping[str, Any]]) -> tuple[str, ...]:
    name, entry = named
    return name, f"{entry['seconds']:.1f}", entry["status"], entry.get("reason", "")[:100]


def step_under_way(results: Path | None) -> str | None:
    """Return the step that a part had begun, from its results."""
    if results is None or not results.is_file():
        return None
    step: str | None = json.loads(results.read_text(encoding="utf-8")).get("under_way")
    return step


def last_line(console: Path) -> str:
    """Return the last line of the output that is not empty."""
    with console.open("rb") as file:
        file.seek(-min(console.stat().st_size, 4096), 2)
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def append(source: Path, target: Path, header: str) -> None:
    """Append output to a file; the middle of long output is left out."""
    size = source.stat().st_size
    with source.open("rb") as given, target.open("ab") as file:
        file.write(header.encode())
        if size <= MOST_PRINTED:
            shutil.copyfileobj(given, file)
        else:
            file.write(given.read(MOST_PRINTED // 2))
            file.write(f"\n... {size - MOST_PRINTED} bytes are left out here ...\n".encode())
            given.seek(size - MOST_PRINTED // 2)
            shutil.copyfileobj(given, file)
        file.write(b"\n")
