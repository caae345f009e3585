"""Names on the data: apart from each other, at their groups, as plain text, in little work."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from umapcore import pl
from umapcore.pl import labels

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox


def _drawn(points: np.ndarray, names: Sequence[str], **figure: Any) -> Axes:
    """Draw `points` with the name of each one's group on the data, and lay the figure out."""
    adata = AnnData(
        obs=pd.DataFrame({"g": pd.Categorical(names)}, index=[str(i) for i in range(len(points))]),
        obsm={"X_umap": points},
    )
    ax = Figure(**({"figsize": (6, 5), "layout": "constrained"} | figure)).add_subplot(
        projection="3d" if points.shape[1] == 3 else None
    )
    pl.umap(adata, color="g", ax=ax, legend_loc="on data", title="")
    ax.figure.draw_without_rendering()
    return ax


def _blobs(n_groups: int, centres: np.ndarray, each: int = 40) -> tuple[np.ndarray, list[str]]:
    group = np.arange(each * n_groups) % n_groups
    noise = np.random.default_rng(n_groups).normal(size=(len(group), centres.shape[1]))
    return centres[group] + noise, [f"group number {g}" for g in group]


def _assert_apart(texts: Sequence[Text], by: float = 0.0) -> None:
    boxes = [text.get_window_extent().padded(by / 2) for text in texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


def _inside(box: Bbox, ax: Axes, points: np.ndarray) -> np.ndarray:
    """Return which points lie in a box of pixels."""
    pixels = ax.transData.transform(points)
    return np.asarray(((pixels > box.min) & (pixels < box.max)).all(axis=1))


def _line_of(ax: Axes, text: Text) -> np.ndarray | None:
    """Return both ends of the line in the colour of a name, (2, 2), in data coordinates."""
    found = [line for line in ax.lines if line.get_color() == text.get_color()]
    assert len(found) <= 1
    return np.asarray(found[0].get_xydata()) if found else None


@pytest.mark.parametrize("n_groups", [3, 15, 40])
@pytest.mark.parametrize("dims", [2, 3])
def test_labels_do_not_overlap(n_groups: int, dims: int) -> None:
    centres = np.random.default_rng(n_groups).normal(size=(n_groups, dims)) * 3
    ax = _drawn(*_blobs(n_groups, centres))
    texts = [text for text in ax.texts if text.get_text()]
    assert len(texts) == n_groups
    _assert_apart(texts)


@pytest.mark.parametrize("width", [2, 5])
@pytest.mark.parametrize("figure", [{}, {"figsize": (5, 4.4)}, {"dpi": 60}])
def test_each_label_is_at_its_group(width: int, figure: dict[str, Any]) -> None:
    """On or beside its points, or with a line to one of them, and it hides no group."""
    centres = 14.0 * np.stack(np.divmod(np.arange(width**2), width), axis=1)
    points, names = _blobs(width**2, centres)
    ax = _drawn(points, names, **figure)
    assert {text.get_text() for text in ax.texts} == set(names)
    _assert_apart(ax.texts)
    for text in ax.texts:
        own = np.array(names) == text.get_text()
        box = text.get_window_extent()
        room = box.padded(text.get_fontsize() * ax.figure.dpi / 72)
        line = _line_of(ax, text)
        if line is None:
            near = _inside(room, ax, points)
            assert (near & own).sum() > (near & ~own).sum()
        else:
            assert np.abs(points[own] - line[0]).max(axis=1).min() < 1e-6
            assert room.contains(*ax.transData.transform(line[1]))
        assert _inside(box, ax, points[own]).mean() < 0.6
        assert _inside(box, ax, points[~own]).mean() < 0.005


def test_labels_of_groups_at_one_place_are_kept_apart() -> None:
    """Half a letter at least, and a line leads to what lies in the middle."""
    points = np.random.default_rng(0).normal(size=(900, 2))
    ax = _drawn(points, [f"group {g}" for g in np.arange(900) % 3])
    _assert_apart(ax.texts, by=0.5 * ax.texts[0].get_fontsize() * ax.figure.dpi / 72)
    assert ax.lines


def test_a_label_does_not_lie_on_another_group() -> None:
    """A small group within a large one gets a line; the large one needs none."""
    disc = np.random.default_rng(0).normal(size=(20_000, 2))
    disc = disc[np.hypot(*disc.T) < 1.5]
    points = np.concatenate([disc, disc[:60] * 0.03 + [0.6, 0.4]])
    ax = _drawn(points, ["large"] * len(disc) + ["small"] * 60, figsize=(2, 1.6))
    text = {text.get_text(): text for text in ax.texts}
    assert _line_of(ax, text["large"]) is None
    line = _line_of(ax, text["small"])
    assert line is not None
    assert np.abs(line[0] - [0.6, 0.4]).max() < 0.1
    covered = [_inside(text[name].get_window_extent(), ax, disc).sum() for name in text]
    assert min(covered) < 0.2 * max(covered), "only the rim of the other group"


def test_label_of_a_group_in_two_pieces_is_at_one_of_them() -> None:
    points = np.random.default_rng(0).normal(size=(300, 2)) * 0.3
    points[:180, 0] += 20
    ax = _drawn(points, ["x"] * 300)
    assert abs(ax.texts[0].get_position()[0] - 20) < 2


@pytest.mark.parametrize("n", [1, 5])
def test_points_that_coincide(n: int) -> None:
    assert [text.get_text() for text in _drawn(np.zeros((n, 2)), ["x"] * n).texts] == ["x"]


def test_names_are_plain_text() -> None:
    """No mathematics between dollars; nothing is drawn for a name without letters."""
    names = ["Ba$$in", "$US$", "x_$a_b$", "CD4$^{", r"CD4$\foo$", "two\nlines", " ", ""]
    points = np.random.default_rng(0).normal(size=(80, 2))
    ax = _drawn(points, [names[i % 8] for i in range(80)])
    ax.figure.savefig(io.BytesIO(), format="png")
    assert {text.get_text() for text in ax.texts} == set(names[:-2])
    assert not any(text.get_parse_math() for text in ax.texts)


def _label(ax: Axes, names: Sequence[str], **options: Any) -> list[Text]:
    points = np.random.default_rng(0).random((2 * len(names), 2))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    codes = np.arange(2 * len(names)) % len(names)
    labels.label_groups(ax, points, codes, names, ["red"] * len(names), **options)
    return list(ax.texts)


def test_many_names_are_all_drawn_in_smaller_letters() -> None:
    few, many = (_label(Figure().add_subplot(), [f"name {i}" for i in range(n)]) for n in (5, 150))
    assert (len(few), len(many)) == (5, 150)
    assert few[0].get_fontsize() == 8.5
    assert {text.get_fontsize() for text in many} == {many[0].get_fontsize()}
    assert 3.5 < many[0].get_fontsize() < 8.5


@pytest.mark.parametrize("n", [2, 60])
def test_the_font_can_be_chosen(n: int) -> None:
    names = [f"name {i}" for i in range(n)]
    chosen = {"fontsize": 11, "fontweight": "normal", "fontoutline": 0}
    for text in _label(Figure().add_subplot(), names, **chosen):
        assert (text.get_fontsize(), text.get_fontweight()) == (11, "normal")
        assert not text.get_path_effects()
    text = _label(Figure().add_subplot(), names, fontsize="x-large", fontoutline=3)[0]
    assert text.get_fontsize() == pytest.approx(14.4)
    assert text.get_path_effects()[0]._gc["linewidth"] == 3


def test_the_same_places_every_time() -> None:
    names = [f"name {i}" for i in range(60)]
    one, other = (
        [text.get_position() for text in _label(Figure().add_subplot(), names)] for _ in range(2)
    )
    assert one == other


def test_work_grows_with_the_number_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is measured once, besides a sample, and placed at most three times."""
    measured, placed = [], []

    def counted(function: Callable[..., Any], seen: list[int], size: Callable[..., int]) -> Any:
        def call(*args: Any) -> Any:
            seen.append(size(*args))
            return function(*args)

        return call

    monkeypatch.setattr(
        labels, "_measure", counted(labels._measure, measured, lambda _, texts: len(texts))
    )
    monkeypatch.setattr(labels, "_cheapest", counted(labels._cheapest, placed, lambda *_: 1))
    _label(Figure().add_subplot(), [f"name {i}" for i in range(60)])
    assert 60 <= sum(measured) <= 60 + 40
    assert 60 <= sum(placed) <= 3 * 60
