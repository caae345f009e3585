"""The part of ``docs/benchmarks.md`` about the openproblems task, from the measured JSON."""

from __future__ import annotations

import json
from math import comb
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.openproblems.data import ABOUT
from benchmarks.openproblems.methods import METHODS, PAIRS, TRUE
from benchmarks.openproblems.metrics import METRICS
from benchmarks.report import table

if TYPE_CHECKING:
    from pathlib import Path

    Runs = list[dict[str, float]]

#: Methods of the second table of a set; the first has all others.
_APART = ("umap-learn, genes", "umapcore, genes", "umap-learn densMAP", "umapcore densMAP")


def sections(results: Path) -> list[str]:
    """Return the section, if the task has been measured."""
    path = results / "openproblems.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text(encoding="utf-8"))
    return ["\n\n".join([_text(result), *tables(result["cases"])])]


def tables(cases: dict[str, Any]) -> list[str]:
    """Return the comparison of pairs, and the figures of each set."""
    parts = [_compared(cases)]
    for name, case in cases.items():
        parts.append(f"**{name}**: {ABOUT[name]}.")
        methods = [method for method in (TRUE, *METHODS) if method in case["methods"]]
        apart = [method for method in methods if method in _APART]
        parts.append(_figures(case["methods"], [name for name in methods if name not in apart]))
        if apart:
            parts.append(_figures(case["methods"], apart))
    return parts


class Difference(NamedTuple):
    """Difference of two medians, and whether the ranges over seeds are apart."""

    value: float
    apart: bool


def difference(ours: Runs, theirs: Runs, metric: str) -> Difference:
    """Compare a metric of two programs."""
    left, right = ([run[metric] for run in runs] for runs in (ours, theirs))
    apart = max(left) < min(right) or max(right) < min(left)
    return Difference(median(left) - median(right), apart)


def _figures(found: dict[str, Runs], methods: list[str]) -> str:
    rows = []
    for metric in METRICS:
        cells = [_cell([run[metric] for run in found[name] if metric in run]) for name in methods]
        if any(cells):
            rows.append([_LABELS[metric], *cells])
    return table(["metric", *methods], rows)


def _cell(values: list[float]) -> str:
    if len(values) < 2:
        return "".join(_digits(value) for value in values)
    return f"{_digits(median(values))} ({_digits(min(values))} to {_digits(max(values))})"


def _digits(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"


class Pair(NamedTuple):
    """What two programs that do the same made of one set."""

    data: str
    ours: str
    theirs: str
    differences: dict[str, Difference]


def _pairs(cases: dict[str, Any]) -> list[Pair]:
    pairs = []
    for ours, theirs in PAIRS:
        for name, found in ((name, case["methods"]) for name, case in cases.items()):
            if ours in found and theirs in found:
                metrics = [metric for metric in METRICS if metric in found[ours][0]]
                compared = {m: difference(found[ours], found[theirs], m) for m in metrics}
                pairs.append(Pair(name, ours, theirs, compared))
    return pairs


def _compared(cases: dict[str, Any]) -> str:
    rows = []
    for pair in _pairs(cases):
        cells = []
        for metric in METRICS:
            found = pair.differences.get(metric)
            value = f"{round(found.value, 3) + 0.0:+.3f}" if found else ""
            cells.append(f"**{value}**" if found and found.apart else value)
        rows.append([f"{pair.ours} less {pair.theirs}", pair.data, *cells])
    return table(("", "set", *(_SHORT[metric] for metric in METRICS)), rows)


def _text(result: dict[str, Any]) -> str:
    versions, seeds = result["versions"], result["n_seeds"]
    every = [
        (f"{_LABELS[metric]} of {pair.ours} on {pair.data}", found)
        for pair in _pairs(result["cases"])
        for metric, found in pair.differences.items()
    ]
    within = [(found.value, said) for said, found in every if not found.apart]
    least, where = min(within, default=(0.0, "nothing"))
    lower = [said for said, found in every if found.apart and found.value < 0]
    n_higher = len(every) - len(within) - len(lower)
    chance = 2 / comb(2 * seeds, seeds)
    return (
        "## The openproblems task\n\n"
        "The metrics of the task *Dimensionality Reduction for Visualization* of "
        "[Open Problems in Single-Cell Analysis](https://openproblems.bio), version 0.2.0: how "
        "much of the normalised expression of all genes is seen in two dimensions. "
        "`benchmarks/openproblems/component` has umapcore as a method of the task, and says how to "
        "run it there; the figures of umapcore come from that script. umap-learn "
        f"{versions['umap-learn']} is called as the task's `umap` and `densmap` call it, scanpy "
        f"{versions['scanpy']} as `pp.neighbors` and `tl.umap` with their defaults. All read the "
        "1,000 most variable genes, as 50 principal components unless *genes* is said. Minimal "
        "distances are 0.1, umap-learn's default, or 0.5, scanpy's (columns *scanpy* and "
        f"*umapcore 0.5*). Medians over {seeds} seeds, with the lowest and the highest. *True "
        "features*, the data themselves, and *random features* are the task's controls, between "
        "which it scales. Every metric is better when it is higher.\n\n"
        "**What differs from the task.** The data: its own are fetched from its storage, these are "
        "smaller, and one set is generated, so nothing here can be compared with its published "
        "scores. The metrics are computed anew from their formulas, with exact nearest neighbours "
        "where the task searches with pynndescent, and with Leiden's clusters by igraph in two "
        "iterations where the task lets leidenalg run until nothing changes; two embeddings of "
        "pbmc700 got a mutual information that was lower by 0.005 and higher by 0.017 for it. The "
        "correlation with spectral distances takes 1,000 eigenvectors: it is left out for fewer "
        "than 2,000 cells, where it says nothing, and for more than 5,000, where it takes minutes. "
        "None of this has been run within the task's own workflow.\n\n"
        "**What the metrics can show.** The reference is the expression of all genes, noise "
        "included, so no embedding reaches 1. Trustworthiness, continuity, Q_NX and LCMC at 30 "
        "ask whether neighbours stay neighbours. Mutual information and Rand index ask whether "
        "clusters of the embedding are the labels, which on cbmc8k are clusters of the same counts "
        "themselves. Distances between cells and centroids are what UMAP does not try to keep: "
        "they vary widely with the seed. Densities are kept by densMAP alone, which is made for "
        "it. Even the data themselves score low in spectral distances. No metric says whether a "
        "picture is good to read. Seconds are not compared here.\n\n"
        "**The comparison.** Differences of the medians of two programs that do the same, bold "
        "where the ranges over the seeds are apart. Others show no difference. Of programs that "
        f"do exactly the same, {chance:.1%} of the ranges would be apart, which is "
        f"{chance * len(every):.1f} of the {len(every)} here. They are in "
        f"{len(lower) + n_higher}: umapcore is higher in {n_higher} and lower in {len(lower)}"
        f"{': ' if lower else ''}{'; '.join(lower)}. Of the {len(within)} others, its median is "
        f"higher in {sum(value > 0 for value, _ in within)} and lower in "
        f"{sum(value < 0 for value, _ in within)}, by up to {-least:.3f} ({where}); many metrics "
        f"move together, and {seeds} seeds show only differences as large as the spread. "
        "`python -m benchmarks.openproblems` repeats it."
    )


_LABELS = {
    "normalized_mutual_information": "mutual information",
    "adjusted_rand_index": "Rand index",
    "continuity_at_k30": "continuity at 30",
    "trustworthiness_at_k30": "trustworthiness at 30",
    "qnx_at_k30": "Q_NX at 30",
    "lcmc_at_k30": "LCMC at 30",
    "qnx_auc": "area under Q_NX",
    "qlocal": "local quality",
    "qglobal": "global quality",
    "density_preservation": "density preservation",
    "waypoint_distance_correlation": "distances between cells",
    "centroid_distance_correlation": "distances to centroids",
    "label_distance_correlation": "distances between centroids",
    "spectral_distance_correlation": "spectral distances",
}
_SHORT = dict(
    zip(
        METRICS,
        (
            "NMI", "ARI", "cont.", "trust", "Q_NX", "LCMC", "AUC", "local", "global", "density",
            "cells", "to centr.", "centr.", "spectral",
        ),
        strict=True,
    )
)  # fmt: skip
