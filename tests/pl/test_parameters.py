"""Parameters of plots: all that scanpy's ``sc.pl.umap`` takes, and clear words for the rest."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from umapcore import pl

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

import matplotlib as mpl
from cycler import cycler
from matplotlib import colors as mc
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

N = 60
RGB = ["#ff0000", "#00ff00", "#0000ff"]


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    mpl.use("agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def adata() -> AnnData:
    rng = np.random.default_rng(0)
    made = AnnData(
        X=rng.random((N, 2)).astype(np.float32),
        obs=pd.DataFrame(
            {
                "g": pd.Categorical(np.array(["b", "a", "c"])[np.arange(N) % 3]),
                "i": pd.Categorical(np.arange(N) % 3),
                "v": np.linspace(-1.0, 2.0, N),
                "early": np.arange(N) < 20,
            },
            index=[f"cell{i}" for i in range(N)],
        ),
        var=pd.DataFrame({"symbol": ["one", "two"]}, index=["E1", "E2"]),
        obsm={"X_umap": rng.normal(size=(N, 2)), "X_four": rng.normal(size=(N, 4))},
    )
    ring = sp.coo_array((np.ones(N), (np.arange(N), (np.arange(N) + 1) % N)), shape=(N, N))
    made.obsp["connectivities"] = (ring + ring.T).tocsr()
    made.uns["neighbors"] = {"connectivities_key": "connectivities", "params": {"method": "umap"}}
    return made


def _ax(**options: Any) -> Axes:
    return Figure(figsize=(6, 5), layout="constrained").add_subplot(**options)


def _marks(ax: Axes) -> list[str]:
    return [to_hex(mark.get_color(), keep_alpha=True) for mark in ax.get_legend().legend_handles]


def _names(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_all_parameters_of_scanpy_are_known(adata: AnnData) -> None:
    """With scanpy's own defaults, those that umapcore leaves out among them."""
    scanpy = pytest.importorskip("scanpy", reason="scanpy is not installed")
    known = inspect.signature(scanpy.pl.umap).parameters
    defaults = {
        name: each.default for name, each in known.items() if name not in {"adata", "kwargs"}
    }
    assert pl.umap(adata, **defaults | {"color": "g"}).get_title() == "g"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"legend_locc": "best"}, "no parameter 'legend_locc'. Did you mean 'legend_loc'"),
        ({"colour": "g"}, "Did you mean 'color'"),
        ({"arrows": True}, "scvelo"),
        ({"scale_factor": 2.0}, "size="),
        ({"c": "g"}, "color="),
        ({"color_map": "magma", "cmap": "viridis"}, "same parameter"),
        ({"components": (0, 1), "dimensions": (0, 1)}, "give one of the two"),
        ({"dims": 3, "projection": "2d"}, "contradict"),
        ({"legend_loc": "on data export"}, "use 'on data'"),
        ({"legend_loc": "upper rigt"}, "Did you mean 'upper right'"),
        ({"legend_fontsize": "tiny"}, "legend_fontsize='tiny'"),
        ({"legend_fontweight": "blod"}, "Did you mean 'bold'"),
        ({"legend_fontoutline": -1}, "legend_fontoutline=-1"),
        ({"colorbar_loc": "middle"}, "right, left, top, bottom"),
        ({"palette": cycler(marker=["o"])}, "key 'color'"),
        ({"palette": 3}, "palette=3"),
        ({"color": "v", "vmin": 3, "vmax": 1}, "vmin=3"),
        ({"color": "v", "vmax": [1, 2]}, "one for each panel, 1"),
        ({"color": "v", "vmin": lambda _: "low"}, "returns a finite number"),
        ({"color": "v", "vcenter": 5, "vmax": 4}, "vcenter=5"),
        ({"color": "v", "norm": 3}, "norm=3"),
        ({"color": "v", "norm": mc.Normalize(), "vmin": 1}, "exclude each other"),
        ({"size": [1, 2]}, "60 of them"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"marker": "nose"}, "marker='nose'"),
        ({"raster": True, "size": 3}, "leave out size"),
        ({"mask_obs": "erly"}, "Did you mean 'early'"),
        ({"mask_obs": [True]}, "60 truth values"),
        ({"groups": ["d"]}, "names of groups"),
        ({"edges": True, "neighbors_key": "none"}, "'none'"),
        ({"add_outline": True, "outline_width": 0.3}, "outline_width="),
        ({"add_outline": True, "basis": "four", "dims": 3}, "two dimensions|three dimensions"),
        ({"basis": "four", "components": "1,5"}, "components='1,5'"),
        ({"basis": "four", "components": "1,2", "dims": 3}, "components='1,2'"),
        ({"basis": "four", "components": "all", "color": ["g"] * 40}, "240 panels are too many"),
        ({"basis": "four", "dimensions": [(0, 1), (0, 4)]}, "dimensions="),
        ({"frameon": 1}, "frameon=1"),
        ({"wspace": -1}, "wspace=-1"),
        ({"save": "umap.xyz"}, "ends in one of"),
        ({"save": "no/such/umap.png"}, "a folder that exists"),
        ({"ax": "left"}, "ax='left'"),
    ],
)
def test_bad_values(adata: AnnData, options: dict[str, Any], message: str) -> None:
    import matplotlib.pyplot as plt

    with pytest.raises((ValueError, TypeError), match=message):
        pl.umap(adata, **({"color": "g"} | options))
    assert not plt.get_fignums(), "no empty figure is left"


@pytest.mark.parametrize(
    "palette",
    [
        RGB,
        tuple(RGB),
        ["r", "lime", "b"],
        [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
        np.eye(3),
        np.array(RGB),
        np.array([b"red", b"lime", b"blue"]),
        cycler(color=["r", "lime", "b"]),
        mc.ListedColormap(RGB),
        {"a": "r", "b": (0, 1, 0), "c": "b", "other": "k"},
        pd.Series(RGB),
        pd.Series(RGB, index=list("abc")),
    ],
)
def test_palettes(adata: AnnData, palette: Any) -> None:
    assert _marks(pl.umap(adata, color="g", palette=palette)) == [f"{each}ff" for each in RGB]
    adata.uns["g_colors"] = palette
    if not isinstance(palette, mc.Colormap) and not hasattr(palette, "by_key"):
        assert _marks(pl.umap(adata, color="g")) == [f"{each}ff" for each in RGB]


def test_palettes_of_other_groups(adata: AnnData, caplog: pytest.LogCaptureFixture) -> None:
    by_number = {0: "r", 1: "lime", 2: "b"}
    assert _marks(pl.umap(adata, color="i", palette=by_number))[1] == "#00ff00ff"
    faint = pl.umap(adata, color="g", palette=["r", "g", (0, 0, 1, 0.5)], alpha=0.5)
    assert _marks(faint)[2] == "#0000ff80"
    assert set(np.round(faint.collections[0].get_alpha(), 2)) == {0.5, 0.25}
    caplog.set_level("WARNING", "umapcore")
    assert _marks(pl.umap(adata, color="g", palette=["r", "b"]))[2] == "#ff0000ff"
    assert "2 colours for 3 categories" in caplog.text
    adata.obs["one"] = "x"
    adata.uns["one_colors"] = "#123456"  # as arrays of one come back from some files
    assert _marks(pl.umap(adata, color="one")) == ["#123456ff"]


def test_names_are_written_as_they_are(adata: AnnData) -> None:
    names = ["Ba$$in", "$US$", "_x_$a_b$"]
    adata.obs["$g$"] = adata.obs["g"].cat.rename_categories(names)
    adata.obs["$v^{$"] = adata.obs["v"]
    adata.obsm["X_$m$"] = adata.obsm["X_umap"]
    axes = pl.umap(adata, color=["$g$", "$v^{$"], basis="$m$")
    assert _names(axes[0]) == names, "also one that begins with '_'"
    pl.umap(adata, color="$g$", legend_loc="best", title="$\\foo$", ax=_ax())
    for figure in (axes[0].figure, axes[1].figure):
        figure.draw_without_rendering()
        for text in figure.findobj(Text):
            assert "$" not in text.get_text() or not text.get_parse_math()


def test_places_of_legends(adata: AnnData) -> None:
    for place in ("best", "upper right", "center", "lower left"):
        ax = pl.umap(adata, color="g", legend_loc=place, legend_fontsize=6, legend_fontweight=300)
        ax.figure.draw_without_rendering()
        box = ax.get_legend().get_window_extent()
        assert ax.bbox.x0 - 1 <= box.x0 < box.x1 <= ax.bbox.x1 + 1
        assert ax.get_legend().get_texts()[0].get_fontsize() == 6
    assert pl.umap(adata, color="g", legend_loc="none").get_legend() is None


def test_missing_in_the_legend(adata: AnnData) -> None:
    options = {"color": "g", "groups": "a", "na_color": (1.0, 0.0, 0.0, 0.5)}
    ax = pl.umap(adata, **options)
    assert _names(ax) == ["a", "other"]
    assert _marks(ax)[1] == "#ff000080"
    assert _names(pl.umap(adata, **options, na_in_legend=False)) == ["a"]


def test_groups_of_one_of_several_columns(adata: AnnData) -> None:
    axes = pl.umap(adata, color=["g", "i", "v"], groups=["a"])
    assert _names(axes[0]) == ["a", "other"]
    assert _names(axes[1]) == ["other"]


@pytest.mark.parametrize("mask", ["early", np.arange(N) < 20, [i < 20 for i in range(N)]])
def test_masks(adata: AnnData, mask: Any) -> None:
    axes = pl.umap(adata, color=["g", "v", None], mask_obs=mask)
    assert _names(axes[0]) == ["a", "b", "c", "other"]
    assert axes[1].collections[-1].get_clim() == (-1.0, adata.obs["v"].iloc[19])
    for ax in axes:
        assert [len(each.get_offsets()) for each in ax.collections] == [40, 20]


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({"vmin": [0, "p50"], "vmax": [1, None]}, [(0, 1), (0.5, 2)]),
        ({"vmax": np.array([1.0, 2.0])}, [(-1, 1), (-1, 2)]),
        ({"vmin": lambda values: values.mean()}, [(0.5, 2), (0.5, 2)]),
        # A colour bar takes half a unit to both sides of a single value.
        ({"vmin": 5}, [(4.5, 5.5), (4.5, 5.5)]),
        ({"vmax": -5, "vmin": "p10"}, [(-5.5, -4.5), (-5.5, -4.5)]),
        ({"vcenter": 0}, [(-1, 2), (-1, 2)]),
        ({"vcenter": -2}, [(-6, 2), (-6, 2)]),
        ({"norm": [mc.Normalize(0, 1), None]}, [(0, 1), (-1, 2)]),
        ({"norm": mc.CenteredNorm(0.0)}, [(-2, 2), (-2, 2)]),
    ],
)
def test_limits(adata: AnnData, options: dict[str, Any], limits: list[Any]) -> None:
    axes = pl.umap(adata, color=["v", "v"], **options)
    axes[0].figure.draw_without_rendering()
    assert [ax.collections[-1].get_clim() for ax in axes] == [pytest.approx(e) for e in limits]


def test_colours_of_numbers(adata: AnnData) -> None:
    """Beyond the ends, where a colour map has colours of its own; what a norm cannot take."""
    cmap = mpl.colormaps["magma"].with_extremes(under="#00ff00")
    norm = mc.LogNorm()
    for options, odd in (({"cmap": cmap, "vmin": 0.5}, "#00ff00"), ({"norm": norm}, "#ff0000")):
        ax = pl.umap(adata, color="v", na_color="red", **options)
        ax.figure.draw_without_rendering()
        drawn = {to_hex(face) for face in ax.collections[-1].get_facecolors()}
        assert odd in drawn
        assert len(drawn) > 20
    assert norm.vmin is None, "the caller's own norm stays as it was"
    assert cmap.get_bad()[3] == 0


def test_columns(adata: AnnData) -> None:
    def drawn(**options: Any) -> list[tuple[str, str, str]]:
        axes = pl.umap(adata, basis="four", **options)
        axes = axes if isinstance(axes, list) else [axes]
        return [(ax.get_title(), ax.get_xlabel()[-1], ax.get_ylabel()[-1]) for ax in axes]

    assert drawn(components="1,3") == [("", "1", "3")]
    assert drawn(components=np.array([0, 2])) == [("", "1", "3")]
    assert len(drawn(components="all")) == 6
    both = [("g", "1", "2"), ("g", "3", "4"), ("v", "1", "2"), ("v", "3", "4")]
    assert drawn(components=["1,2", "3,4"], color=["g", "v"]) == both
    assert drawn(dimensions=[(0, 1), (2, 3)], color=["g", "v"]) == [both[0], both[3]]
    assert drawn(dimensions=[(0, 1), (2, 3)], color="g") == both[:2]
    assert pl.umap(adata, basis="four", projection="3d", components="2,3,4").get_zlabel()[-1] == "4"


def test_one_size_and_opacity_for_each_point(adata: AnnData) -> None:
    sizes, alphas = np.arange(1.0, N + 1), np.linspace(0, 1, N)
    adata.obs.loc["cell3", "g"] = np.nan
    ax = pl.umap(
        adata, color="g", s=pd.Series(sizes), alpha=alphas, marker="s", lw=2, edgecolor="k"
    )
    ax.figure.draw_without_rendering()
    for drawn in ax.collections:
        for place, size, face in zip(
            drawn.get_offsets(), drawn.get_sizes(), drawn.get_facecolors(), strict=True
        ):
            cell = int(np.flatnonzero((adata.obsm["X_umap"] == place).all(axis=1))[0])
            assert size == sizes[cell]
            assert face[3] == pytest.approx(alphas[cell])
        assert drawn.get_linewidths() == [2]


def test_markers(adata: AnnData) -> None:
    square, cross = pl.umap(adata, color=["g", "v"], marker=["s", "x"], size=20)
    assert square.get_legend().legend_handles[0].get_marker() == "s"
    assert square.collections[0].get_linewidths() == [0]
    assert cross.collections[0].get_linewidths() == [1], "it is nothing but lines"


def test_outlines(adata: AnnData) -> None:
    ax = pl.umap(adata, color="g", add_outline=True, outline_width=(0.5, 0.25), size=4.0)
    border, gap, points = ax.collections
    assert [float(np.sqrt(each.get_sizes()[0])) for each in ax.collections] == [5.0, 3.0, 2.0]
    assert [to_hex(each.get_facecolor()[0]) for each in (border, gap)] == ["#000000", "#ffffff"]
    assert border.get_zorder() < gap.get_zorder() < points.get_zorder()


@pytest.mark.parametrize("dims", [2, 3])
def test_edges(adata: AnnData, dims: Any) -> None:
    ax = pl.umap(adata, basis="four", dims=dims, edges=True, edges_color=(1, 0, 0, 0.5))
    lines = ax.collections[0]
    ax.figure.draw_without_rendering()
    ends = [path.vertices for path in lines.get_paths()]
    assert sum(map(len, ends)) == 2 * N
    assert lines.get_zorder() < ax.collections[1].get_zorder() or dims == 3
    assert to_hex(lines.get_edgecolor()[0], keep_alpha=True) == "#ff000080"
    if dims == 2:
        first = adata.obsm["X_four"][:, :2]
        for start, end in ((0, 1), (0, N - 1)):
            pair = np.concatenate([first[start], first[end]])
            assert (np.concatenate(ends).reshape(-1, 4) == pair).all(axis=1).any()


def test_too_many_edges(adata: AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umapcore.pl.edges._MOST", 20)
    with pytest.raises(ValueError, match=r"the 60 edges of .*at most 20"):
        pl.umap(adata, edges=True)


def test_frames(adata: AnnData) -> None:
    assert pl.umap(adata, frameon=True).spines["top"].get_visible()
    assert pl.umap(adata, frameon=False).axison is False
    usual = pl.umap(adata)
    assert usual.axison
    assert not usual.spines["top"].get_visible()


@pytest.mark.parametrize("place", ["right", "left", "top", "bottom", None])
def test_places_of_colour_bars(adata: AnnData, place: Any) -> None:
    ax = pl.umap(adata, color="v", colorbar_loc=place)
    ax.figure.draw_without_rendering()
    bars = ax.child_axes
    assert len(bars) == (place is not None)
    for bar in bars:
        box, points, whole = bar.get_tightbbox(), ax.bbox, ax.figure.bbox
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        outside = {
            "right": box.x1 > points.x1,
            "left": box.x0 < points.x0,
            "top": box.y1 > points.y1,
            "bottom": box.y0 < points.y0,
        }
        assert outside[place]


def test_a_colour_bar_in_a_figure_without_layout(adata: AnnData) -> None:
    ax = Figure(figsize=(4, 4)).add_subplot()
    ax.set_position((0, 0, 1, 1))
    pl.umap(adata, color="v", ax=ax)
    assert ax.figure.axes[1].get_tightbbox().x1 < ax.figure.bbox.x1


def test_spaces_between_panels(adata: AnnData) -> None:
    def gaps(**spaces: float) -> tuple[float, float]:
        axes = pl.umap(adata, color=["v"] * 4, ncols=2, **spaces)
        axes[0].figure.draw_without_rendering()
        first, second, third = (ax.get_window_extent() for ax in axes[:3])
        return (second.x0 - first.x1) / first.width, (first.y0 - third.y1) / first.height

    before, after = gaps(), gaps(wspace=0.5, hspace=0.5)
    assert after[0] - before[0] > 0.3
    assert after[1] - before[1] > 0.3


def test_what_is_returned_shown_and_saved(
    adata: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib.pyplot as plt

    shown: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    monkeypatch.chdir(tmp_path)
    assert pl.umap(adata, show=True) is None
    assert shown == [1]
    assert isinstance(pl.umap(adata, color=["g", "v"], return_fig=True), Figure)
    assert pl.umap(adata, show=False, save="a.png").name == "rectilinear"
    pl.umap(adata, save=tmp_path / "b")
    pl.umap(adata, save=True, ax=_ax())
    assert {each.name for each in tmp_path.iterdir()} == {"a.png", "b.pdf", "umap.pdf"}
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert len(shown) == 1


def test_symbols_of_genes_and_names_in_one_call(adata: AnnData) -> None:
    axes = pl.umap(adata, color=["two", "E1"], gene_symbols="symbol")
    for ax, column in zip(axes, (1, 0), strict=True):
        assert ax.collections[-1].get_clim()[1] == pytest.approx(adata.X[:, column].max())


def test_what_is_no_anndata() -> None:
    with pytest.raises(TypeError, match="adata="):
        pl.umap(np.zeros((3, 2)))
