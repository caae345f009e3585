"""The parts of ``docs/benchmarks.md`` about neighbours, from the measured JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.neighbors import chunks, end_to_end, growth, layouts
from benchmarks.neighbors.measure import contender_table
from benchmarks.neighbors.programs import EXACT, OURS, PACKAGES, RIVALS
from benchmarks.report import table

if TYPE_CHECKING:
    from pathlib import Path

PLOT = "neighbors.png"
COLOURS = {
    OURS: "#0072b2", EXACT: "#56b4e9", "pynndescent": "#cc79a7", "hnswlib": "#009e73",
    "faiss-ivf": "#e69f00", "faiss-hnsw": "#d55e00", "usearch": "#7f7f7f",
}  # fmt: skip
#: A perfect recall is drawn here on the logarithmic scale of what was missed.
_LEAST_MISSED = 1e-5


def sections(results: Path, plots: Path) -> list[str]:
    """Return a section for every result that there is, and draw the plot of the search."""
    found = {}
    for name in ("search", "growth", "end_to_end", "chunks", "layouts", "rate", "weights"):
        path = results / f"neighbors_{name}.json"
        if path.exists():
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    if "search" in found:
        draw(found["search"]["cases"], plots / PLOT)
    writers = {
        "search": _search, "growth": _growth, "end_to_end": _end_to_end, "chunks": _chunks,
        "layouts": _layouts, "rate": _rate, "weights": _weights,
    }  # fmt: skip
    return [writers[name](result) for name, result in found.items()]


def _search(result: dict[str, Any]) -> str:
    text = (
        "## Search for neighbours\n\n"
        "The 15 nearest neighbours of all points, the point itself included; what a program "
        "builds for this is in its time. *Recall* is the share of the 14 nearest others that were "
        "found, on a fixed sample of points, against a comparison with all points in float64. The "
        "programs take turns, each run in a process of its own. *First* is the first call with "
        "its imports, compiled code being on disk, *warm* a second call in the same process. "
        "*Memory* is the peak of the first call above data and imports. umapcore is given the "
        f"recall to aim at; pynndescent is called as scanpy calls it. {_medians(result)}"
        f"{_packages(result, RIVALS)} `python -m benchmarks.neighbors.search` repeats it.\n\n"
        f"![Seconds against recall](benchmarks/{PLOT})"
    )
    return "\n\n".join([text, *(_case(case, contender_table(case)) for case in result["cases"])])


def _rate(result: dict[str, Any]) -> str:
    rates = result["billions of operations a second"]
    return (
        "## What a core can do\n\n"
        f"One core multiplies and adds {rates['float32']:.0f} billion float32 numbers a second, as "
        "separate operations in vectors of eight. The comparison of rounded points, by products of "
        f"16-bit integers, does {rates['int16']:.0f} billion such operations "
        f"({result['nanoseconds a pair']:.2f} ns for a pair of {result['coordinates']} "
        f"coordinates). Medians of {result['repeats']} runs on {result['machine']['processor']}. "
        "`python -m benchmarks.neighbors.rate` repeats it."
    )


def _growth(result: dict[str, Any]) -> str:
    return (
        "## Search for neighbours: how it grows\n\n"
        "Generated points: 200 clusters in 12 of 50 dimensions. Recall, calls and memory as above. "
        f"{_medians(result)} `python -m benchmarks.neighbors.growth` repeats it.\n\n"
        f"{growth.table(result['cases'])}\n\n"
        "Where the exact search begins to take longer than the approximate one:\n\n"
        f"{growth.crossing_table(result['crossings'])}"
    )


def _end_to_end(result: dict[str, Any]) -> str:
    text = (
        "## From coordinates to the embedding\n\n"
        "`pp.neighbors` with 15 neighbours and `tl.umap`, with their defaults, on `X_pca`. "
        "*hnswlib + umapcore* and the like hand their neighbours to `umapcore.pp.neighbors`. "
        "*First* is the first pass of a fresh process with its imports, compiled code being on "
        "disk, *warm* a second pass. Loss and recall of a layout are those on its own graph. "
        "*Memory* is the peak of the first pass above the data, with the code of the programs. "
        f"{_medians(result)}{_packages(result, ('scanpy', 'umap-learn', *RIVALS))} `python -m "
        "benchmarks.neighbors.end_to_end` repeats it."
    )
    cases = (_case(case, end_to_end.table(case)) for case in result["cases"])
    return "\n\n".join([text, *cases])


def _chunks(result: dict[str, Any]) -> str:
    cases = result["cases"]
    machines = ", ".join(sorted({f"{case['processor']}, {case['cores']} cores" for case in cases}))
    repeats = " or ".join(str(count) for count in sorted({case["repeats"] for case in cases}))
    same = "" if all(case["same_bits"] for case in cases) else " **not**"
    return (
        "## Neighbours of coordinates in a store\n\n"
        "`pp.neighbors` with its defaults on generated points in 50 dimensions, in a zarr store: "
        "read into memory before, or as a dask array, whose chunks are read a few at a time. Both "
        f"do{same} give the same bits. Seconds include reading; *processor* is the time of all "
        "threads. *Anonymous* is the highest peak of memory that the system cannot put back into a "
        "file, *after reading* what of it is there before the search, with the names that AnnData "
        "gives to observations; pages of files are dropped where the memory is needed. "
        f"{repeats} runs of each in turn on {machines}. `python -m benchmarks.neighbors.chunks` "
        f"repeats it.\n\n{chunks.table(cases)}"
    )


def _layouts(result: dict[str, Any]) -> str:
    return (
        "## Layouts from approximate neighbours\n\n"
        "The same start positions and seeds on the graphs of exact and of approximate neighbours; "
        "all layouts are judged on the graph of the exact ones. Mean ± standard deviation over "
        "seeds; difference of the means ± its standard error. A difference is within the noise of "
        f"seeds if the mean is worse by no more than {result['deviations']:g} standard deviations. "
        "`python -m benchmarks.neighbors.layouts` repeats it.\n\n"
        f"{layouts.table(result['cases'])}"
    )


def _weights(result: dict[str, Any]) -> str:
    text = (
        "## Weights of given neighbours\n\n"
        "`fuzzy_simplicial_set` on 15 stored neighbours a vertex, "
        f"umap-learn {result['versions']['umap-learn']} and umapcore in one process, taking turns; "
        f"medians of {result['repeats']} runs, without compilation. `python -m "
        "benchmarks.neighbors.weights` repeats it."
    )
    rows = []
    for case in result["cases"]:
        for threads, theirs in case["umap-learn"].items():
            ours = case["umapcore"][threads]
            rows.append(
                [
                    case["name"], threads, f"{theirs:.3f}", f"{ours:.3f}", f"{theirs / ours:.1f}",
                    f"{case['largest difference']:.0e}",
                ]
            )  # fmt: skip
    header = (
        "graph", "threads", "umap-learn, s", "umapcore, s", "x umap-learn",
        "largest difference of a weight",
    )  # fmt: skip
    return f"{text}\n\n{table(header, rows)}"


def _case(case: dict[str, Any], rows: str) -> str:
    text = (
        f"**{case['set']}**: {case['n_points']:,} points, {case['n_dimensions']} dimensions; "
        f"load average before: {case['load_average_before']}; commit {case['commit']}\n\n{rows}"
    )
    apart = [name for name, same in case["same_bits"].items() if not same]
    ours = [name for name in case["same_bits"] if name.startswith(OURS)]
    if ours and not set(ours) & set(apart):
        text += "\n\nAll of umapcore's runs of one setting have the same bits."
    elif ours:
        text += f"\n\nRuns that differ: {', '.join(name for name in ours if name in apart)}."
    if "remark" in case:
        text += f"\n\n{case['remark']}"
    if case["skipped"]:
        said = "; ".join(f"{name} ({why.rstrip('.')})" for name, why in case["skipped"].items())
        text += f"\n\nLeft out: {said}."
    return text


def _medians(result: dict[str, Any]) -> str:
    cases = result["cases"]
    ours, rivals = (
        " or ".join(str(count) for count in sorted({case[key] for case in cases}))
        for key in ("repeats", "rival_repeats")
    )
    others = "" if ours == rivals else f" (of other programs, {rivals})"
    machines = ", ".join(sorted({f"{case['processor']}, {case['cores']} cores" for case in cases}))
    return f"Medians of {ours} runs{others} on {machines}."


def _packages(result: dict[str, Any], names: tuple[str, ...]) -> str:
    packages = dict.fromkeys(PACKAGES.get(name, name) for name in names)
    versions = result["versions"]
    found = [f"{name} {versions[name]}" for name in packages if versions.get(name)]
    return f" {', '.join(found)}." if found else ""


def draw(cases: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds of warm calls against the share that was missed: a panel a set."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, axes = plt.subplots(
        1, len(cases), figsize=(4.2 * len(cases), 3.6), squeeze=False, layout="constrained"
    )
    for axis, case in zip(axes.flat, cases, strict=True):
        kinds = dict.fromkeys((one["program"], one["threads"]) for one in case["contenders"])
        for program, threads in kinds:
            dots = sorted(
                (max(1.0 - one["recall"], _LEAST_MISSED), one["warm"] or one["first"])
                for one in case["contenders"]
                if (one["program"], one["threads"]) == (program, threads)
            )
            axis.plot(
                *zip(*dots, strict=True), "o-" if threads > 1 else "o:", markersize=4,
                linewidth=1, color=COLOURS[program], mfc=None if threads > 1 else "white",
                label=f"{program}, {threads} thread{'s' * (threads > 1)}",
            )  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.invert_xaxis()
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("1 - recall")
        axis.set_ylabel("seconds")
        axis.set_title(f"{case['set']}, {case['n_points']:,} points", fontsize=9)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    shown: dict[str, Any] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    figure.legend(
        shown.values(), shown.keys(), fontsize=7, ncols=3, frameon=False, loc="outside lower center"
    )
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)
