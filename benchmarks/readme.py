"""Write the README's figure from the measured JSON: ``python -m benchmarks.readme``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

README = Path(__file__).resolve().parents[1] / "README.md"
GRAPH = "fashion_mnist70k"
BEGIN, END = "<!-- figure -->", "<!-- end of figure -->"


def figure(result: dict[str, Any]) -> str:
    """Say in a paragraph what ``python -m benchmarks`` measured on one graph."""
    machine, versions, threads = result["machine"], result["versions"], result["threads"]
    whole, alone = (_case(result, part) for part in ("whole", "optimisation"))
    seconds = {name: run["median"] for name, run in whole["contenders"].items()}
    layout = {name: run["median"] for name, run in alone["contenders"].items()}
    theirs, ours = seconds["scanpy.tl.umap"], seconds[f"umapcore.tl.umap {threads}"]
    return (
        f"**{theirs / ours:.0f} times as fast as scanpy**: `tl.umap` of {GRAPH} "
        f"({whole['n_vertices']:,} vertices, {whole['n_edges']:,} directed edges) takes scanpy "
        f"{versions['scanpy']} {theirs:.1f} s, umapcore {ours:.2f} s on {threads} threads and "
        f"{seconds['umapcore.tl.umap 1']:.2f} s on one, with the same bits. The optimisation "
        f"alone, same graph and start, is {layout['umap-learn serial'] / layout['umapcore 1']:.0f} "
        f"times as fast as umap-learn {versions['umap-learn']} on one thread. "
        f"{machine['processor']}, {machine['cores']} cores; medians, programs taking turns, "
        "without compilation; `python -m benchmarks`, [all figures](docs/benchmarks.md), "
        "[quality beside umap-learn](benchmarks/results/quality.json)."
    )


def _case(result: dict[str, Any], part: str) -> dict[str, Any]:
    return next(case for case in result[part] if case["graph"] == GRAPH)


def main() -> None:
    """Replace what stands between the README's marks."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1] if END in rest else rest
    result = json.loads((RESULTS / "suite.json").read_text(encoding="utf-8"))
    README.write_text(f"{before}{BEGIN}\n{figure(result)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
