"""Tables and plots from the measured JSON, into ``docs``: ``python -m benchmarks.pages``.

Reads what ``python -m benchmarks``, ``.spectral``, ``.neighbors.*``, ``.first_call``,
``.cluster.*`` and ``.openproblems`` wrote; nothing in the page is typed by hand but the words
around the figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import first_call
from benchmarks.cluster import page as cluster
from benchmarks.neighbors import page as neighbors
from benchmarks.openproblems import page as openproblems
from benchmarks.report import RESULTS, table
from benchmarks.suite import contender_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
PLOTS = DOCS / "benchmarks"
OURS, THEIRS = "#0072b2", "#b0b0b0"
STAGE_COLOURS = {"graph": "#009e73", "start": "#e69f00", "plan": "#56b4e9", "optimise": OURS}


def main() -> int:
    """Write the page and its plots."""
    result = json.loads((RESULTS / "suite.json").read_text(encoding="utf-8"))
    PLOTS.mkdir(parents=True, exist_ok=True)
    parts = [_opening(result)]
    if "whole" in result:
        _bars(result["whole"], PLOTS / "whole.png")
        _against_quality(result["whole"], PLOTS / "quality.png")
        parts.append(_whole(result))
    if "optimisation" in result:
        _bars(result["optimisation"], PLOTS / "optimisation.png")
        parts.append(_optimisation(result))
    spectral = RESULTS / "spectral.json"
    if spectral.exists():
        parts.append(_spectral(json.loads(spectral.read_text(encoding="utf-8"))))
    parts += neighbors.sections(RESULTS, PLOTS)
    if "scale" in result:
        _scale(result["scale"], PLOTS / "scale.png")
        parts.append(_growth(result))
    first_calls = RESULTS / first_call.RESULTS.name
    if first_calls.exists():
        parts.append(first_call.section(first_calls))
    parts += cluster.sections(RESULTS)
    parts += openproblems.sections(RESULTS)
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


def _opening(result: dict[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    again = "".join(f" {_again(run)}" for run in result.get("again", ()))
    return (
        "# Benchmarks\n\n"
        "<!-- Written by python -m benchmarks.pages from benchmarks/results/*.json. -->\n\n"
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python "
        f"{machine['python']}; {named}. Instruction sets: {', '.join(machine['flags'])}. "
        f"{result['rounds']} rounds in which the programs take turns, each in a process of its "
        f"own; umapcore runs {result['repeats_of_umapcore_in_a_round']} times in a round, the "
        f"others once, and in {result['rounds_with_rivals']} of the rounds. Medians; "
        "the spread is from the fastest to the slowest run. Every program is warmed up on a small "
        "graph first, so that no time contains compilation. The machine is virtual, and what its "
        "neighbours do shows in the spreads: ratios within a table mean more than seconds. "
        f"Load average before the run: {result['load_average_before']}.{again}\n\n"
        "Quality of what was made in that time: *loss* is UMAP's effective loss per vertex (less "
        "is better), *recall* the share of graph neighbours among the embedding's nearest, "
        "*extent* the width of the layout, *trust* its trustworthiness on 2,000 points, *triplets* "
        "the share of random triplets whose distances keep their order. *Memory* is the peak above "
        "what the process held before. `python -m benchmarks` repeats all of it."
        + _left_out("\n\nLeft out: ", result.get("skipped", {}))
    )


def _again(run: dict[str, Any]) -> str:
    return (
        f"Measured again later ({run['machine']['processor']}, commit {run['versions']['commit']}, "
        f"load average {run['load_average_before']}): {', '.join(run['parts'])}."
    )


def _left_out(opening: str, skipped: dict[str, str]) -> str:
    """Name those that could not run, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        by_reason.setdefault(reason.rstrip("."), []).append(name)
    said = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())
    return f"{opening}{said}." if said else ""


def _whole(result: dict[str, Any]) -> str:
    text = (
        "## From AnnData to the embedding\n\n"
        "`tl.umap` with its defaults on an object that has a graph. scranpy gets the neighbours "
        "instead, weights them itself and uses one seed for both thread counts. rapids_singlecell "
        "is given the others' number of epochs.\n\n"
        "![Seconds of each program on each graph](benchmarks/whole.png)\n\n"
        "![Effective loss against seconds](benchmarks/quality.png)"
    )
    return "\n\n".join([text, *(_case(case) for case in result["whole"])])


def _optimisation(result: dict[str, Any]) -> str:
    rates = result["rates"]
    text = (
        "## The optimisation alone\n\n"
        "The same graph and the same start positions for everybody; umappp weights the neighbours "
        "itself, to within rounding the same. What uwot and umappp do before the first epoch, "
        "which a call with 0 epochs shows, is not counted. *uwot batch* is uwot's deterministic "
        "mode with Adam. *Cores apart* is how long a word took from one core to another and back, "
        "before and after the runs on all threads: cores of a virtual machine are moved by its "
        "host, and threads exchange what they wrote the slower the farther apart they are. "
        "The *floor* is what one "
        "thread would take for the arithmetic of all fires "
        f"({rates['seconds_a_repulsion'] * 1e9:.2f} ns a repulsion and "
        f"{rates['seconds_an_attraction'] * 1e9:.2f} ns an attraction, in isolation), for reading "
        "the plan in order, for looking up tails and adding to their pulls in arrays of the "
        "graph's size, and for a sweep over all vertices in every bucket, each as fast as this "
        "processor does that and nothing else. The *strict floor* counts all bytes at the "
        f"{rates['bytes_a_second'] / 1e9:.0f} GB/s of a copy within the second-level cache, "
        "wherever they lie: `benchmarks/cpu_lower_bound.py`.\n\n"
        "![Seconds of each program on each graph](benchmarks/optimisation.png)"
    )
    rows = []
    for case in result["optimisation"]:
        found = case["contenders"]
        one, rival = found["umapcore 1"]["median"], found["umap-learn serial"]["median"]
        most = found[_most_threads(found)]["median"]
        trips = found[_most_threads(found)].get("round_trips_ns", [])
        fires = case["floor"]["fires"]
        rows.append(
            [
                case["graph"], f"{rival / one:.1f}", f"{rival / most:.1f}", f"{one / most:.2f}",
                f"{min(trips):.0f} to {max(trips):.0f}" if trips else "",
                f"{one / fires * 1e9:.1f}", f"{case['floor']['times']:.2f}",
                f"{case['floor']['times_strict']:.2f}",
                "yes" if case["all_of_umapcores_runs_have_the_same_bits"] else "NO",
            ]
        )  # fmt: skip
    header = (
        "graph", "x umap-learn serial, 1 thread", "all threads", "all threads over one",
        "cores apart, ns", "ns a fire", "x floor", "x strict floor", "same bits in all runs",
    )  # fmt: skip
    return "\n\n".join(
        [text, table(header, rows), *(_case(case) for case in result["optimisation"])]
    )


def _most_threads(found: dict[str, Any]) -> str:
    return [name for name in found if name.startswith("umapcore ") and "GPU" not in name][-1]


def _case(case: dict[str, Any]) -> str:
    return (
        f"**{case['graph']}**: {case['n_vertices']:,} vertices, {case['n_edges']:,} directed "
        f"edges, {case['n_epochs']} epochs\n\n{contender_table(case)}"
        + _left_out("\n\nNot on this graph: ", case.get("skipped", {}))
    )


def _spectral(result: dict[str, Any]) -> str:
    solvers = ("umapcore 1", "umapcore 2", "umap-learn", "eigsh LA")
    rows = []
    for case in result["graphs"]:
        cells = [case["graph"], f"{case['n_vertices']:,}"]
        for solver in solvers:
            run = case.get(solver, {})
            limit = f"> {run['stopped_after']:.0f}" if "stopped_after" in run else ""
            cells.append(f"{run['median']:.3f}" if "median" in run else limit)
        for solver in ("umapcore 2", "umap-learn", "eigsh LA"):
            ratios = case.get(solver, {}).get("ratios", ())
            cells.append(f"{max(ratios):.3f}" if ratios else "")
        loss = case.get("layouts", {}).get("loss_ratio")
        cells.append("" if loss is None else f"{loss:.3f}")
        cells.append(f"{case['load_average_before']}")
        rows.append(cells)
    header = (
        "graph", "vertices", *(f"{solver}, s" for solver in solvers),
        "largest quotient / eigenvalue", "umap-learn's", "eigsh's", "loss ratio",
        "load before",
    )  # fmt: skip
    return (
        "## The spectral start\n\n"
        "umapcore on one and on two threads, umap-learn's `spectral_layout`, and SciPy's "
        f"`eigsh(which='LA', ncv=64, tol=1e-4)`; BLAS on {result['blas_threads']} thread. Rayleigh "
        "quotients are divided by the exact eigenvalues (1 is exact). The loss ratio is that of "
        "umapcore's layouts from its own start over those from umap-learn's, means over seeds. "
        "The load is the machine's when a graph's turn began: 1 is one program besides. "
        "`python -m benchmarks.spectral`.\n\n" + table(header, rows)
    )


def _growth(result: dict[str, Any]) -> str:
    rows = [
        [
            f"{case['n_vertices']:,}", f"{case['n_edges']:,}", f"{case['seconds']:.2f}",
            *(f"{case['stages'][stage]:.2f}" for stage in STAGE_COLOURS),
            f"{case['bytes_above_the_graph'] / 1e6:.0f}",
            f"{case['bytes_above_the_graph'] / case['n_edges']:.1f}",
        ]
        for case in result["scale"]
    ]  # fmt: skip
    header = ("vertices", "edges", "seconds", *STAGE_COLOURS, "peak, MB", "peak, bytes an edge")
    parts = [
        "## How it grows",
        f"Generated graphs, 200 epochs, spectral start, {result['threads']} threads; memory is the "
        "peak above the graph." + _apart(result),
        "![Seconds by number of vertices](benchmarks/scale.png)",
        table(header, rows),
    ]
    for parameter, cases in result["growth"].items():
        header = (parameter, *(str(case["value"]) for case in cases))
        parts.append(table(header, [["seconds", *(f"{c['seconds']:.2f}" for c in cases)]]))
    return "\n\n".join(parts)


def _apart(result: dict[str, Any]) -> str:
    """Say so where these parts are of another run than the rest."""
    apart = result.get("measured_apart")
    if not apart:
        return ""
    return (
        " Measured in an earlier run on the same kind of machine, with a load average of "
        f"{apart['load_average_before']} before."
    )


def _bars(cases: list[dict[str, Any]], path: Path) -> None:
    """Seconds of every program, a panel a graph, on a logarithmic scale."""
    import matplotlib.pyplot as plt

    columns = min(3, len(cases))
    rows = -(-len(cases) // columns)
    most = max(len(case["contenders"]) for case in cases)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.0 * columns + 1.6, (0.9 + 0.24 * most) * rows), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis in axes.flat[len(cases) :]:
        axis.remove()
    for axis, case in zip(axes.flat, cases, strict=False):
        names = list(case["contenders"])[::-1]
        seconds = [case["contenders"][name]["median"] for name in names]
        colours = [OURS if name.startswith("umapcore") else THEIRS for name in names]
        axis.barh(names, seconds, color=colours)
        axis.set_xscale("log")
        axis.set_xlim(min(seconds) / 2, max(seconds) * 4)
        for place, value in enumerate(seconds):
            axis.text(value * 1.1, place, f"{value:.3g}", va="center", fontsize=8)
        axis.set_title(f"{case['graph']}\n{case['n_vertices']:,} vertices", fontsize=9)
        axis.set_xlabel("seconds")
        _plain(axis)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)


def _against_quality(cases: list[dict[str, Any]], path: Path) -> None:
    """Loss of every program over umapcore's, against its seconds over umapcore's."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.0, 3.6))
    markers = "osD^vPX*"
    for case, marker in zip(cases, markers, strict=False):
        found = case["contenders"]
        base = found[next(iter(found))]
        for name, run in found.items():
            axis.scatter(
                run["median"] / base["median"],
                run["quality"]["loss"] / base["quality"]["loss"],
                marker=marker, s=40, alpha=0.8,
                color=OURS if name.startswith("umapcore") else _colour(name),
            )  # fmt: skip
        axis.scatter([], [], marker=marker, color="black", label=case["graph"])
    for name in dict.fromkeys(
        name.partition(".")[0] for case in cases for name in case["contenders"]
    ):
        axis.scatter(
            [], [], marker="s", color=OURS if name == "umapcore" else _colour(name), label=name
        )
    axis.set_xscale("log")
    axis.set_xlabel("seconds, umapcore on one thread = 1")
    axis.set_ylabel("effective loss, umapcore = 1")
    axis.axhline(1.0, color="black", linewidth=0.6)
    axis.legend(fontsize=7, ncol=3, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    _plain(axis)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)


def _colour(name: str) -> str:
    if name.startswith("scanpy"):
        return "#d55e00"
    return "#009e73" if name.startswith("scranpy") else "#cc79a7"


def _scale(cases: list[dict[str, Any]], path: Path) -> None:
    """Seconds against vertices, log–log, and the share of every stage."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.4))
    n = [case["n_vertices"] for case in cases]
    total = [case["seconds"] for case in cases]
    left.loglog(n, total, "o-", color="black", label="all")
    for stage, colour in STAGE_COLOURS.items():
        left.loglog(n, [case["stages"][stage] for case in cases], ".-", color=colour, label=stage)
    left.loglog(n, [total[0] * m / n[0] for m in n], ":", color=THEIRS, label="linear")
    left.set_xlabel("vertices")
    left.set_ylabel("seconds")
    left.legend(fontsize=8, frameon=False, loc="upper left", ncols=2)
    begin = [0.0] * len(cases)
    names = [f"{m:,}" for m in n]
    for stage, colour in STAGE_COLOURS.items():
        shares = [100.0 * case["stages"][stage] / case["seconds"] for case in cases]
        right.barh(names, shares, left=begin, color=colour, label=stage)
        begin = [a + b for a, b in zip(begin, shares, strict=True)]
    right.set_xlabel("share of the time, %")
    for axis in (left, right):
        _plain(axis)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _plain(axis: Axes) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


if __name__ == "__main__":
    raise SystemExit(main())
