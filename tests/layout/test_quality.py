"""Layouts of small graphs are as good as umap-learn's.

A small version of ``python -m benchmarks.quality``. The figures of umap-learn are stored in
``data/quality_reference.json``, written by ``python -m benchmarks.reference``: means and standard
deviations over its seeds. The layouts here have the same bits on every machine, so that a test
which passes on one passes on all.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks.metrics import effective_loss, extent, figures, largest_coordinate, neighbor_recall
from benchmarks.ours import umapcore_layout
from benchmarks.reference import LOSS_PAIRS, REFERENCE, reference_run
from benchmarks.small import MIN_DISTS, N_EPOCHS, SEEDS, SMALL
from umapcore import OptimizerSpec

if TYPE_CHECKING:
    from benchmarks.graphs import BenchGraph

CASES = [(name, min_dist) for name in SMALL for min_dist in MIN_DISTS]


@cache
def small_graph(name: str) -> BenchGraph:
    return SMALL[name]()


@cache
def reference() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(Path(REFERENCE).read_text(encoding="utf-8"))
    return stored


def reference_of(name: str, min_dist: float) -> dict[str, Any]:
    (case,) = (
        case
        for case in reference()["cases"]
        if case["graph"] == name and case["min_dist"] == min_dist
    )
    return dict(case)


@pytest.mark.parametrize(("name", "min_dist"), CASES)
def test_as_good_as_umap_learn(name: str, min_dist: float) -> None:
    bench, theirs = small_graph(name), reference_of(name, min_dist)
    runs = []
    for seed in SEEDS:
        spec = OptimizerSpec(min_dist=min_dist, seed=seed, n_epochs=N_EPOCHS)
        a, b = spec.curve()
        embedding, _ = umapcore_layout(bench, spec, n_threads=1)
        runs.append(figures(bench.graph, embedding, a=a, b=b, n_pairs=LOSS_PAIRS).as_dict())
    ours = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
    # Three standard errors of a difference of means, so that luck with seeds does not decide.
    error = 3.0 * np.sqrt(1.0 / len(SEEDS) + 1.0 / reference()["n_runs"])

    assert ours["loss"] <= 1.02 * theirs["mean"]["loss"] + error * theirs["sd"]["loss"]
    assert ours["recall"] >= theirs["mean"]["recall"] - 0.01 - error * theirs["sd"]["recall"]
    if ours["loss"] > theirs["mean"]["loss"]:
        assert 0.8 <= ours["extent"] / theirs["mean"]["extent"] <= 1.25
    assert max(run["largest"] for run in runs) <= 1.5 * theirs["most"]


@pytest.mark.filterwarnings("ignore")
def test_stored_reference_is_what_umap_learn_gives() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed", exc_type=ImportError)
    stored = reference_of("surface", 0.5)
    fresh = reference_run("surface", 0.5, seed=100).as_dict()
    for key in ("loss", "recall", "extent"):
        assert abs(fresh[key] - stored["mean"][key]) <= 5.0 * stored["sd"][key], key


def test_figures_of_a_known_embedding() -> None:
    """A ring laid out as a ring, and the same positions shuffled."""
    n = 400
    angle = 2.0 * np.pi * np.arange(n) / n
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    around = np.arange(n)
    ones = np.ones(2 * n, np.float32)
    edges = (np.r_[around, around], np.r_[(around + 1) % n, (around - 1) % n])
    graph = csr_matrix((ones, edges), shape=(n, n))
    shuffled = ring[np.random.default_rng(0).permutation(n)]
    assert neighbor_recall(graph, ring) == 1.0
    assert neighbor_recall(graph, shuffled) < 0.05
    assert extent(3.0 * ring) == pytest.approx(6.0, rel=1e-3)
    assert largest_coordinate(ring + 5.0) == pytest.approx(6.0)
    assert largest_coordinate(ring + 5.0, centred=True) == pytest.approx(1.0)

    # Written out over all pairs, as the docstring has it.
    a, b = 0.6, 1.3
    squared = ((ring[:, None] - ring[None]) ** 2).sum(axis=2)
    curve = a * squared**b
    attraction = np.log1p(curve)[edges].sum() / n
    pairs = ~np.eye(n, dtype=bool)
    repulsion = -5 * 2 / n * np.log((1e-3 + curve) / (1.0 + curve))[pairs].sum() / n
    loss = effective_loss(graph, ring, a=a, b=b)
    assert loss.attraction == pytest.approx(attraction, rel=1e-9)
    assert loss.repulsion == pytest.approx(repulsion, rel=5e-3)
    assert effective_loss(graph, shuffled, a=a, b=b).total > loss.total
