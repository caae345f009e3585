"""All that ten minutes with a GPU can tell: ``python -m benchmarks.gpu --ten-minutes OUT``.

Each part is a process of its own, with its own time: one that crashes, hangs or breaks the CUDA
context stops no other. What is worth most comes first. ``OUT`` receives eight files at most, none
above 16 MB: ``summary.json``, which is rewritten around every part, the parts' own JSON, and what
they printed.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.gpu.checkout import ROOT, environment
from benchmarks.gpu.limited import Ended, interrupted_by_signals, run_limited

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Exit status of a part that cannot be done here; the last line that it prints says why.
CANNOT = 77
#: Most bytes that are kept of what a part prints: of its beginning and of its end.
MOST_PRINTED = 2 << 20
#: Share of its time after which a part begins nothing new.
BEGIN = 0.85


@dataclass(frozen=True)
class Part:
    """Something to be found out.

    Attributes
    ----------
    name
        What it is called in the summary.
    seconds
        That it may take, beside what the parts before it left of theirs.
    command
        For Python. In it, ``{out}`` is the folder of the results, ``{begin}`` the seconds after
        which nothing new shall be begun.
    printed
        File that receives what it prints; parts may share one.
    results
        File that it writes, if it does.
    """

    name: str
    seconds: float
    command: tuple[str, ...]
    printed: str = "console.txt"
    results: str | None = None


def _own(name: str, seconds: float, module: str, results: str, *more: str) -> Part:
    command = ("-m", module, "--out", f"{{out}}/{results}", "--limit", "{begin}", *more)
    return Part(name, seconds, command, results=results)


_PYTEST = (
    "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default",
    "-o", "faulthandler_timeout=40", "--maxfail=40", "--durations=15",
)  # fmt: skip

PARTS = (
    Part("machine", 20, ("-m", "benchmarks.gpu.parts.machine")),
    _own("bits", 110, "benchmarks.gpu.parts.bits", "bits.json"),
    _own("table", 200, "benchmarks.gpu", "gpu.json", "--runs", "3"),
    Part("pytest", 105, _PYTEST, "pytest.txt"),
    _own("cpu", 60, "benchmarks.gpu.parts.cpu", "cpu.json"),
    _own("cross-backend", 50, "benchmarks.gpu.parts.cross_backend", "cross_backend.json"),
    Part(
        "profilers", 45, ("-m", "benchmarks.gpu.parts.profilers", "--limit", "{begin}"),
        "profile.txt",
    ),
)  # fmt: skip


def ten_minutes(out: Path, scale: float = 1.0, parts: Sequence[Part] = PARTS) -> int:
    """Do the parts one after the other; 0 when each is done or cannot be done here, else 1.

    Parameters
    ----------
    out
        Folder of the results; those of an earlier run are removed.
    scale
        What the parts' seconds are multiplied by.
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
            # What is left of the time of earlier parts is handed on.
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
    """Say in words how a part ended, and why when it was not done."""
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
    """The file that says how far the parts have come.

    Parameters
    ----------
    path
        Where it is.
    parts
        That are to be done.
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
        """Note what is known of a part, and write the file."""
        self._entries[part.name] |= found
        report.write_json(self._path, {"parts": self._entries}, tell=False)

    def good(self) -> bool:
        """Whether every part was done or cannot be done here."""
        return all(entry["status"] in ("done", "skipped") for entry in self._entries.values())

    def table(self) -> str:
        """Write it for people."""
        return report.table(("part", "s", "status", "reason"), [*map(_row, self._entries.items())])


def _row(named: tuple[str, Mapping[str, Any]]) -> tuple[str, ...]:
    name, entry = named
    return name, f"{entry['seconds']:.1f}", entry["status"], entry.get("reason", "")[:100]


def step_under_way(results: Path | None) -> str | None:
    """Read from the results of a part what it had begun."""
    if results is None or not results.is_file():
        return None
    step: str | None = json.loads(results.read_text(encoding="utf-8")).get("under_way")
    return step


def last_line(console: Path) -> str:
    """Give the last line that is not empty of what was printed."""
    with console.open("rb") as file:
        file.seek(-min(console.stat().st_size, 4096), 2)
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def append(source: Path, target: Path, header: str) -> None:
    """Add what was printed to a file, without its middle where it is long."""
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
