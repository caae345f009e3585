"""densMAP in whole runs: from an AnnData object, stopped, resumed, verified, from the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.sparse as sp

import umapcore as uc
from tests.support import density_cases, graphs
from umapcore import OptimizerSpec, simplicial_set_embedding
from umapcore.cli import main
from umapcore.demo import load_cells
from umapcore.graph.csr import prepare_graph
from umapcore.layout.density import density_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData

    from umapcore.device.protocol import Backend

SPEC = OptimizerSpec(n_epochs=60, density_weight=2.0)


def assert_same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))


@pytest.fixture
def blobs() -> tuple[sp.csr_array, sp.csr_array]:
    return density_cases.blobs(240)


@pytest.fixture
def adata() -> AnnData:
    graph, distances = density_cases.blobs(240)
    anndata = pytest.importorskip("anndata")
    made: AnnData = anndata.AnnData(np.zeros((240, 1), np.float32))
    made.obsp["connectivities"], made.obsp["distances"] = graph, distances
    made.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"method": "umap"},
    }
    return made


def lay_out(graph: Any, distances: Any, spec: OptimizerSpec = SPEC, **options: Any) -> np.ndarray:
    start = graphs.random_start(graph.shape[0], spec.n_components)
    options = {"init": start, "progress": False} | options
    return simplicial_set_embedding(graph, spec, distances=distances, **options)


def correlation(graph: Any, distances: Any, positions: np.ndarray) -> float:
    """Correlation of the log radii, those of the embedding by the memberships of its points."""
    ready = prepare_graph(graph)
    radii = density_of(ready, distances, OptimizerSpec(n_epochs=500)).radii
    edges = graph.tocoo()
    d2 = ((positions[edges.row].astype(np.float64) - positions[edges.col]) ** 2).sum(axis=1)
    n = positions.shape[0]
    means = np.bincount(edges.row, edges.data * d2, n) / np.bincount(edges.row, edges.data, n)
    return float(np.corrcoef(radii, np.log(1e-8 + means))[0, 1])


def test_densities_are_preserved() -> None:
    graph, distances = density_cases.blobs(900)
    spec = OptimizerSpec(n_epochs=300, min_dist=0.1)
    plain = correlation(graph, distances, lay_out(graph, None, spec))
    kept = correlation(graph, distances, lay_out(graph, distances, spec.replace(density_weight=2)))
    assert kept > 0.8
    assert kept > plain + 0.3


def test_the_real_cells() -> None:
    pytest.importorskip("anndata")
    demo_cells = load_cells()
    uc.pp.neighbors(demo_cells)
    graph, distances = demo_cells.obsp["connectivities"], demo_cells.obsp["distances"]
    found = {}
    for weight in (0.0, 2.0):
        uc.tl.umap(demo_cells, density_weight=weight, maxiter=300)
        found[weight] = correlation(graph, distances, demo_cells.obsm["X_umap"])
    assert found[2.0] > 0.55
    assert found[2.0] > found[0.0] + 0.15


@pytest.fixture
def on_each_backend(open_backend: Callable[[], Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore.layout.embed.resolve_backend", lambda method, **_: open_backend())


@pytest.mark.usefixtures("on_each_backend")
@pytest.mark.parametrize("stop", [10, 42, 43, 59])
def test_stopped_and_continued(blobs: Any, stop: int) -> None:
    whole = lay_out(*blobs)
    half = lay_out(*blobs, stop_epoch=stop)
    rest = lay_out(*blobs, init=half, start_epoch=stop)
    assert_same_bits(rest, whole)


def test_watching_changes_nothing(blobs: Any) -> None:
    whole = lay_out(*blobs)
    snapshots = uc.Snapshots(every=7)
    seen: list[int] = []
    watched = lay_out(
        *blobs,
        snapshots=snapshots,
        callback=lambda epoch, _: seen.append(epoch),
        callback_every=4,
    )
    assert_same_bits(watched, whole)
    assert seen[-1] == 60
    assert_same_bits(np.asarray(snapshots.positions[-1]), whole)


def test_checkpoint_continues_and_knows_its_distances(blobs: Any, tmp_path: Path) -> None:
    graph = blobs[0]
    path = tmp_path / "run.ckpt"
    whole = lay_out(*blobs)
    lay_out(*blobs, checkpoint=path, callback=lambda epoch, _: epoch >= 47)
    assert path.exists()
    with pytest.raises(ValueError, match="its distances are others"):
        lay_out(graph, density_cases.of_graph(graph), checkpoint=path)
    with pytest.raises(ValueError, match=r"density_weight is 2.0 in it and None here"):
        lay_out(graph, None, SPEC.replace(density_weight=0), checkpoint=path)
    assert_same_bits(lay_out(*blobs, checkpoint=path), whole)
    assert not path.exists()


def test_forms_of_distances_do_not_matter(blobs: Any) -> None:
    graph, distances = blobs
    whole = lay_out(*blobs)
    symmetric = sp.csc_array(distances.maximum(distances.T))
    for form in (symmetric, distances.tocoo(), distances.toarray(), sp.csr_matrix(distances)):
        assert_same_bits(lay_out(graph, form), whole)
    # Only what is measured along edges counts, and twice the distances are the same densities.
    assert_same_bits(lay_out(graph, distances + sp.eye_array(240)), whole)
    assert not np.array_equal(whole, lay_out(graph, None, SPEC.replace(density_weight=0)))
    assert not np.array_equal(whole, lay_out(graph, density_cases.of_graph(graph)))


def test_equal_distances_and_isolated_vertices() -> None:
    """umap-learn divides by 0 in both cases."""
    ring = sp.csr_array(graphs.path(40))
    apart = sp.csr_array(sp.block_diag([ring, sp.csr_array((3, 3))]))
    found = lay_out(apart, sp.csr_array(apart > 0).astype(float))
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("distances", "error", "message"),
    [
        (None, ValueError, "density_weight=2 needs distances"),
        (sp.csr_array((239, 239)), ValueError, r"shape \(239, 239\): it must be \(240, 240\)"),
        (sp.csr_array((240, 240)), ValueError, "edges have distance 0, or none at all"),
        (-sp.eye_array(240), ValueError, "240 values that are NaN, infinite or negative"),
        (sp.eye_array(240) * np.nan, ValueError, "240 values that are NaN"),
        (sp.eye_array(240) * 1j, TypeError, "distances has values of dtype complex128"),
        ("distances", TypeError, "distances"),
    ],
    ids=str,
)
def test_bad_distances(blobs: Any, distances: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lay_out(blobs[0], distances)


@pytest.mark.parametrize("factor", [1e-300, 1e-30, 1e-12, 1e15, 1e30, 1e34])
def test_distances_of_any_scale(
    blobs: Any, factor: float, caplog: pytest.LogCaptureFixture
) -> None:
    graph, distances = blobs
    assert np.isfinite(lay_out(graph, distances * factor)).all()
    # Squares that are nothing beside EPSILON leave no densities, and this is told.
    assert ("the densities of all vertices are equal" in caplog.text) == (factor < 1e-6)


@pytest.mark.parametrize("largest", [1e19, 3.4e38])
def test_one_huge_distance(blobs: Any, largest: float) -> None:
    graph, distances = blobs
    distances = distances.copy()
    distances.data[7] = largest
    assert np.isfinite(lay_out(graph, distances)).all()


@pytest.mark.parametrize("factor", [1e39, 1e154, 1e300, np.longdouble("1e1000")])
def test_distances_beyond_float32(blobs: Any, factor: Any) -> None:
    graph, distances = blobs
    distances = distances.copy()
    distances.data = np.r_[distances.data[:-1], distances.data[-1:] * factor]
    with pytest.raises(ValueError, match=r"distances has 1 values .* beyond float32"):
        lay_out(graph, distances)


def test_many_missing_distances_are_told(blobs: Any, caplog: pytest.LogCaptureFixture) -> None:
    graph, distances = blobs
    half = distances.copy()
    half.data[: half.indptr[120]] = 0
    half.eliminate_zeros()
    caplog.set_level("WARNING", "umapcore")
    lay_out(*blobs)
    assert not caplog.records
    lay_out(graph, half)
    assert "edges have distance 0, or none at all" in caplog.text


# --- AnnData --------------------------------------------------------------------------------------


def test_of_an_object(adata: AnnData, blobs: Any) -> None:
    uc.tl.umap(adata, density_weight=2.0, maxiter=60, init_pos=graphs.random_start(240, 2))
    assert_same_bits(adata.obsm["X_umap"], lay_out(*blobs))
    made = adata.uns["umap"]["provenance"]
    assert made["spec"]["density_weight"] == 2.0
    assert set(made["density"]) == {"digest"}


def test_plain_layouts_tell_nothing_of_densities(adata: AnnData) -> None:
    del adata.obsp["distances"]
    uc.tl.umap(adata, maxiter=10, density_fraction=0.9)
    made = adata.uns["umap"]["provenance"]
    assert "density" not in made
    assert not [name for name in made["spec"] if name.startswith("density")]


def test_distances_are_found_by_their_key(adata: AnnData) -> None:
    wanted = uc.tl.umap(adata, density_weight=1, maxiter=20, copy=True).obsm["X_umap"]
    adata.obsp["elsewhere"] = adata.obsp["distances"]
    del adata.obsp["distances"]
    before = set(adata.uns)
    with pytest.raises(ValueError, match=r"Did not find .obsp\['distances'\]"):
        uc.tl.umap(adata, density_weight=1, maxiter=20)
    assert set(adata.uns) == before
    assert "X_umap" not in adata.obsm
    adata.uns["neighbors"]["distances_key"] = "elsewhere"
    uc.tl.umap(adata, density_weight=1, maxiter=20)
    assert_same_bits(adata.obsm["X_umap"], wanted)
    adata.obsp["elsewhere"] = adata.obsp["elsewhere"] * 0
    with pytest.raises(ValueError, match=r".obsp\['elsewhere'\]: all of the graph's"):
        uc.tl.umap(adata, density_weight=1, maxiter=20)


def test_verify(adata: AnnData, tmp_path: Path) -> None:
    from anndata import read_h5ad

    uc.tl.umap(adata, density_weight=2.0, maxiter=60)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    stored = read_h5ad(tmp_path / "cells.h5ad")
    assert uc.verify(stored)
    original = stored.obsp["distances"].copy()
    stored.obsp["distances"] = original.multiply(original).tocsr()
    found = uc.verify(stored)
    assert not found
    assert found.distances_changed
    assert "distances between neighbours" in str(found)
    stored.obsp["distances"] = original
    stored.obsp["connectivities"] = stored.obsp["connectivities"] * 0.5
    stored.obsp["connectivities"].data[:5] = 1.0
    found = uc.verify(stored)
    assert found.graph_changed
    assert found.distances_changed is None


def test_the_command(adata: AnnData, tmp_path: Path) -> None:
    from anndata import read_h5ad

    adata.write_h5ad(tmp_path / "in.h5ad")
    out = tmp_path / "out.h5ad"
    said = f"embed {tmp_path / 'in.h5ad'} -o {out} --density-weight 2 --maxiter 40"
    said += " --density-fraction 0.6 --density-shift 0.3"
    assert main(said.split()) == 0
    uc.tl.umap(adata, density_weight=2, density_fraction=0.6, density_shift=0.3, maxiter=40)
    assert_same_bits(read_h5ad(out).obsm["X_umap"], adata.obsm["X_umap"])
