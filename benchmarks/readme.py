"""Write the README's figure from the measured JSON: ``python -m benchmarks.readme``."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import RESULTS

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- figure -->", "<!-- end of figure -->"


def figure(result: dict[str, Any]) -> str:
    """Say in a paragraph what ``benchmarks.layout`` measured on its first graph."""
    measured, machine = result["graphs"][0], result["machine"]
    seconds = {name: median(runs) for name, runs in measured["seconds"].items()}
    return (
        f"**{measured['speedup_1_thread']:.0f} times as fast as umap-learn on one thread, "
        f"{measured['speedup_2_threads']:.0f} times on two**: the optimisation of "
        f"{measured['graph']} ({measured['n_vertices']:,} vertices, {measured['n_edges']:,} "
        f"directed edges, {measured['n_epochs']} epochs, same graph and start) takes umap-learn "
        f"{result['versions']['umap-learn']} (serial) {seconds['umap-learn']:.1f} s, umapcore "
        f"{seconds['1 thread']:.1f} s and {seconds['2 threads']:.1f} s. {machine['processor']}, "
        f"{machine['cores']} cores; medians of {len(measured['seconds']['umap-learn'])} runs "
        "taking turns, without compilation; `python -m benchmarks.layout`, "
        "[all figures](benchmarks/results/layout.json), "
        "[quality beside umap-learn](benchmarks/results/quality.json)."
    )


def main() -> None:
    """Replace what stands between the README's marks."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1] if END in rest else rest
    result = json.loads((RESULTS / "layout.json").read_text(encoding="utf-8"))
    README.write_text(f"{before}{BEGIN}\n{figure(result)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
