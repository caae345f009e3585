"""`umapcore bench`: rows, bits, quality, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.cli.test_cli import one_error_line, run
from tests.support import graphs
from umapcore import OptimizerSpec, demo
from umapcore.cli.bench import table
from umapcore.measures import bench as measuring
from umapcore.measures.bench import Row, bench, thread_counts

if TYPE_CHECKING:
    from pathlib import Path

QUICK = OptimizerSpec(n_epochs=30)


def _fake(name: str, seconds: float) -> Any:
    layout = np.random.default_rng(len(name)).normal(size=(300, 2)).astype(np.float32)
    return lambda: (layout, {"optimise": seconds})


@pytest.fixture
def rival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        measuring, "installed_baselines", lambda *_: {"another": _fake("another", 1000.0)}
    )


@pytest.mark.usefixtures("rival")
def test_rows() -> None:
    told: list[str] = []
    found = bench(graphs.surface(300), QUICK, threads=[1, 2], repeats=2, tell=told.append)
    names = [row.name for row in found.rows]
    assert names[:2] == ["umapcore, 1 thread", "umapcore, 2 threads"]
    assert names[-1] == "another"
    assert ("umapcore, GPU" in names) == (found.no_gpu is None)
    assert (found.n_vertices, found.n_epochs) == (300, 30)
    assert found.same_bits
    assert all(len(row.runs) == 2 for row in found.rows)
    one, two, *_, other = found.rows
    assert (one.loss, one.recall) == (two.loss, two.recall)
    assert one.loss < other.loss, "a layout is better than noise"
    assert one.recall > other.recall
    assert other.total == 1000.0
    assert one.total == pytest.approx(np.median([sum(run.values()) for run in one.runs]))
    assert "another: run 2 of 2" in told
    text = table(found, "a graph")
    assert "The 4 layouts by umapcore have the same bits." in text or found.no_gpu is None
    assert text.splitlines()[-3].startswith("another")
    assert "differ" in table(replace(found, same_bits=False), "a graph")


def test_different_bits_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(100))

    def embedding(*_: Any, timings: dict[str, float], **__: Any) -> Any:
        timings |= {"graph": 0.1, "start": 0.1, "optimise": 0.1}
        return np.full((300, 2), next(numbers), np.float32)

    monkeypatch.setattr(measuring, "simplicial_set_embedding", embedding)
    found = bench(graphs.surface(300), QUICK, threads=[1], repeats=2, with_baselines=False)
    assert not found.same_bits


def test_stages_are_medians() -> None:
    row = Row("x", ours=True, runs=[{"plan": 1.0}, {"plan": 5.0}, {"plan": 2.0}])
    assert row.stage("plan") == row.total == 2.0
    assert row.stage("graph") is None


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_thread_counts(most: int, counts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "thread_count", lambda _: most)
    assert thread_counts() == counts


@pytest.mark.filterwarnings("ignore")  # what the others' packages say when they are imported
def test_baselines_lay_out_the_same_graph() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    from umapcore.measures.baselines import installed_baselines

    graph = graphs.surface(300)
    start = np.random.default_rng(0).random((300, 2)).astype(np.float32) * 10
    for array in (graph.data, graph.indices, graph.indptr, start):
        array.flags.writeable = False
    found = installed_baselines(graph, start, QUICK)
    layouts = {}
    for name, once in found.items():
        layouts[name], seconds = once()
        assert layouts[name].shape == (300, 2)
        assert np.isfinite(layouts[name]).all()
        assert sum(seconds.values()) > 0
        again, _ = once()
        np.testing.assert_array_equal(again, layouts[name])
    assert any(name.startswith("umap-learn") for name in layouts)


@pytest.mark.usefixtures("rival")
def test_command(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "in.h5ad"
    demo.load_cells()[:300].copy().write_h5ad(path)
    quick = ("--maxiter", 5, "--repeats", 1, "--threads", 2, 1, 2)
    assert run("bench", path, *quick, "--no-rivals") == 0
    said = capsys.readouterr().out
    assert str(path) in said
    assert "umapcore, 2 threads" in said
    assert "median of 1 run," in said
    assert "another" not in said
    assert run("bench", path, *quick, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same_bits"] is True
    assert found["n_epochs"] == 5
    assert found["graph"]["vertices"] == 300
    assert [row["name"] for row in found["programs"]][:2] == [
        "umapcore, 1 thread",
        "umapcore, 2 threads",
    ]
    assert found["machine"]["packages"]["numpy"]


def test_errors(tmp_path: Path, capsys: Any) -> None:
    assert run("bench", tmp_path / "no.h5ad") == 1
    assert "no such file" in one_error_line(capsys)
    assert run("bench", "--repeats", 0) == 2
    assert "--repeats" in one_error_line(capsys)
