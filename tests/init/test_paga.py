"""The PAGA start: near the groups, as scanpy places vertices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from umapcore.init.paga import positions_from_paga


@pytest.fixture
def obs() -> pd.DataFrame:
    groups = pd.Categorical.from_codes(np.arange(90) % 3, ["x", "y", "z"])
    return pd.DataFrame({"group": groups, "other": "q"})


@pytest.fixture
def paga() -> dict[str, object]:
    """x and y are joined strongly, y and z weakly."""
    weights = np.array([[0, 0.9, 0], [0.9, 0, 0.2], [0, 0.2, 0]])
    return {
        "groups": "group",
        "connectivities": sparse.csr_matrix(weights),
        "pos": np.array([[0.0, 0.0], [4.0, 1.0], [-6.0, 20.0]]),
    }


def test_vertices_fill_boxes_towards_the_strongest_neighbor(
    paga: dict[str, object], obs: pd.DataFrame
) -> None:
    positions = positions_from_paga(paga, obs, n_components=2, seed=0)
    assert positions.shape == (90, 2)
    pos = paga["pos"]
    for group, neighbor in ((0, 1), (1, 0), (2, 1)):
        offsets = positions[group::3] - pos[group]
        box = np.abs(pos[group] - pos[neighbor])
        assert (np.abs(offsets) <= 0.5 * box).all()
        assert (np.ptp(offsets, axis=0) > 0.7 * box).all()  # filled


def test_as_scanpy(paga: dict[str, object], obs: pd.DataFrame) -> None:
    """The same boxes as scanpy's, whose noise is another."""
    utils = pytest.importorskip("scanpy.tools._utils")
    anndata = pytest.importorskip("anndata")
    obs = pd.concat([obs] * 40, ignore_index=True)
    adata = anndata.AnnData(obs=obs.set_index(obs.index.astype(str)), uns={"paga": paga})
    expected = utils.get_init_pos_from_paga(adata, sparse.csr_matrix((3600, 3600)))
    found = positions_from_paga(paga, obs, n_components=2, seed=0)
    for group in range(3):
        for extreme in (np.min, np.max, np.mean):
            np.testing.assert_allclose(
                extreme(found[group::3], axis=0), extreme(expected[group::3], axis=0), atol=0.5
            )


def test_seed(paga: dict[str, object], obs: pd.DataFrame) -> None:
    one, again, other = (
        positions_from_paga(paga, obs, n_components=2, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_fewer_dimensions(paga: dict[str, object], obs: pd.DataFrame) -> None:
    positions = positions_from_paga(paga, obs, n_components=1, seed=0)
    assert positions.shape == (90, 1)
    assert (np.abs(positions[2::3] - -6) <= 5).all()


@pytest.mark.parametrize("d", [3, 6])
def test_more_dimensions(d: int, paga: dict[str, object], obs: pd.DataFrame) -> None:
    """Groups differ on the added axes, too, and vertices stay with their groups."""
    positions = positions_from_paga(paga, obs, n_components=d, seed=0)
    assert positions.shape == (90, d)
    assert np.isfinite(positions).all()
    assert (np.ptp(positions, axis=0) > 0).all()
    middles = np.stack([positions[group::3, 2] for group in range(3)]).mean(axis=1)
    assert np.ptp(middles) > 0.1


def test_a_group_without_connections_gets_a_box_too(
    paga: dict[str, object], obs: pd.DataFrame
) -> None:
    paga["connectivities"] = sparse.csr_matrix((3, 3))
    positions = positions_from_paga(paga, obs, n_components=2, seed=0)
    assert np.unique(positions, axis=0).shape[0] == 90


def test_vertices_without_a_group(paga: dict[str, object], obs: pd.DataFrame) -> None:
    obs.loc[::2, "group"] = np.nan
    positions = positions_from_paga(paga, obs, n_components=2, seed=0)
    assert np.isfinite(positions).all()
    low, high = paga["pos"].min(axis=0), paga["pos"].max(axis=0)
    assert (positions[::2] >= low).all()
    assert (positions[::2] <= high).all()


def test_groups_that_are_not_categorical(paga: dict[str, object], obs: pd.DataFrame) -> None:
    expected = positions_from_paga(paga, obs, n_components=2, seed=0)
    obs["group"] = obs["group"].astype(str)
    found = positions_from_paga(paga, obs, n_components=2, seed=0)
    np.testing.assert_array_equal(found, expected)


def test_as_writers_from_r_store_it(paga: dict[str, Any], obs: pd.DataFrame) -> None:
    expected = positions_from_paga(paga, obs, n_components=2, seed=0)
    paga["groups"] = np.array(["group"])
    paga["pos"] = pd.DataFrame(paga["pos"]).astype(object)
    paga["connectivities"] = paga["connectivities"].toarray()
    found = positions_from_paga(paga, obs, n_components=2, seed=0)
    np.testing.assert_array_equal(found, expected)


def test_one_group(obs: pd.DataFrame) -> None:
    obs["one"] = pd.Categorical(["a"] * 90)
    paga = {"groups": "one", "connectivities": sparse.csr_matrix((1, 1)), "pos": np.zeros((1, 2))}
    positions = positions_from_paga(paga, obs, n_components=3, seed=0)
    assert np.isfinite(positions).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos": None}, r"Plot PAGA first, so that `adata.uns\['paga'\]\['pos'\]` exists"),
        ({"connectivities": None}, r"Did not find .uns\['paga'\]\['connectivities'\]"),
        ({"groups": None}, "Did not find .obs"),
        ({"groups": "grouping"}, r"Did not find .obs\['grouping'\].*mean 'group'"),
        ({"groups": "other"}, r"\(3, 2\).*1 groups"),
        ({"pos": np.zeros((4, 2))}, r"\(4, 2\).*3 groups"),
        ({"pos": np.full((3, 2), np.nan)}, "finite"),
        ({"connectivities": sparse.csr_matrix((4, 4))}, r"\(4, 4\).*3 groups"),
        ({"groups": {"rna": "group"}}, r"\['groups'\]=.* has type dict.*name of a column"),
        ({"groups": np.array([])}, r"Did not find \.obs\[None\]"),
        ({"pos": "nowhere"}, r"\['pos'\]='nowhere' has type str.*real numbers"),
        ({"connectivities": {}}, r"\['connectivities'\]=\{\} has type dict.*real numbers"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: dict[str, object], message: str, paga: dict[str, object], obs: pd.DataFrame
) -> None:
    paga = {key: value for key, value in (paga | change).items() if value is not None}
    with pytest.raises((ValueError, TypeError), match=message):
        positions_from_paga(paga, obs, n_components=2, seed=0)


def test_paga_is_no_dictionary(obs: pd.DataFrame) -> None:
    with pytest.raises(TypeError, match=r"\.uns\['paga'\]='group' has type str"):
        positions_from_paga("group", obs, n_components=2, seed=0)  # type: ignore[arg-type]
