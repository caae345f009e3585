"""What other programs write into uns: dictionaries of modalities, arrays of one, bytes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import umapcore as uc
from tests.support.anndatas import assert_equal_contents, contents, islands, sheet
from umapcore.anndata_io.read import read_distances, read_neighbors, read_representation

if TYPE_CHECKING:
    from anndata import AnnData


def as_r_writes(value: Any) -> Any:
    """Wrap every text and number in an array of one; numbers become doubles."""
    if isinstance(value, dict):
        return {key: as_r_writes(inner) for key, inner in value.items()}
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    return np.array([float(value) if isinstance(value, int) else value])


@pytest.mark.parametrize(
    "params",
    [
        {"use_rep": {"rna": "X_pca", "prot": "X_pca"}, "n_pcs": {"rna": -1, "prot": -1}},
        {"use_rep": ["X_pca", "X_lsi"]},
        {"use_rep": np.array(["X_pca", "X_lsi"])},
        {"use_rep": "X_pca", "n_pcs": [20, 30]},
        {"use_rep": 3},
    ],
)
def test_no_single_representation(params: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Components are then placed as if there were none; nothing fails."""
    adata = islands()
    adata.uns["neighbors"]["params"] |= params | {"metric": {"rna": "cosine"}, "method": ["a", "b"]}
    before = contents(adata)
    with caplog.at_level(logging.INFO, "umapcore"):
        uc.tl.umap(adata, maxiter=5)
    assert "no representation to place the graph's components by: " in caplog.text
    assert uc.verify(adata)
    bare = islands()
    del bare.obsm["X_pca"]
    uc.tl.umap(bare, maxiter=5)
    np.testing.assert_array_equal(adata.obsm["X_umap"], bare.obsm["X_umap"])
    del adata.obsm["X_umap"], adata.uns["umap"]
    assert_equal_contents(before, contents(adata))


@pytest.mark.parametrize(
    ("params", "columns"),
    [
        ({"use_rep": np.array(["X_pca"]), "n_pcs": np.array([5.0])}, 5),
        ({"use_rep": [b"X_pca"], "n_pcs": -1}, 8),
        ({"use_rep": "None", "n_pcs": np.nan}, 8),
        ({"use_rep": "", "n_pcs": np.array([])}, 8),
    ],
)
def test_one_representation(params: dict[str, Any], columns: int) -> None:
    adata = sheet(30)
    expected = adata.obsm["X_pca"][:, :columns]
    np.testing.assert_array_equal(read_representation(adata, params), expected)


def test_record_of_a_search() -> None:
    adata = sheet(60)
    uc.pp.neighbors(adata, 7, n_pcs=3, metric="minkowski", metric_kwds={"p": 3})
    uc.tl.umap(adata, maxiter=5)
    adata.uns["neighbors"] = as_r_writes(adata.uns["neighbors"])
    found = uc.verify(adata, from_coordinates=True)
    assert found, found


def test_representation_that_is_no_matrix_of_numbers() -> None:
    pd = pytest.importorskip("pandas")
    adata = sheet(30)
    adata.obsm["frame"] = pd.DataFrame(
        {"a": np.arange(30.0), "b": pd.array([*range(29), None], dtype="Int64")},
        index=adata.obs_names,
    )
    found = read_representation(adata[:], {"use_rep": "frame"})  # a part of a view
    assert found.dtype == np.float64
    assert np.isnan(found[29, 1])
    assert read_representation(adata[:], {"use_rep": "frame", "n_pcs": 1}).shape == (30, 1)
    adata.obsm["frame"]["b"] = "text"
    assert read_representation(adata, {"use_rep": "frame"}) is None
    adata.obsm["objects"] = np.full((30, 2), "1", dtype=object)
    assert read_representation(adata, {"use_rep": "objects"}) is None


def test_views_of_dask_arrays() -> None:
    dask = pytest.importorskip("dask.array")
    adata = islands()
    expected = adata[:60].copy()
    uc.tl.umap(expected, maxiter=5)
    adata.obsp["connectivities"] = dask.from_array(adata.obsp["connectivities"].toarray())
    adata.obsm["X_pca"] = dask.from_array(adata.obsm["X_pca"])
    found: Any = uc.tl.umap(adata[:60], maxiter=5, copy=True)
    np.testing.assert_array_equal(found.obsm["X_umap"], expected.obsm["X_umap"])


class TestKeys:
    @pytest.mark.parametrize(
        "stored", [np.array(["c"]), [b"c"], np.bytes_(b"c"), np.array("c", dtype=object)]
    )
    def test_forms(self, stored: Any) -> None:
        adata = sheet(30)
        adata.obsp["c"] = adata.obsp["connectivities"] * 2
        adata.uns["neighbors"] |= {"connectivities_key": stored, "distances_key": stored}
        assert read_neighbors(adata, "neighbors")[1] == ".obsp['c']"
        assert read_distances(adata, "neighbors")[1] == ".obsp['c']"

    @pytest.mark.parametrize("stored", [None, "", "None", np.array([], dtype=object)])
    def test_none_is_as_if_absent(self, stored: Any) -> None:
        adata = sheet(30)
        adata.uns["neighbors"]["connectivities_key"] = stored
        assert read_neighbors(adata, "neighbors")[1] == ".obsp['connectivities']"

    @pytest.mark.parametrize("stored", [{"rna": "c"}, ["c", "d"], 3])
    def test_errors(self, stored: Any) -> None:
        adata = sheet(30)
        adata.uns["neighbors"] |= {"connectivities_key": stored, "distances_key": stored}
        for what, read in (("connectivities", read_neighbors), ("distances", read_distances)):
            message = rf"\.uns\['neighbors'\]\['{what}_key'\]=.* has type .* the name of the {what}"
            with pytest.raises(TypeError, match=message):
                read(adata, "neighbors")


class TestIngest:
    @pytest.fixture
    def ref(self) -> AnnData:
        adata = sheet()
        uc.pp.neighbors(adata, 10, n_pcs=5)
        uc.tl.umap(adata, maxiter=5)
        adata.uns["group_colors"] = np.array(["#ff0000", "#00ff00", "#0000ff"])
        return adata

    def place(self, ref: AnnData, **options: Any) -> Any:
        new = ref[:20].copy()
        del new.obs["group"], new.obsm["X_umap"]
        uc.tl.ingest(new, ref, obs="group", maxiter=5, **options)
        return new

    def test_arrays_of_one(self, ref: AnnData) -> None:
        expected = self.place(ref)
        ref.uns["pca"] = "not a dictionary"
        for key in ("neighbors", "umap"):
            ref.uns[key] = as_r_writes(dict(ref.uns[key]))
        found = self.place(ref)
        np.testing.assert_array_equal(found.obsm["X_umap"], expected.obsm["X_umap"])
        assert found.uns["umap"] == expected.uns["umap"]

    @pytest.mark.parametrize(
        ("name", "stored", "way_out"),
        [
            ("use_rep", {"rna": "X_pca"}, {"use_rep": "X_pca"}),
            ("n_pcs", [5, 6], {"use_rep": "X_pca"}),
            ("n_neighbors", {"rna": 5}, {"n_neighbors": 5}),
            ("n_neighbors", 0, {"n_neighbors": 5}),
            ("metric", ["cosine", "l2"], {"knn": (np.zeros((20, 1), int), np.zeros((20, 1)))}),
            ("metric_kwds", "p=3", {"knn": (np.zeros((20, 1), int), np.zeros((20, 1)))}),
        ],
    )
    def test_errors(self, ref: AnnData, name: str, stored: Any, way_out: dict[str, Any]) -> None:
        ref.uns["neighbors"]["params"][name] = stored
        message = rf"adata_ref\.uns\['neighbors'\]\['params'\]\['{name}'\]="
        with pytest.raises((TypeError, ValueError), match=message):
            self.place(ref)
        self.place(ref, **way_out)

    @pytest.mark.parametrize("a", ["much", np.nan, {"x": 1.0}, None])
    def test_curve(self, ref: AnnData, a: Any) -> None:
        ref.uns["umap"]["params"]["a"] = a
        with pytest.raises(ValueError, match=r"\.uns\['umap'\] does not have the a and b"):
            self.place(ref)


class TestVerify:
    @pytest.mark.parametrize("options", [{}, {"init_pos": "X_pca", "density_weight": 1.0}])
    def test_arrays_of_one(self, options: dict[str, Any]) -> None:
        adata = islands()
        uc.pp.neighbors(adata, 10)
        uc.tl.umap(adata, maxiter=8, random_state=3, min_dist=0.25, **options)
        for key in ("umap", "neighbors"):
            adata.uns[key] = as_r_writes(dict(adata.uns[key]))
        found = uc.verify(adata)
        assert found
        assert found.spec_differs == ()

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("epochs", "many", "damaged: TypeError: epochs='many'"),
            ("umapcore", ["0.1", "0.2"], "damaged: TypeError: umapcore="),
            ("graph", {"neighbors_key": "neighbors", "digest": 3}, "damaged: TypeError: digest=3"),
            ("spec", "none", "damaged"),
        ],
    )
    def test_damaged(self, name: str, value: Any, message: str) -> None:
        adata = sheet(30)
        uc.tl.umap(adata, maxiter=2)
        adata.uns["umap"]["provenance"][name] = value
        with pytest.raises(ValueError, match=message):
            uc.verify(adata)


@pytest.mark.parametrize("stored", [np.array([["red"], ["lime"], ["blue"]]), [b"red", "lime", "b"]])
def test_colours(stored: Any) -> None:
    colors = pytest.importorskip("matplotlib.colors")
    pytest.importorskip("matplotlib").use("agg")
    adata = sheet(30)
    uc.tl.umap(adata, maxiter=2)
    adata.uns["group_colors"] = stored
    axes: Any = uc.pl.umap(adata, color="group")
    marks = axes.get_legend().legend_handles
    assert [colors.to_hex(mark.get_color()) for mark in marks] == ["#ff0000", "#00ff00", "#0000ff"]


def test_numpy_integers() -> None:
    """Every parameter that is an integer takes NumPy's, and writes Python's."""
    adata, plain = sheet(), sheet()
    whole = {"maxiter": 8, "n_components": 2, "negative_sample_rate": 3, "random_state": 3}
    uc.pp.neighbors(plain, 9, 5, random_state=3)
    uc.tl.umap(plain, snapshots=4, callback_every=2, callback=lambda *_: None, **whole)
    uc.pp.neighbors(adata, np.uint8(9), np.int64(5), random_state=np.int64(3))
    of_numpy: dict[str, Any] = {name: np.int64(value) for name, value in whole.items()}
    uc.tl.umap(
        adata,
        snapshots=np.int64(4),
        callback_every=np.int16(2),
        callback=lambda *_: None,
        progress=np.False_,
        **of_numpy,
    )
    assert_equal_contents(contents(adata), contents(plain))
    assert type(adata.uns["neighbors"]["params"]["n_neighbors"]) is int
    assert uc.verify(adata, progress=np.False_)
    new = adata[:10].copy()
    uc.tl.ingest(new, adata, n_neighbors=np.int64(5), maxiter=np.int64(3), progress=np.False_)
