"""The openproblems entry: metrics against their definitions, the component, the page."""

from __future__ import annotations

import json
import re
import runpy
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from scipy.stats import rankdata, spearmanr

from benchmarks.openproblems import __main__ as entry
from benchmarks.openproblems import data, methods, metrics, page

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

N = 90


@pytest.fixture(scope="module")
def spaces() -> tuple[metrics.Space, metrics.Space, NDArray[np.integer]]:
    """Points, their noisy projection, in which two coincide, and labels."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(N, 12))
    projected = points[:, :2] + 0.3 * rng.normal(size=(N, 2))
    projected[7] = projected[8]
    return metrics.Space(points), metrics.Space(projected), rng.integers(4, size=N)


def test_ranks(spaces: tuple[metrics.Space, ...]) -> None:
    for space in spaces[:2]:
        distances = cdist(space.points, space.points)
        np.fill_diagonal(distances, -1.0)
        np.testing.assert_array_equal(space.ranks, distances.argsort(axis=1).argsort(axis=1))
        np.testing.assert_array_equal(space.nearest[:, 0], np.arange(N))
        beyond = distances[np.arange(N)[:, None], space.nearest]
        np.testing.assert_allclose(space.nearest_distances, np.maximum(beyond, 0), atol=1e-7)


@pytest.mark.parametrize("points", [np.zeros((60, 2)), np.full((100, 2), np.nan)])
def test_bad_points(points: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"60 points|not finite"):
        metrics.Space(points)


def test_coranking(spaces: tuple[metrics.Space, ...]) -> None:
    """The definitions, on the matrix itself."""
    high, low = (space.ranks.astype(int) for space in spaces[:2])
    matrix = np.zeros((N - 1, N - 1), int)
    for one, other in zip(high.ravel(), low.ravel(), strict=True):
        if one and other:
            matrix[one - 1, other - 1] += 1
    sizes = np.arange(1, N)
    qnx = np.array([matrix[:k, :k].sum() for k in sizes]) / (sizes * N)
    lcmc = qnx - sizes / (N - 1)
    most, k = int(lcmc.argmax()) + 1, 30
    beyond = np.arange(1, N - k)
    worst = 2 / (N * k * (2 * N - 3 * k - 1))
    expected = {
        "continuity_at_k30": 1 - worst * (matrix[:k, k:] * beyond).sum(),
        "trustworthiness_at_k30": 1 - worst * (matrix[k:, :k] * beyond[:, None]).sum(),
        "qnx_at_k30": qnx[k - 1],
        "lcmc_at_k30": lcmc[k - 1],
        "qnx_auc": qnx.mean(),
        "qlocal": qnx[:most].mean(),
        "qglobal": qnx[most:].mean(),
    }
    assert metrics.coranking(spaces[0].ranks, spaces[1].ranks) == pytest.approx(expected)


def test_ranks_of_pairs() -> None:
    distances = np.random.default_rng(0).integers(5, size=190).astype(float)
    np.testing.assert_array_equal(metrics.Pairs.of(distances, 20).ranks, rankdata(distances))


def test_distance_correlations(spaces: Any) -> None:
    left, right, codes = spaces
    found = metrics.distance_correlations(left, right, codes)
    square = [cdist(space.points, space.points) for space in (left, right)]
    assert found["waypoint_distance_correlation"] == pytest.approx(
        spearmanr(*square, axis=None).statistic
    )
    assert 0.2 < found["centroid_distance_correlation"] < 1
    assert -1 <= found["label_distance_correlation"] <= 1


def test_density_preservation(spaces: Any) -> None:
    """Against the memberships and distances of umap-learn."""
    umap_ = pytest.importorskip("umap.umap_")
    for space in spaces[:2]:
        graph, _, _, distances = umap_.fuzzy_simplicial_set(
            space.points, 30, None, "euclidean", knn_indices=space.nearest,
            knn_dists=space.nearest_distances.astype(np.float32), return_dists=True,
        )  # fmt: skip
        graph, distances = graph.toarray(), distances.toarray()
        radii = (graph * distances).sum(axis=1) / graph.sum(axis=1)
        np.testing.assert_allclose(space.log_radii, np.log(1e-8 + radii), atol=1e-4)


def test_diffusion() -> None:
    """Points on a ring: the distances are those of a circle's first waves and the others."""
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    ring = metrics.Space(np.column_stack((np.cos(angle), np.sin(angle))))
    opposite = metrics.Space(ring.points[::-1])
    assert len(ring.diffusion.ranks) == 100 * 99 // 2
    assert np.corrcoef(ring.diffusion.ranks, opposite.diffusion.ranks)[0, 1] > 0.99
    apart = metrics.Space(np.concatenate((ring.points, ring.points + 1000)))
    with pytest.raises(ValueError, match="2 components"):
        _ = apart.diffusion


def test_perfect_embedding(spaces: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    space, _, codes = spaces
    monkeypatch.setattr(metrics, "clustering", lambda *_: {})
    monkeypatch.setattr(metrics, "LEAST_CELLS_FOR_DIFFUSION", N)
    found = metrics.scores(space, space, codes)
    assert set(found) == set(metrics.METRICS[2:])
    del found["lcmc_at_k30"], found["spectral_distance_correlation"]
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


def test_clustering() -> None:
    pytest.importorskip("igraph")
    pytest.importorskip("sklearn")
    codes = np.repeat(np.arange(3), 40)
    points = np.random.default_rng(0).normal(size=(120, 2)) + 100 * codes[:, None]
    found = metrics.clustering(metrics.Space(points), codes)
    assert found == pytest.approx(
        {"normalized_mutual_information": 1.0, "adjusted_rand_index": 1.0}
    )


def _cells(n: int = 120) -> anndata.AnnData:
    counts, labels = data.generate_tree(data.Tree(n_cells=n, n_genes=80), seed=1)
    return anndata.AnnData(
        obs=pd.DataFrame({"cell_type": labels}, index=[f"cell {i}" for i in range(n)]),
        var=pd.DataFrame(
            {"hvg_score": np.linspace(1, 0, counts.shape[1])}, index=data._names(counts.shape[1])
        ),
        layers={"counts": counts, "normalized": sparse.csr_matrix(np.log1p(counts.toarray()))},
        uns={"dataset_id": "generated", "normalization_id": "log_cp10k"},
    )


def test_generated_counts() -> None:
    counts, labels = data.generate_tree(data.Tree(n_cells=400, n_genes=300), seed=0)
    again, _ = data.generate_tree(data.Tree(n_cells=400, n_genes=300), seed=0)
    assert (counts != again).nnz == 0
    assert counts.shape[0] == len(labels) == 400
    assert len(set(labels)) == 7
    assert counts.sum() == pytest.approx(400 * data.Tree().depth, rel=0.1)
    assert (np.asarray(counts.sum(axis=0)) > 0).all()


@pytest.mark.parametrize("changed", [{}, {"n_pca_dims": 5, "n_hvg": 40, "density_weight": 2.0}])
def test_component(changed: dict[str, Any], tmp_path: Path) -> None:
    """A file in the task's format in, one out, with what the task asks for."""
    if "n_pca_dims" in changed:
        pytest.importorskip("scanpy")
    cells = _cells()
    cells.var.loc[cells.var_names[3], "hvg_score"] = np.nan
    cells.write_h5ad(tmp_path / "dataset.h5ad")
    par = {**_parameters()["par"], "input": str(tmp_path / "dataset.h5ad"), **changed}
    par["output"] = str(tmp_path / "embedding.h5ad")
    script = tmp_path / "script.py"
    for name, meta in (("one", {"name": "umapcore"}), ("two", {"name": "two", "cpus": 2})):
        script.write_text(methods.with_parameters(par, meta), encoding="utf-8")
        runpy.run_path(str(script))
        made = anndata.read_h5ad(par["output"])
        assert made.obsm["X_emb"].shape == (cells.n_obs, 2)
        assert np.isfinite(made.obsm["X_emb"]).all()
        assert list(made.obs_names) == list(cells.obs_names)
        assert dict(made.uns) == {
            "dataset_id": "generated", "normalization_id": "log_cp10k", "method_id": meta["name"],
        }  # fmt: skip
        if name == "one":
            first = made.obsm["X_emb"]
    np.testing.assert_array_equal(first, made.obsm["X_emb"])


def _parameters() -> dict[str, Any]:
    """Return what stands between the two marks of the script."""
    script = methods.COMPONENT.read_text(encoding="utf-8")
    found: dict[str, Any] = {}
    (block,) = re.findall(r"## VIASH START\n(.*?)## VIASH END", script, re.S)
    exec(block, found)
    return found


def test_component_says_what_its_script_takes() -> None:
    """Viash passes the arguments that the description names, with its defaults."""
    config = (methods.COMPONENT.parent / "config.vsh.yaml").read_text(encoding="utf-8")
    arguments = config.split("\narguments:\n")[1].split("\nresources:\n")[0]
    found = {}
    for part in arguments.split("  - name: ")[1:]:
        name = re.match(r'"--(\w+)"', part)
        default = re.search(r"default: (\S+)", part)
        assert name is not None
        found[name[1]] = float(default[1]) if default else None
    found_in_script = _parameters()
    assert found_in_script["par"].items() >= found.items()
    assert set(found_in_script["par"]) == {"input", "output", *found}
    assert f"\nname: {found_in_script['meta']['name']}\n" in config


def test_measuring_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it on few cells, with stand-ins for what needs other packages."""

    def prepared(adata: anndata.AnnData, path: Path) -> methods.Prepared:
        genes = adata.layers["normalized"]
        return methods.Prepared(adata, path, genes, genes.toarray()[:, :50].astype(np.float32))

    stand_in = methods.Method("umapcore", methods.random_features)
    rival = methods.Method("umap-learn", lambda cells, seed: cells.pca[:, seed : seed + 2])
    chosen = {method.name: method for method in (methods.METHODS["PCA"], rival, stand_in)}
    monkeypatch.setattr(entry, "METHODS", chosen)
    monkeypatch.setattr(entry.data, "load", lambda name: _cells())
    monkeypatch.setattr(methods.Prepared, "of", prepared)
    labels = {"normalized_mutual_information": 0.5, "adjusted_rand_index": 0.5}
    monkeypatch.setattr(metrics, "clustering", lambda *_: labels)
    out = tmp_path / "openproblems.json"
    options = ["--sets", "cbmc8k", "--seeds", "2", "--out", str(out), "--methods"]
    assert entry.main([*options, "true features", "umap-learn"]) == 0
    assert entry.main([*options, "PCA", "umapcore"]) == 0
    result = json.loads(out.read_text(encoding="utf-8"))
    found = result["cases"]["cbmc8k"]["methods"]
    assert {name: len(runs) for name, runs in found.items()} == {
        "true features": 1, "umap-learn": 2, "PCA": 1, "umapcore": 2,
    }  # fmt: skip
    result["versions"] |= {"umap-learn": "0.5", "scanpy": "1.11"}
    out.write_text(json.dumps(result), encoding="utf-8")
    (text,) = page.sections(tmp_path)
    assert "| umapcore less umap-learn | cbmc8k |" in text
    assert ": continuity at 30 of umapcore on cbmc8k; trustworthiness at 30" in text
    assert page.sections(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("ours", "value", "apart"),
    [([0.5, 0.7], 0.1, False), ([0.61, 0.7], 0.155, True), ([0.1, 0.3], -0.3, True)],
)
def test_difference(ours: list[float], value: float, apart: bool) -> None:
    runs = [[{"x": value} for value in values] for values in (ours, [0.4, 0.6])]
    found = page.difference(*runs, "x")
    assert found.value == pytest.approx(value)
    assert found.apart is apart
