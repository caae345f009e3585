"""The benchmarks of neighbours run, on few points and without rivals, and write their pages."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.neighbors import (
    chunks,
    end_to_end,
    growth,
    layouts,
    measure,
    page,
    points,
    programs,
    search,
)
from benchmarks.neighbors.programs import EXACT, OURS, RIVALS, SCANPY, Contender

if TYPE_CHECKING:
    from pathlib import Path

SET = "generated:400"
QUICK = ["--repeats", "1", "--rival-repeats", "1", "--threads", "1,2"]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMAPCORE_BENCHMARK_CACHE", str(tmp_path_factory.mktemp("cache")))


def _no_rivals(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = programs.MODULES[OURS].partition(".")[0]
    monkeypatch.setattr(programs, "find_spec", lambda name: object() if name == ours else None)


def _content(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


class TestJudge:
    def test_recall(self) -> None:
        x = points.generated(300)
        judge = points.judge(x, 50)
        assert len(judge.rows) == 50
        distances = ((x[judge.rows, None].astype(np.float64) - x) ** 2).sum(axis=2)
        order = np.argsort(distances, axis=1, kind="stable")
        assert judge.recall(order[:, :15]) == 1.0
        # Wherever the point itself is, and however often a neighbour is named.
        assert judge.recall(order[:, 14::-1]) == 1.0
        assert judge.recall(order[:, 1:15]) == 1.0
        assert judge.recall(order[:, :8]) == 0.5
        assert judge.recall(np.tile(order[:, :8], 2)) == 0.5
        assert judge.recall(np.where(np.arange(15) < 8, order[:, :15], -1)) == 0.5
        assert judge.recall(order[:, 15:30].astype(np.uint64)) == 0.0

    def test_ties_count(self) -> None:
        x = np.zeros((40, 3), np.float32)
        x[20:] = 1.0
        judge = points.judge(x)
        some = np.arange(40)[:, None] // 20 * 20 + np.arange(1, 16)
        assert judge.recall(some) > 0.95
        assert judge.recall((some + 20) % 40) == 0.0

    def test_few_points(self) -> None:
        x = points.generated(6)
        assert points.judge(x).recall(np.tile(np.arange(6), (6, 1))) == 1.0

    def test_truth_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        x = points.generated(100)
        before = points.judge(x).squared_radii
        monkeypatch.setattr(points, "_squared_radii", None)
        np.testing.assert_array_equal(points.judge(x.copy()).squared_radii, before)

    def test_no_such_data(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"none\.h5ad does not exist: give the folder"):
            points.load("none", str(tmp_path))


@pytest.mark.filterwarnings("ignore")  # what the others' packages say when they are imported
@pytest.mark.parametrize("program", [EXACT, *RIVALS])
def test_programs(program: str) -> None:
    """All settings of every program that is installed find most neighbours."""
    if why := programs.problem(program):
        pytest.skip(why)
    if program == "pynndescent":
        pytest.skip("it compiles for a minute")
    x = points.generated(400)
    judge = points.judge(x)
    field = [Contender(EXACT, 2)] if program == EXACT else programs.rivals([program], 400, [1])
    for contender in field:
        programs.load(program)
        found = programs.search(contender, x)
        assert found.indices.shape == found.distances.shape == (400, programs.K)
        assert judge.recall(found.indices) > 0.7
        squared = ((x - x[found.indices[:, 3].astype(np.int64)]) ** 2).sum(axis=1)
        np.testing.assert_allclose(found.distances[:, 3], np.sqrt(squared), rtol=1e-3)


def test_rivals() -> None:
    found = programs.rivals(["hnswlib", "pynndescent"], 10_000, [1, 2], {"hnswlib": [{"M": 3}]})
    assert [one.name for one in found] == [
        "hnswlib, M 3, threads 1", "hnswlib, M 3, threads 2", "pynndescent, threads 1",
        "pynndescent, threads 2",
    ]  # fmt: skip
    found = programs.rivals(["faiss-hnsw", "pynndescent"], 10_000, [2], {"faiss-hnsw": [{}]})
    assert [one.threads for one in found] == [2, 1, 2]
    (one, *_) = programs.rivals(["faiss-ivf"], 10_000, [1])
    assert one.settings == {"nlist": 200, "nprobe": 4}


class TestSearch:
    def test_results(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _no_rivals(monkeypatch)
        out = tmp_path / "neighbors_search.json"
        options = [*QUICK, "--accuracies", "", "--sample", "100", "--out", str(out)]
        assert search.main(["--set", SET, *options]) == 0
        again = ["--set", "generated:300", "--rivals", "", *options, "--threads", "1", "--add"]
        assert search.main(again) == 0
        found = _content(out)
        assert found["machine"]["processor"]
        assert [case["set"] for case in found["cases"]] == [SET, "generated:300"]
        case = found["cases"][0]
        assert (case["n_points"], case["n_dimensions"], case["sample"]) == (400, 50, 100)
        assert case["skipped"]["faiss-ivf"] == "faiss-cpu is not installed."
        assert set(case["skipped"]) == set(RIVALS)
        assert case["same_bits"] == {EXACT: True}
        assert [one["threads"] for one in case["contenders"]] == [1, 2]
        for one in case["contenders"]:
            assert one["recall"] == 1.0
            assert one["warm"] > 0
            assert one["first"] > 0
            assert len(one["seconds"]["first"]) == 1

        plots = tmp_path / "plots"
        plots.mkdir()
        (text,) = page.sections(tmp_path, plots)
        assert "**generated:300**: 300 points" in text
        assert "All of umapcore's runs of one setting have the same bits." in text
        assert "Left out: pynndescent (pynndescent is not installed);" in text
        assert (plots / page.PLOT).is_file()

    def test_failure_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program that fails is left out of the other rounds, and says why."""
        _no_rivals(monkeypatch)
        calls = []

        def fail(module: str, one: Contender, *_: Any, rows: str = "") -> Any:
            calls.append((one.name, rows))
            msg = "MemoryError: no memory"
            raise RuntimeError(msg)

        monkeypatch.setattr(measure, "run_contender", fail)
        options = argparse.Namespace(sample=10, repeats=3, rival_repeats=3, warm_at_most=1.0)
        case = measure.compare(SET, points.generated(400), [Contender(OURS, 1)], options)
        assert case["contenders"] == []
        assert case["skipped"] == {"umapcore, threads 1": "MemoryError: no memory"}
        assert calls == [("umapcore, threads 1", "no rows.npy"), ("umapcore, threads 1", "")]

    def test_what_a_process_says(self) -> None:
        with pytest.raises(RuntimeError, match="unrecognized arguments: --colour"):
            measure.in_process("benchmarks.neighbors.search", "--colour", threads=1)

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            (["--rivals", "annoy"], "--rivals: annoy; known are pynndescent"),
            (["--settings", "hnswlib"], "'hnswlib': PROGRAM:NAME=NUMBER"),
            (["--settings", "annoy:trees=3"], "'annoy:trees=3': PROGRAM:NAME=NUMBER"),
        ],
    )
    def test_bad_options(
        self, bad: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            search.main(bad)
        assert said in capsys.readouterr().err


def _case(n: int, exact: float | None, approximate: float) -> dict[str, Any]:
    def one(program: str, seconds: float, settings: dict[str, float]) -> dict[str, Any]:
        return {
            "program": program, "threads": 1, "settings": settings, "recall": 0.99,
            "first": seconds + 1.0, "warm": seconds, "bytes_above_the_data": 1e6,
        }  # fmt: skip

    found = [one(OURS, approximate, {"accuracy": 0.99})]
    found += [] if exact is None else [one(EXACT, exact, {})]
    return {"n_points": n, "contenders": found}


class TestGrowth:
    def test_crossing(self) -> None:
        cases = [_case(100, 1.0, 2.0), _case(10_000, 8.0, 4.0), _case(20_000, None, 5.0)]
        first, warm = growth.crossings(cases)
        assert (first["call"], warm["call"]) == ("first", "warm")
        assert warm["points"] == pytest.approx(1000.0)
        assert warm["exact_over_approximate"] == [(100, 0.5), (10_000, 2.0)]
        assert "100: 0.50; 10,000: 2.00" in growth.crossing_table([first, warm])
        assert "| 20,000 |" in growth.table(cases)

    @pytest.mark.parametrize("exact", [0.5, 9.0])
    def test_no_crossing(self, exact: float) -> None:
        cases = [_case(100, exact, 1.0), _case(1000, exact, 1.0)]
        assert all(found["points"] is None for found in growth.crossings(cases))

    def test_results(self, tmp_path: Path) -> None:
        out = tmp_path / "neighbors_growth.json"
        options = ["--sizes", "300", "--accuracies", "", "--repeats", "1", "--threads", "1"]
        assert growth.main([*options, "--out", str(out)]) == 0
        assert [case["n_points"] for case in _content(out)["cases"]] == [300]
        (text,) = page.sections(tmp_path, tmp_path)
        assert "## Search for neighbours: how it grows" in text


class TestChunks:
    def test_results(self, tmp_path: Path) -> None:
        pytest.importorskip("zarr")
        pytest.importorskip("dask")
        out = tmp_path / "neighbors_chunks.json"
        options = ["--sizes", "300", "--repeats", "1", "--threads", "1", "--out", str(out)]
        assert chunks.main([*options, "--folder", str(tmp_path)]) == 0
        (case,) = _content(out)["cases"]
        assert case["same_bits"]
        assert list(case["kinds"]) == ["memory", "chunks"]
        (text,) = page.sections(tmp_path, tmp_path)
        assert "## Neighbours of coordinates in a store" in text
        assert "do give the same bits" in text


class TestEndToEnd:
    def test_results(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _no_rivals(monkeypatch)
        out = tmp_path / "neighbors_end_to_end.json"
        options = ["--repeats", "1", "--threads", "2", "--out", str(out)]
        assert end_to_end.main(["--set", SET, *options]) == 0
        (case,) = _content(out)["cases"]
        assert set(case["skipped"]) == {SCANPY, *end_to_end.SEARCHES}
        assert case["same_bits"] == {OURS: True}
        for one in case["contenders"]:
            assert one["recall"] == 1.0
            assert 0 < one["layout_recall"] < 1
            for steps in one["steps"].values():
                assert sum(steps.values()) == pytest.approx(2 * steps["whole"], rel=1e-3)
        (text,) = page.sections(tmp_path, tmp_path)
        assert "Left out: scanpy (scanpy is not installed); hnswlib" in text

    @pytest.mark.parametrize(
        ("n", "arguments", "programs_"),
        [
            (1000, [], [OURS, OURS, SCANPY, "hnswlib", "faiss-ivf"]),
            (1_000_000, ["--searches", "usearch", "--threads", "1"], [OURS, "usearch"]),
            (1_000_000, ["--with-scanpy", "--searches", ""], [OURS, OURS, SCANPY]),
        ],
    )
    def test_who_takes_part(self, n: int, arguments: list[str], programs_: list[str]) -> None:
        field = end_to_end.field(n, end_to_end._options(arguments))
        assert [one.program for one in field] == programs_

    def test_given_neighbours(self) -> None:
        """Neighbours of another program give the embedding that they give through ours."""
        import anndata

        from benchmarks.neighbors import pipeline

        x = points.generated(300)
        embeddings = []
        for program in (OURS, EXACT):
            adata = anndata.AnnData(shape=(len(x), 0), obsm={"X_pca": x})
            pipeline.run(Contender(program, 1), adata)
            embeddings.append(adata.obsm["X_umap"])
        np.testing.assert_array_equal(*embeddings)

    def test_short_rows(self) -> None:
        import anndata
        from scipy import sparse

        from benchmarks.neighbors.pipeline import neighbours_of

        adata = anndata.AnnData(shape=(3, 0), obsm={"X_pca": np.zeros((3, 2), np.float32)})
        adata.obsp["distances"] = sparse.csr_matrix([[0, 1, 2], [0, 0, 0], [3, 0, 0]])
        found = neighbours_of(adata, np.array([0, 1, 2]))
        assert found.tolist() == [[1, 2], [-1, -1], [0, -1]]


class TestLayouts:
    def test_what_is_noise(self) -> None:
        reference = [{"loss": 1.0, "recall": 0.5}, {"loss": 1.2, "recall": 0.6}]
        better = [{"loss": 0.1, "recall": 0.9}, {"loss": 0.3, "recall": 0.9}]
        worse = [{"loss": 1.1, "recall": 0.4}, {"loss": 1.2, "recall": 0.3}]
        assert layouts.compared(reference, reference)["within_noise"]
        assert layouts.compared(reference, better)["within_noise"]
        found = layouts.compared(reference, worse)
        assert not found["within_noise"]
        assert found["recall"]["difference"] == pytest.approx(-0.2)

    def test_results(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Exact neighbours for approximate ones: the layouts are the same."""
        searched = layouts.find_neighbors
        monkeypatch.setattr(
            layouts, "find_neighbors", lambda *args, **kw: searched(*args, **{**kw, "exact": True})
        )
        out = tmp_path / "neighbors_layouts.json"
        options = ["--set", SET, "--seeds", "2", "--accuracies", "0.9", "--out", str(out)]
        assert layouts.main(options) == 0
        (case,) = _content(out)["cases"]
        (approximate,) = case["approximate"]
        assert approximate["within_noise"]
        assert approximate["runs"] == case["exact_runs"]
        assert approximate["loss"]["difference"] == 0.0
        (text,) = page.sections(tmp_path, tmp_path)
        assert "by no more than 2 standard deviations" in text
        assert "+0.0000 ± " in text

    def test_bad_seeds(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            layouts.main(["--seeds", "1"])
        assert "--seeds 1: noise needs at least 2 seeds" in capsys.readouterr().err
