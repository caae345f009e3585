"""What is found where in an object, and what is said when it is not there."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tests.support.anndatas import assert_equal_contents, contents, put_neighbors, sheet
from umapcore.anndata_io.read import (
    read_distances,
    read_neighbors,
    read_params,
    read_representation,
    read_start,
    start_kind,
)

if TYPE_CHECKING:
    from anndata import AnnData


class TestDistances:
    @pytest.mark.parametrize("key", ["neighbors", "other"])
    def test_found_by_the_key_of_the_entry(self, key: str) -> None:
        adata = sheet(30)
        put_neighbors(adata, adata.obsp["connectivities"], key)
        name = adata.uns[key]["distances_key"]
        adata.obsp[name] = 2 * adata.obsp["connectivities"]
        found, said = read_distances(adata, key)
        assert found is adata.obsp[name]
        assert said == f".obsp[{name!r}]"

    def test_key_that_is_not_said(self) -> None:
        adata = sheet(30)
        adata.obsp["distances"] = adata.obsp["connectivities"].copy()
        adata.uns["other"] = {}
        assert read_distances(adata, "other")[0] is adata.obsp["distances"]

    def test_old_layout(self) -> None:
        adata = sheet(30)
        distances = adata.obsp["connectivities"].copy()
        adata.uns["neighbors"] = {"distances": distances}
        found, said = read_distances(adata, "neighbors")
        assert found is distances
        assert said == ".uns['neighbors']['distances']"

    def test_absent(self) -> None:
        adata = sheet(30)
        adata.obsp["distance"] = adata.obsp["connectivities"]
        said = (
            "Did not find .obsp['distances'], the distances that .uns['neighbors'] names and that "
            "density_weight needs. `pp.neighbors` writes them. Did you mean 'distance'?"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            read_distances(adata, "neighbors")
        with pytest.raises(ValueError, match=r"^Did not find \.uns\['k'\]"):
            read_distances(adata, "k")


@pytest.mark.parametrize(
    ("key", "option"), [("neighbors", ""), ("neighbours", ", key_added='neighbours'")]
)
def test_absent_entry_says_what_makes_it(key: str, option: str) -> None:
    adata = sheet(30)
    adata.uns["neighbor"] = adata.uns.pop("neighbors")
    said = (
        f"Did not find .uns[{key!r}]. Run `pp.neighbors` first. "
        f"`umapcore.pp.neighbors(adata{option})` makes that graph. Did you mean 'neighbor'?"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        read_neighbors(adata, key)


def test_absent_graph_says_who_names_it() -> None:
    adata = sheet(30)
    adata.obsp["connectivity"] = adata.obsp.pop("connectivities")
    said = (
        "Did not find .obsp['connectivities'], the graph that .uns['neighbors'] names. "
        "Run `pp.neighbors` first. Did you mean 'connectivity'?"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        read_neighbors(adata, "neighbors")


@pytest.mark.parametrize("value", [b"cosine", np.str_("cosine"), np.array("cosine"), "cosine"])
def test_parameters_are_plain(value: Any) -> None:
    adata = sheet(30)
    adata.uns["neighbors"]["params"] = {"metric": value, "n_pcs": np.int64(5), "kwds": {"p": 3}}
    params = read_params(adata, "neighbors")
    assert params == {"metric": "cosine", "n_pcs": 5, "kwds": {"p": 3}}
    assert isinstance(params["metric"], str)


def test_parameters_that_nobody_computes_before() -> None:
    dask = pytest.importorskip("dask.array")
    adata = sheet(30)
    adata.uns["neighbors"]["params"] = {"n_pcs": dask.from_array(np.array(4))}
    assert read_params(adata, "neighbors") == {"n_pcs": 4}


@pytest.mark.parametrize("params", [None, 3, [("method", "gauss")]])
def test_parameters_of_another_kind_are_unknown(params: Any) -> None:
    adata = sheet(30)
    adata.uns["neighbors"]["params"] = params
    assert read_neighbors(adata, "neighbors")[2] == {}


def test_warning_names_graph_and_method(caplog: pytest.LogCaptureFixture) -> None:
    adata = sheet(30)
    adata.uns["neighbors"]["params"]["method"] = "gauss"
    read_neighbors(adata, "neighbors")
    assert caplog.messages == [
        ".obsp['connectivities'] was not computed by UMAP's method but by 'gauss'; "
        "it is used as it is"
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint16, bool])
def test_representations_of_numbers(dtype: type) -> None:
    adata = sheet(30)
    adata.obsm["R"] = np.ones((30, 4), dtype)
    assert read_representation(adata, {"use_rep": "R"}) is adata.obsm["R"]


@pytest.mark.parametrize(
    "unfit", [np.ones((30, 2), complex), np.full((30, 2), "a"), np.ones((30, 2, 2))]
)
def test_unfit_representations_are_missing(
    unfit: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    adata = sheet(30)
    adata.obsm["R"] = unfit
    with caplog.at_level(logging.INFO):
        assert read_representation(adata, {"use_rep": "R"}) is None
    assert caplog.messages == ["there is no representation 'R' to place the graph's components by"]


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, pd.DataFrame])
def test_leading_columns_of_any_form(form: Any) -> None:
    adata = sheet(30)
    x = np.random.default_rng(0).random((30, 5))
    held = form(x)
    if form is pd.DataFrame:
        held.index = adata.obs_names
    adata.obsm["R"] = held
    found = read_representation(adata, {"use_rep": "R", "n_pcs": 3})
    dense = found.toarray() if sparse.issparse(found) else np.asarray(found)
    np.testing.assert_array_equal(dense, x[:, :3])


@pytest.mark.parametrize(
    ("init_pos", "kind"),
    [
        (None, ("spectral", "")),
        ("spectral", ("spectral", "")),
        ("random", ("random", "")),
        ("paga", ("paga", "")),
        ("X_pca", ("obsm", "X_pca")),
        (np.zeros((30, 2)), ("array", "")),
    ],
)
def test_kinds_of_starts(init_pos: Any, kind: tuple[str, str]) -> None:
    adata = sheet(30)
    assert start_kind(adata, init_pos) == kind
    adata.obsm["random"] = np.zeros((30, 2))
    assert start_kind(adata, "random") == ("obsm", "random")


class TestStarts:
    def read(self, adata: AnnData, init_pos: Any) -> Any:
        return read_start(adata, init_pos, n_components=2, seed=0)

    def test_one_column_more_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        adata = sheet(30)
        adata.obsm["three"] = adata.obsm["X_pca"][:, :3]
        with caplog.at_level(logging.INFO):
            self.read(adata, "three")
        assert caplog.messages == [
            "start positions: the first 2 of the 3 columns of .obsm['three']"
        ]

    def test_rows_of_a_frame_are_put_in_order(self, caplog: pytest.LogCaptureFixture) -> None:
        adata = sheet(30)
        frame = pd.DataFrame(adata.obsm["X_pca"][:, :2], index=adata.obs_names)
        with caplog.at_level(logging.INFO):
            np.testing.assert_array_equal(self.read(adata, frame), frame.to_numpy())
            assert not caplog.messages
            np.testing.assert_array_equal(self.read(adata, frame[::-1]), frame.to_numpy())
        assert caplog.messages == [
            "init_pos: rows of the data frame are put in the order of .obs_names"
        ]

    def test_names_that_occur_twice(self) -> None:
        adata = sheet(30)
        frame = pd.DataFrame(adata.obsm["X_pca"][:, :2], index=adata.obs_names)
        frame.index = [adata.obs_names[1], *adata.obs_names[1:]]
        with pytest.raises(ValueError, match=r"^init_pos is a data frame whose index differs"):
            self.read(adata, frame)

    def test_unknown_name_lists_what_there_is(self) -> None:
        adata = sheet(30)
        said = (
            "init_pos='sectral' is unknown: init_pos must be one of 'spectral', 'random', 'paga', "
            "a key of .obsm ('X_pca'), an array of shape (30, 2), or None. "
            "Did you mean 'spectral'?"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            self.read(adata, "sectral")
        del adata.obsm["X_pca"]
        with pytest.raises(ValueError, match=r"a key of \.obsm \(which is empty\)"):
            self.read(adata, "x")

    def test_positions_are_checked_under_their_name(self) -> None:
        adata = sheet(30)
        adata.obsm["bad"] = np.full((30, 2), np.nan)
        with pytest.raises(ValueError, match=r"^init_pos: \.obsm\['bad'\] has 30 rows"):
            self.read(adata, "bad")
        with pytest.raises(ValueError, match=r"^init_pos has 30 rows"):
            self.read(adata, adata.obsm["bad"])

    def test_nothing_changes(self) -> None:
        adata = sheet(30)
        adata.obsm["frame"] = pd.DataFrame(adata.obsm["X_pca"], index=adata.obs_names)
        before = contents(adata)
        for init_pos in (None, "spectral", "X_pca", "frame", np.zeros((30, 2))):
            self.read(adata, init_pos)
        assert_equal_contents(before, contents(adata))
