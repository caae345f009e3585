"""Plots: right colours, missing values, palettes, errors by name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from umapcore import pl
from umapcore.pl.palette import COLORS, group_colors
from umapcore.pl.style import NA_COLOR, Style

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _ax() -> Axes:
    return Figure(figsize=(6, 5), layout="constrained").add_subplot()


@pytest.fixture
def adata() -> AnnData:
    rng = np.random.default_rng(3)
    n = 90
    group = np.repeat(["apple", "pear", "a long name of a group"], n // 3)
    made = AnnData(
        X=rng.random((n, 2)).astype(np.float32),
        obs=pd.DataFrame(
            {
                "group": pd.Categorical(
                    group, categories=["pear", "unused", "apple", "a long name of a group"]
                ),
                "text": group,
                "flag": np.arange(n) % 2 == 0,
                "value": np.linspace(-1, 1, n),
                "whole": np.arange(n),
            },
            index=[f"cell{i}" for i in range(n)],
        ),
        var=pd.DataFrame(index=["CD3", "CD19"]),
        obsm={"X_umap": rng.normal(size=(n, 3)).astype(np.float32)},
        layers={"twice": np.full((n, 2), 2.0, dtype=np.float32)},
    )
    made.obsm["X_umap"][:, 0] += 6 * np.repeat([0, 1, 2], n // 3)
    return made


def _drawn_colors(ax: Axes) -> dict[tuple[float, float], str]:
    """Colour of every point in the axes, by its place."""
    ax.figure.draw_without_rendering()
    colors = {}
    for collection in ax.collections:
        places, faces = collection.get_offsets(), collection.get_facecolors()
        faces = np.broadcast_to(faces, (len(places), 4))
        for place, face in zip(places, faces, strict=True):
            colors[float(place[0]), float(place[1])] = to_hex(face)
    return colors


def _color_of(adata: AnnData, ax: Axes, cell: int) -> str:
    x, y = adata.obsm["X_umap"][cell, :2]
    return _drawn_colors(ax)[float(x), float(y)]


def test_returns_the_axes_it_was_given(adata: AnnData) -> None:
    ax = _ax()
    assert pl.umap(adata, ax=ax) is ax
    assert ax.get_xlabel() == "UMAP 1"
    assert ax.get_ylabel() == "UMAP 2"
    assert len(_drawn_colors(ax)) == adata.n_obs


def test_makes_a_figure(adata: AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    ax = pl.umap(adata, color="group")
    assert ax.figure.number in plt.get_fignums()
    plt.close(ax.figure)


def test_groups_have_the_colours_of_their_categories(adata: AnnData) -> None:
    ax = pl.umap(adata, color="group", ax=_ax())
    assert _color_of(adata, ax, 0) == COLORS[2]
    assert _color_of(adata, ax, 40) == COLORS[0]
    assert _color_of(adata, ax, 80) == COLORS[3]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["pear", "apple", "a long name of a group"]
    assert ax.get_title() == "group"


@pytest.mark.parametrize("color", ["text", "flag"])
def test_text_and_truth_values_are_groups(adata: AnnData, color: str) -> None:
    ax = pl.umap(adata, color=color, ax=_ax())
    assert len(ax.get_legend().get_texts()) == adata.obs[color].nunique()


def test_missing_group_is_grey_and_in_the_legend(adata: AnnData) -> None:
    adata.obs.loc["cell0", "group"] = np.nan
    ax = pl.umap(adata, color="group", ax=_ax())
    assert _color_of(adata, ax, 0) == NA_COLOR
    assert ax.get_legend().get_texts()[-1].get_text() == "missing"


def test_numbers_are_on_a_scale(adata: AnnData) -> None:
    import matplotlib as mpl

    ax = pl.umap(adata, color="value", ax=_ax())
    assert _color_of(adata, ax, 0) == to_hex(mpl.colormaps["viridis"](0.0))
    assert _color_of(adata, ax, 89) == to_hex(mpl.colormaps["viridis"](1.0))
    assert ax.get_legend() is None
    assert len(ax.child_axes) == 1


def test_missing_numbers_are_grey(adata: AnnData) -> None:
    adata.obs.loc["cell5", "value"] = np.nan
    adata.obs.loc["cell6", "value"] = np.inf
    ax = pl.umap(adata, color="value", ax=_ax())
    assert _color_of(adata, ax, 5) == NA_COLOR
    assert _color_of(adata, ax, 6) == _color_of(adata, ax, 89), "at the end of the scale"
    assert ax.collections[-1].get_clim() == (-1.0, 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_all_values_alike(adata: AnnData, value: float) -> None:
    adata.obs["value"] = value
    pl.umap(adata, color="value", ax=_ax()).figure.draw_without_rendering()


def test_limits_of_the_scale(adata: AnnData) -> None:
    ax = pl.umap(adata, color="whole", ax=_ax(), vmin=10, vmax=20)
    assert ax.collections[-1].get_clim() == (10, 20)


def test_variables_and_layers(adata: AnnData) -> None:
    ax = pl.umap(adata, color="CD19", ax=_ax())
    assert ax.collections[-1].get_clim() == (adata.X[:, 1].min(), adata.X[:, 1].max())
    ax = pl.umap(adata, color="CD19", layer="twice", ax=_ax())
    assert set(ax.collections[-1].get_array()) == {2.0}


def test_sparse_variables_and_repeated_names(adata: AnnData) -> None:
    adata.layers["sparse"] = sp.csr_array(adata.X)
    ax = pl.umap(adata, color="CD19", layer="sparse", ax=_ax())
    assert ax.collections[-1].get_clim() == (adata.X[:, 1].min(), adata.X[:, 1].max())
    adata.var.index = ["CD3", "CD3"]
    ax = pl.umap(adata, color="CD3", ax=_ax())
    assert ax.collections[-1].get_clim() == (adata.X[:, 0].min(), adata.X[:, 0].max())


def test_no_matrix_to_take_a_variable_from() -> None:
    adata = AnnData(
        var=pd.DataFrame(index=["CD3"]), shape=(4, 1), obsm={"X_umap": np.zeros((4, 2))}
    )
    with pytest.raises(ValueError, match="needs X or a layer"):
        pl.umap(adata, color="CD3")


def test_palettes(adata: AnnData) -> None:
    given = ["#111111", "#222222", "#333333", "#444444"]
    ax = pl.umap(adata, color="group", palette=given, ax=_ax())
    assert _color_of(adata, ax, 0) == "#333333"
    by_name = {"apple": "red", "pear": "blue", "a long name of a group": "black"}
    ax = pl.umap(adata, color="group", palette=by_name, ax=_ax())
    assert _color_of(adata, ax, 0) == to_hex("red")
    adata.uns["group_colors"] = np.array(given)
    ax = pl.umap(adata, color="group", ax=_ax())
    assert _color_of(adata, ax, 40) == "#111111"


def test_nothing_in_adata_changes(adata: AnnData) -> None:
    before = adata.copy()
    pl.umap(adata, color="group", ax=_ax(), legend_loc="on data")
    assert adata.uns.keys() == before.uns.keys()
    np.testing.assert_array_equal(adata.obsm["X_umap"], before.obsm["X_umap"])
    pd.testing.assert_frame_equal(adata.obs, before.obs)


def test_the_same_picture_every_time(adata: AnnData) -> None:
    def offsets() -> np.ndarray:
        return pl.umap(adata, color="text", ax=_ax()).collections[-1].get_offsets()

    np.testing.assert_array_equal(offsets(), offsets())
    order = [np.flatnonzero(adata.obsm["X_umap"][:, 0] == x)[0] for x in offsets()[:, 0]]
    assert order != sorted(order), "groups later in the file would cover earlier ones"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "grup"}, "Did you mean 'group'"),
        ({"color": "CD3", "layer": "twic"}, "Did you mean 'twice'"),
        ({"basis": "X_umpa"}, "Did you mean 'X_umap'"),
        ({"components": (0, 3)}, "components="),
        ({"components": (0,)}, "components="),
        ({"color": "group", "palette": []}, "at least one colour"),
        ({"color": "group", "palette": {"apple": "red"}}, "'pear'"),
        ({"color": "group", "legend_loc": "left"}, "legend_loc='left'"),
    ],
)
def test_bad_values(adata: AnnData, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pl.umap(adata, ax=_ax(), **options)


def test_no_embedding_yet() -> None:
    with pytest.raises(ValueError, match=r"Run `umapcore.tl.umap` first"):
        pl.umap(AnnData(np.zeros((3, 1))))


def test_other_bases_and_components(adata: AnnData) -> None:
    adata.obsm["X_pca"] = np.arange(270.0).reshape(90, 3)
    ax = pl.umap(adata, basis="pca", components=(2, 0), ax=_ax())
    assert ax.get_xlabel() == "PCA 3"
    assert tuple(ax.collections[0].get_offsets()[0]) == (2.0, 0.0)


def test_size_and_alpha_follow_the_number_of_points(adata: AnnData) -> None:
    few = Style.for_points(100, None, None)
    many = Style.for_points(1_000_000, None, None)
    assert few.size > many.size
    assert few.alpha > many.alpha
    assert many.rasterized
    ax = pl.umap(adata, size=7.0, alpha=0.25, ax=_ax())
    assert ax.collections[0].get_sizes()[0] == 7.0
    assert ax.collections[0].get_alpha() == 0.25


def test_without_matplotlib_says_what_to_install(
    adata: AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "umapcore\[plot\]"'):
        pl.umap(adata)


def test_palette_never_repeats() -> None:
    colors = group_colors(150)
    assert len(set(colors)) == 150
    assert group_colors(4) == colors[:4]
    # No group looks like a point without a value or like the paper.
    for color in colors[: len(COLORS)]:
        rgb = np.array(to_rgba(color)[:3])
        assert np.abs(rgb - np.array(to_rgba(NA_COLOR)[:3])).max() > 0.15
