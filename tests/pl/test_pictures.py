"""Plots of other kinds: panels, pixels, three dimensions, raw, dark grounds; scanpy's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from umapcore import pl
from umapcore.pl.palette import COLORS, group_colors
from umapcore.pl.raster import Raster, mean_colors, opacity
from umapcore.pl.style import NA_COLOR, NA_COLOR_ON_DARK
from umapcore.pl.values import read_values

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

import matplotlib as mpl
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    mpl.use("agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def _ax(**options: object) -> Axes:
    return Figure(figsize=(6, 5), layout="constrained").add_subplot(**options)


@pytest.fixture
def adata() -> AnnData:
    rng = np.random.default_rng(3)
    n = 60
    made = AnnData(
        X=rng.random((n, 3)).astype(np.float32),
        obs=pd.DataFrame(
            {
                "group": pd.Categorical(np.repeat(["b", "a", "c"], n // 3)),
                "value": np.linspace(-1, 1, n),
            },
            index=[f"cell{i}" for i in range(n)],
        ),
        var=pd.DataFrame({"symbol": ["one", "two", "three"]}, index=["E1", "E2", "E3"]),
        obsm={"X_umap": rng.normal(size=(n, 2)), "X_space": rng.normal(size=(n, 3))},
    )
    made.raw = AnnData(made.X + 10, obs=made.obs, var=made.var)
    made = made[:, ["E1", "E2"]].copy()
    made.layers["double"] = 2 * made.X
    return made


def test_colours_in_uns_are_honoured_and_left_alone(adata: AnnData) -> None:
    stored = np.array(["#ff0000", "#00ff00", "#0000ff"])
    adata.uns["group_colors"] = stored.copy()
    before = set(adata.uns)
    ax = pl.umap(adata, color="group", ax=_ax())
    marks = [to_hex(mark.get_color()) for mark in ax.get_legend().legend_handles]
    assert marks == list(stored)
    assert set(adata.uns) == before
    np.testing.assert_array_equal(adata.uns["group_colors"], stored)


@pytest.mark.parametrize("stored", [["#ff0000"], ["red", "blue", "no colour"]])
def test_colours_in_uns_that_do_not_fit_are_not_used(adata: AnnData, stored: list[str]) -> None:
    adata.uns["group_colors"] = stored
    ax = pl.umap(adata, color="group", ax=_ax())
    marks = [to_hex(mark.get_color()) for mark in ax.get_legend().legend_handles]
    assert marks == list(COLORS[:3])
    assert adata.uns["group_colors"] == stored


def test_nothing_is_written_to_the_data(adata: AnnData) -> None:
    before = adata.copy()
    pl.umap(adata, color=["group", "value", "E1"])
    assert adata.uns.keys() == before.uns.keys()
    assert adata.obs.equals(before.obs)


def test_palette_by_the_name_of_a_colour_map(adata: AnnData) -> None:
    ax = pl.umap(adata, color="group", palette="tab10", ax=_ax())
    marks = [to_hex(mark.get_color()) for mark in ax.get_legend().legend_handles]
    assert marks == [to_hex(mpl.colormaps["tab10"](i)) for i in range(3)]


def test_variables_are_taken_as_scanpy_does(adata: AnnData) -> None:
    def of(name: str, **options: object) -> float:
        return float(read_values(adata, name, **options).values[0])

    x = float(adata.X[0, 1])
    assert of("E2") == pytest.approx(x + 10), "raw goes first"
    assert of("E2", use_raw=False) == pytest.approx(x)
    assert of("E2", layer="double") == pytest.approx(2 * x)
    assert of("two", gene_symbols="symbol") == pytest.approx(x + 10)
    assert of("E3") == pytest.approx(float(adata.raw.X[0, 2])), "X lacks it"
    adata.var_names = ["F1", "E2"]
    assert of("F1") == pytest.approx(float(adata.X[0, 0])), "raw lacks it"


def test_text_is_sorted_as_people_count() -> None:
    adata = AnnData(obs=pd.DataFrame({"k": ["k10", "k2", "k1"]}, index=list("abc")))
    assert read_values(adata, "k").names == ["k1", "k2", "k10"]
    adata.obs["k"] = pd.Categorical(["k10", "k2", "k1"])
    assert read_values(adata, "k").names == ["k1", "k10", "k2"], "categories have an order"


def test_several_colours_are_several_panels(adata: AnnData) -> None:
    axes = pl.umap(adata, color=["group", None, "value"], ncols=2, title=["A", "B", "C"])
    assert [ax.get_title() for ax in axes] == ["A", "B", "C"]
    assert len({ax.figure for ax in axes}) == 1
    axes[0].figure.draw_without_rendering()
    tops = [round(ax.get_position().y0, 2) for ax in axes]
    assert tops[0] == tops[1] > tops[2]
    one = pl.umap(adata, color=["group"])
    assert len(one) == 1


def test_legends_are_inside_the_figure(adata: AnnData) -> None:
    names = {name: f"{name}, with a name that is long, but not too long" for name in "abc"}
    adata.obs["group"] = adata.obs["group"].cat.rename_categories(names)
    axes = pl.umap(adata, color=["group", "value", "group"])
    figure = axes[0].figure
    figure.draw_without_rendering()
    for ax in (axes[0], axes[2]):
        box = ax.get_legend().get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert box.x0 > ax.bbox.x1 - 1
    # It has taken no room from the axes.
    assert axes[0].bbox.width > 2.5 * figure.dpi


def test_only_some_groups(adata: AnnData) -> None:
    ax = pl.umap(adata, color="group", groups=["a", "c"], ax=_ax())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "c", "other"]
    marks = [to_hex(mark.get_color()) for mark in ax.get_legend().legend_handles]
    assert marks == [COLORS[0], COLORS[2], NA_COLOR], "the colours that they have among all"


def test_percentiles_and_order(adata: AnnData) -> None:
    ax = pl.umap(adata, color="value", vmin="p10", vmax="p90", sort_order=True, ax=_ax())
    assert ax.collections[-1].get_clim() == pytest.approx((-0.8, 0.8))
    drawn = np.asarray(ax.collections[-1].get_array())
    assert (np.diff(drawn) >= 0).all()
    drawn = np.asarray(pl.umap(adata, color="value", ax=_ax()).collections[-1].get_array())
    assert (np.diff(drawn) < 0).any()


def test_dark_ground(adata: AnnData) -> None:
    adata.obs.loc["cell0", "group"] = np.nan
    with mpl.style.context("dark_background"):
        ax = pl.umap(adata, color="group", ax=_ax(), legend_loc="on data")
        assert to_hex(ax.collections[0].get_facecolor()[0]) == NA_COLOR_ON_DARK
        for text in ax.texts:
            assert np.dot(mpl.colors.to_rgb(text.get_color()), [0.21, 0.72, 0.07]) > 0.5
    on_dark = group_colors(len(COLORS), dark=True)
    assert len(set(on_dark)) == len(COLORS)
    assert all(np.dot(mpl.colors.to_rgb(c), [0.21, 0.72, 0.07]) > 0.4 for c in on_dark)


def test_three_dimensions(adata: AnnData) -> None:
    adata.obs.loc["cell0", "group"] = np.nan
    ax = pl.umap(adata, color="group", basis="space")
    assert ax.name == "3d"
    assert ax.get_zlabel() == "space 3"
    assert [len(c.get_offsets()) for c in ax.collections] == [1, 59]
    named = pl.umap(adata, color="group", basis="space", legend_loc="on data")
    assert {text.get_text() for text in named.texts} >= {"a", "b", "c"}
    flat = pl.umap(adata, color="value", basis="space", dims=2)
    assert flat.name == "rectilinear"
    other = pl.umap(adata, basis="space", components=(2, 0), ax=_ax())
    assert other.get_xlabel() == "space 3"
    pl.umap(adata, basis="space", ax=_ax(projection="3d"))


def _many(n: int) -> AnnData:
    rng = np.random.default_rng(0)
    group = np.where(np.arange(n) % 2, "left", "right").astype(object)
    points = rng.normal(size=(n, 2)) + np.where(np.arange(n) % 2, -9, 9)[:, None] * [1, 0]
    group[:100] = None
    obs = pd.DataFrame({"group": pd.Categorical(group), "value": points[:, 1]})
    obs.index = obs.index.astype(str)
    points[5] = np.nan
    return AnnData(obs=obs, obsm={"X_umap": points.astype(np.float32)})


@pytest.mark.parametrize("color", [None, "group", "value"])
def test_many_points_are_counted_in_pixels(
    color: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umapcore.pl.drawing.RASTER_ABOVE", 2000)
    adata = _many(3000)
    ax = pl.umap(adata, color=color, ax=_ax())
    assert not ax.collections
    assert len(ax.images) == (2 if color == "group" else 1), "the missing have one of their own"
    image = np.asarray(ax.images[-1].get_array())
    left, right, bottom, top = ax.images[-1].get_extent()
    assert left < -9 < 9 < right
    assert bottom < 0 < top
    if color == "group":
        for half, shade in ((image[:, : image.shape[1] // 2], 0), (image[:, -50:], 1)):
            drawn = half[half[..., 3] > 0][:, :3]
            assert {to_hex(rgb / 255) for rgb in drawn} == {COLORS[shade]}
    assert not pl.umap(adata, color=color, ax=_ax(), raster=False).images
    assert not pl.umap(adata, color=color, ax=_ax(), size=1.0).images


def test_pixels_have_the_mean_of_their_points() -> None:
    points = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [10.0, 5.0]])
    raster = Raster.over(points, 2.0)
    assert raster.shape[1] == 301
    pixels = raster.pixels(points)
    rgb = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    image = mean_colors(raster, pixels, np.array([0, 0, 1, 1]), rgb)
    assert raster.counts(pixels).sum() == 4
    linear = np.where(image[0, 0, :3] <= 0.04045, 0, ((image[0, 0, :3] + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(linear, [2 / 3, 1 / 3, 0.0], atol=1e-6)
    np.testing.assert_allclose(image[-1, -1, :3], [0.0, 1.0, 0.0], atol=1e-6)
    assert (image[..., 3] > 0).sum() == 2
    assert image[0, 0, 3] > image[-1, -1, 3]


def test_opacity_grows_with_the_number_of_points() -> None:
    counts = np.array([[0.0, 1.0, 2.0, 8.0, 64.0, 64.0]])
    shown = opacity(counts)[0]
    assert shown[0] == 0.0
    assert (np.diff(shown[:5]) > 0).all()
    assert shown[-1] == 1.0
    assert opacity(np.zeros((2, 2))).max() == 0.0


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_pictures_can_be_written(adata: AnnData, kind: str, tmp_path: object) -> None:
    path = f"{tmp_path}/umap.{kind}"
    pl.umap(adata, color=["group", "value"])[0].figure.savefig(path)


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("raster", [False, True])
def test_few_points(adata: AnnData, n: int, raster: bool) -> None:
    few = adata[:n].copy()
    for legend_loc in ("right margin", "on data"):
        axes = pl.umap(few, color=[None, "group", "value"], raster=raster, legend_loc=legend_loc)
        axes[0].figure.draw_without_rendering()


def test_points_that_are_not_finite_are_left_out(adata: AnnData) -> None:
    adata.obsm["X_umap"][3] = np.inf
    ax = pl.umap(adata, color="group", legend_loc="on data")
    assert sum(len(c.get_offsets()) for c in ax.collections) == 59


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "grup"}, "Did you mean 'group'"),
        ({"color": 3}, "color=3"),
        ({"color": []}, "color="),
        ({"color": ["group", "E9"]}, "E9"),
        ({"color": "E1", "use_raw": True, "layer": "double"}, "exclude each other"),
        ({"color": "one", "gene_symbols": "symbl"}, "Did you mean 'symbol'"),
        ({"color": "group", "groups": ["d"]}, "groups="),
        ({"color": "group", "palette": "tba10"}, "Did you mean 'tab10'"),
        ({"color": "group", "palette": ["red", "blue", "nocolour"]}, "nocolour"),
        ({"color": "value", "cmap": "virids"}, "Did you mean 'viridis'"),
        ({"color": "value", "vmin": 2.0, "vmax": 1.0}, "vmin=2.0"),
        ({"color": "value", "vmax": "99"}, "vmax='99'"),
        ({"color": "value", "vmax": np.nan}, "vmax=nan"),
        ({"dims": 3}, "dims=3"),
        ({"dims": 4}, "dims=4"),
        ({"components": (0, 1.5)}, "components="),
        ({"components": "01"}, "components="),
        ({"basis": "space", "dims": 3, "raster": True}, "raster=True"),
        ({"title": ["A", "B"]}, "title="),
        ({"ncols": 0}, "ncols=0"),
    ],
)
def test_bad_values(adata: AnnData, options: dict[str, object], message: str) -> None:
    import matplotlib.pyplot as plt

    with pytest.raises((ValueError, TypeError), match=message):
        pl.umap(adata, **options)
    assert not plt.get_fignums(), "no empty figure is left"


def test_axes_that_do_not_fit(adata: AnnData) -> None:
    with pytest.raises(ValueError, match="2 colors"):
        pl.umap(adata, color=["group", "value"], ax=_ax())
    with pytest.raises(ValueError, match="ax has 2 dimensions"):
        pl.umap(adata, basis="space", dims=3, ax=_ax())


@pytest.mark.filterwarnings("ignore")  # what scanpy and matplotlib say to each other
def test_scanpy_draws_our_embedding() -> None:
    scanpy = pytest.importorskip("scanpy", reason="scanpy is not installed")
    from umapcore import demo, tl

    adata = demo.load_cells()[:300].copy()
    tl.umap(adata, maxiter=5, init_pos="random", n_threads=1)
    ax = scanpy.pl.umap(adata, color="cell_type", show=False)
    assert len(ax.collections[0].get_offsets()) == 300
    tl.umap(adata, maxiter=5, init_pos="random", n_components=3, n_threads=1)
    scanpy.pl.umap(adata, color="cell_type", projection="3d", show=False)
    # The colours that scanpy has stored are those that we draw.
    mine = pl.umap(adata, color="cell_type", dims=2)
    marks = [to_hex(mark.get_color()) for mark in mine.get_legend().legend_handles]
    used = adata.obs["cell_type"].cat.categories.isin(adata.obs["cell_type"].unique())
    expected = np.array([to_hex(c) for c in adata.uns["cell_type_colors"]])[used]
    assert marks == list(expected)
