"""The part of ``docs/benchmarks.md`` about the openproblems task, from the measured JSON."""

from __future__ import annotations

import json
from math import comb
from statistics import median
from typing import TYPE_CHECKING, Any

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


def difference(ours: Runs, theirs: Runs, metric: str) -> float | None:
    """Return the difference of the medians, or None where the ranges over seeds overlap."""
    left, right = ([run[metric] for run in runs] for runs in (ours, theirs))
    if max(left) >= min(right) and max(right) >= min(left):
        return None
    return median(left) - median(right)


def _figures(found: dict[str, Runs], methods: list[str]) -> str:
    rows = []
    for metric in METRICS:
        cells = [_cell([run[metric] for run in found[name] if metric in run]) for name in methods]
        if any(cells):
            rows.append([_LABELS[metric], *cells])
    return table(["metric", *methods], rows)


def _cell(values: list[float]) -> str:
    if len(values) < 2:
        return "".join(f"{value:.3f}" for value in values)
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _pairs(cases: dict[str, Any]) -> list[tuple[str, str, str, list[tuple[str, float | None]]]]:
    """Name set, method and rival, with the differences in all metrics."""
    return [
        (name, ours, theirs, [
            (metric, difference(found[ours], found[theirs], metric))
            for metric in METRICS
            if metric in found[ours][0]
        ])
        for ours, theirs in PAIRS
        for name, found in ((name, case["methods"]) for name, case in cases.items())
        if ours in found and theirs in found
    ]  # fmt: skip


def _compared(cases: dict[str, Any]) -> str:
    rows = []
    for name, ours, theirs, differences in _pairs(cases):
        found = dict(differences)
        cells = [
            ("=" if found[metric] is None else f"{found[metric]:+.3f}") if metric in found else ""
            for metric in METRICS
        ]
        rows.append([f"{ours} less {theirs}", name, *cells])
    return table(("", "set", *(_SHORT[metric] for metric in METRICS)), rows)


def _text(result: dict[str, Any]) -> str:
    versions, seeds = result["versions"], result["n_seeds"]
    every = [
        (f"{_LABELS[metric]} of {ours} on {name}", value)
        for name, ours, _, differences in _pairs(result["cases"])
        for metric, value in differences
    ]
    lower = [said for said, value in every if value is not None and value < 0]
    higher = [said for said, value in every if value is not None and value > 0]
    by_chance = len(every) * 2 / comb(2 * seeds, seeds)
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
        "included, so no embedding comes near 1. Trustworthiness, continuity, Q_NX and LCMC at 30 "
        "ask whether neighbours stay neighbours. Mutual information and Rand index ask whether "
        "clusters of the embedding are the labels, which on cbmc8k are clusters of the same counts "
        "themselves. Distances between cells and centroids are what UMAP does not try to keep: "
        "they vary widely with the seed. Densities are kept by densMAP alone, which is made for "
        "it. Even the data themselves score low in spectral distances. No metric says whether a "
        "picture is good to read. Seconds are not compared here.\n\n"
        "**The comparison.** Differences of the medians of two programs that do the same; `=` "
        "where the ranges over the seeds overlap, which is no difference. Of "
        f"{len(every)} comparisons, {len(every) - len(lower) - len(higher)} show no difference; "
        f"of programs that do exactly the same, about {by_chance:.1f} would differ by chance. "
        f"umapcore is higher in {len(higher)} and lower in {len(lower)}"
        f"{': ' if lower else ''}{'; '.join(lower)}. "
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
