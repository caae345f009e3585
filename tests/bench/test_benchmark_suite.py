"""The benchmark suite runs, on small graphs and without rivals, and its page can be written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import contenders, first_call, pages, readme, suite
from benchmarks.baselines import rapids, umappp, uwot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("suite") / "suite.json"
    with pytest.MonkeyPatch.context() as patch:
        for module in (contenders, umappp, rapids):
            patch.setattr(module, "find_spec", lambda name: None)
        patch.setattr(uwot, "_versions", lambda: "R is not here.")
        patch.setattr("benchmarks.scale.SIZES", (2000, 3000))
        patch.setattr("benchmarks.scale.GROWTH_VERTICES", 500)
        patch.setattr("benchmarks.scale.CHANGES", {"n_epochs": (5, 10)})
        arguments = ["--graphs", "generated3000", "--parts", "optimisation", "scale"]
        arguments += [
            "--without",
            "scanpy",
            "umapcore GPU",
            "--rounds",
            "1",
            "--threads",
            "2",
            "--out",
            str(out),
        ]
        assert suite.main(arguments) == 0
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def test_everything_is_measured(result: dict[str, Any]) -> None:
    (case,) = result["optimisation"]
    assert case["n_vertices"] == 3000
    assert list(case["contenders"])[:2] == ["umapcore 1", "umapcore 2"]
    assert case["all_of_umapcores_runs_have_the_same_bits"]
    for run in case["contenders"].values():
        assert len(run["seconds"]) == suite.OUR_REPEATS
        assert 0 < run["best"] <= run["median"]
        assert 0 < run["quality"]["recall"] <= 1
        assert {"graph", "start", "plan", "optimise"} <= set(run["stages"])
    assert case["floor"]["seconds"] > 0
    assert case["floor"]["times"] > 1
    assert case["floor"]["times_strict"] > 1
    assert [size["n_vertices"] for size in result["scale"]] == [2000, 3000]
    assert [point["value"] for point in result["growth"]["n_epochs"]] == [5, 10]


def test_what_is_left_out_is_said(result: dict[str, Any]) -> None:
    skipped = result["skipped"]
    assert skipped["umap-learn serial"] == "umap-learn is not installed."
    assert skipped["uwot serial"] == "R is not here."
    assert skipped["umappp 2"] == "scranpy is not installed."
    assert skipped["umapcore GPU"] == "--without"
    assert skipped["cuML"] == "cuml is not installed."
    assert not set(skipped) & set(result["optimisation"][0]["contenders"])
    assert result["optimisation"][0]["skipped"] == {}


def test_page(result: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With made-up rivals, and the parts that need them."""
    case = json.loads(json.dumps(result["optimisation"][0]))
    ours = case["contenders"]["umapcore 1"]
    case["skipped"] = {"umappp 1": "it takes neighbours"}
    case["contenders"]["uwot serial"] = {**ours, "bytes_above_the_data": None}
    case["contenders"] |= {"umap-learn serial": {**ours, "median": 100 * ours["median"]}}
    whole = {**case, "graph": readme.GRAPH, "contenders": {
        "umapcore.tl.umap 1": ours, "umapcore.tl.umap 2": ours,
        "scanpy.tl.umap": {**ours, "median": 50 * ours["median"]},
    }}  # fmt: skip
    alone = {**case, "graph": readme.GRAPH}
    made_up = {**result, "optimisation": [alone], "whole": [whole]}
    made_up["again"] = [
        {"parts": ["scale"], "versions": {"commit": "abc"},
         "load_average_before": 0.5, "machine": {"processor": "some"}}
    ]  # fmt: skip
    made_up["versions"] = {**result["versions"], "scanpy": "1.11", "umap-learn": "0.5"}
    (tmp_path / "suite.json").write_text(json.dumps(made_up), encoding="utf-8")
    monkeypatch.setattr(first_call, "_run", lambda *_, **__: str(next(calls, 0.0)))
    calls = iter([0.0, 0.1, 0.1, *[9.0, 1.0, 0.6, 0.5] * 5])
    assert (
        first_call.main(["other", "--runs", "1", "--out", str(tmp_path / "first_call.json")]) == 0
    )
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    monkeypatch.setattr(pages, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(pages, "PLOTS", tmp_path / "plots")
    assert pages.main() == 0
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "| fashion_mnist70k | 100.0" in text
    assert "\n\nLeft out: umapcore GPU (" in text
    assert "; umap-learn serial, umap-learn parallel (umap-learn is not installed); " in text
    assert "Measured again later (some, commit abc, load average 0.5): scale." in text
    assert "`import umapcore`: 0.100 s. " in text
    row = next(line for line in text.splitlines() if line.startswith("| pp.neighbors"))
    assert [cell.strip() for cell in row.split("|")[2:5]] == ["0.50", "1.00", "9.00"]
    assert "Not on this graph: umappp 1 (it takes neighbours)" in text
    assert {plot.name for plot in (tmp_path / "plots").iterdir()} == {
        "whole.png", "quality.png", "optimisation.png", "scale.png"
    }  # fmt: skip
    assert readme.figure(made_up).startswith("**50 times as fast as scanpy**")


def test_parts_measured_again(
    result: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "suite.json"
    earlier = {**result, "growth": {}, "again": [{"parts": ["scale", "whole"]}]}
    out.write_text(json.dumps(earlier), encoding="utf-8")
    monkeypatch.setattr(suite, "sizes", lambda largest, n_threads: [largest])
    monkeypatch.setattr(suite, "growth", lambda n_threads: {"n_epochs": []})
    options = ["--parts", "scale", "--largest", "77", "--threads", "1", "--out", str(out)]
    assert suite.main([*options, "--again"]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["optimisation"] == result["optimisation"]
    assert found["threads"] == result["threads"]
    assert found["scale"] == [77]
    assert found["growth"] == {"n_epochs": []}
    assert [run["parts"] for run in found["again"]] == [["whole"], ["scale"]]


def test_nothing_to_measure_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        suite.main(["--again", "--out", str(tmp_path / "none.json")])
    assert "--again: there are no earlier results in " in capsys.readouterr().err


@pytest.mark.parametrize("bad", [["--parts", "everything"], ["--graphs"]])
def test_bad_options(bad: list[str]) -> None:
    with pytest.raises(SystemExit):
        suite.main(bad)
