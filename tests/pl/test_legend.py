"""Legends: whole names if possible, and at least half of the picture for the points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from umapcore import pl

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

LONG = "a long name of a cell type, number"


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    mpl.use("agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def _of(n_groups: int, name: str) -> AnnData:
    n = max(2 * n_groups, 50)
    names = [f"{name} {i % n_groups}" for i in range(n)]
    points = np.random.default_rng(0).normal(size=(n, 2))
    points[:2] = [[-4, -4], [4, 4]]
    obs = pd.DataFrame({"g": names, "v": np.arange(n)}, index=map(str, range(n)))
    return AnnData(obs=obs, obsm={"X_umap": points})


def _shares(ax: Axes) -> tuple[float, float]:
    """Shares of the points and of the legend in the figure's width; the legend is inside."""
    figure = ax.figure
    figure.draw_without_rendering()
    box, whole = ax.get_legend().get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1 + 1
    assert whole.y0 - 1 <= box.y0 < box.y1 <= whole.y1 + 1
    return ax.get_window_extent().width / whole.width, box.width / whole.width


@pytest.mark.parametrize(
    ("n_groups", "name"),
    [(5, 2 * LONG), (30, LONG), (80, "T"), (80, LONG), (150, "T"), (150, 2 * LONG)],
)
def test_points_have_half_of_the_width(n_groups: int, name: str) -> None:
    ax = pl.umap(_of(n_groups, name), color="g")
    points, legend = _shares(ax)
    assert points > 0.45
    assert legend < 0.5
    assert ax.figure.get_figwidth() < 12
    written = [" ".join(text.get_text().split()) for text in ax.get_legend().get_texts()]
    assert written == [f"{name} {i}" for i in range(n_groups)], "whole names"
    assert ax.get_legend().get_texts()[0].get_fontsize() >= 4.5


def test_more_names_than_there_is_room_for() -> None:
    ax = pl.umap(_of(600, LONG), color="g")
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(texts) == 600
    assert len(set(texts)) == 600, "cut in the middle, they still differ"
    ax = pl.umap(_of(5000, LONG), color="g")
    assert _shares(ax)[0] > 0.45
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[-1] == f"… and {5000 - len(texts) + 1:,} more"


def test_in_given_axes() -> None:
    ax = Figure(figsize=(6, 5), layout="constrained").add_subplot()
    pl.umap(_of(80, LONG), color="g", ax=ax)
    assert _shares(ax)[0] > 0.45


def test_several_panels() -> None:
    adata = _of(150, LONG)
    axes = pl.umap(adata, color=["g", "v", "g", "v"])
    figure = axes[0].figure
    assert figure.get_figwidth() < 20
    figure.draw_without_rendering()
    for ax in (axes[0], axes[2]):
        assert ax.get_legend().get_window_extent().width < 1.1 * ax.bbox.width
    assert len(pl.umap(adata, color=["v"] * 4)[0].figure.axes) == 4
    wide = pl.umap(adata, color=["g", "g"], ncols=1)
    assert wide[0].get_position().x0 == pytest.approx(wide[1].get_position().x0)


def test_a_chosen_size_of_letters_stays() -> None:
    ax = pl.umap(_of(60, LONG), color="g", legend_fontsize=9, legend_fontweight="bold")
    assert {text.get_fontsize() for text in ax.get_legend().get_texts()} == {9}
    assert {text.get_fontweight() for text in ax.get_legend().get_texts()} == {"bold"}
    assert _shares(ax)[0] > 0.45


def test_long_titles_are_wrapped() -> None:
    adata = _of(3, "T")
    adata.obs[LONG * 3] = adata.obs["v"]
    ax, _ = pl.umap(adata, color=[LONG * 3, "v"])
    assert "\n" in ax.get_title()
    assert ax.get_title().replace("\n", " ") == LONG * 3
