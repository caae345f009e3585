"""Movies: every snapshot a frame, still axes, steady colours, whole files, errors by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from tests.support.anndatas import assert_equal_contents, contents, sheet
from umapcore import Snapshots, pl, tl

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"figsize": (4.0, 3.0), "dpi": 60}
RED, BLUE = (255, 0, 0), (0, 0, 255)


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as movie:
        found = []
        for i in range(movie.n_frames):
            movie.seek(i)
            found.append(np.asarray(movie.convert("RGB")).copy())
        return found


def middle(frame: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Mean row and column of the pixels of about this colour."""
    near = np.abs(frame.astype(int) - color).max(axis=2) < 60
    assert near.any()
    return np.argwhere(near).mean(axis=0)


@pytest.fixture
def crossing() -> tuple[AnnData, Snapshots]:
    """A red point that goes right and a blue one that stays, among far ones that set the axes."""
    obs = pd.DataFrame({"g": pd.Categorical(["red", "blue"])}, index=["0", "1"])
    seen = Snapshots(5)
    for epoch, x in ((0, 0.0), (5, 5.0), (10, 10.0)):
        seen.keep(epoch, np.array([[x, 0.0], [5.0, 4.0]], np.float32))
    return AnnData(obs=obs), seen


OF_CROSSING = SMALL | {
    "color": "g",
    "palette": {"red": "#ff0000", "blue": "#0000ff"},
    "alpha": 1.0,
    "size": 60.0,
}


@pytest.mark.parametrize("legend_loc", [None, "on data"])  # drawn once, and frame by frame
def test_points_move_and_all_else_keeps_still(
    crossing: tuple[AnnData, Snapshots], legend_loc: Any, tmp_path: Path
) -> None:
    adata, seen = crossing
    path = tmp_path / "m.gif"
    options = OF_CROSSING | {"legend_loc": legend_loc}
    assert pl.movie(adata, path, snapshots=seen, **options) == path
    found = frames(path)
    assert len(found) == 3
    assert {frame.shape for frame in found} == {(180, 240, 3)}
    red = np.array([middle(frame, RED) for frame in found])
    blue = np.array([middle(frame, BLUE) for frame in found])
    steps = np.diff(red, axis=0)
    if legend_loc is None:
        np.testing.assert_allclose(blue, blue[[0, 0, 0]], atol=0.6)
        np.testing.assert_allclose(steps[:, 0], 0, atol=1)
    assert (steps[:, 1] > 40).all()
    assert steps[0, 1] == pytest.approx(steps[1, 1], abs=3)
    assert all(tuple(frame[0, 0]) == (255, 255, 255) for frame in found)


def test_of_a_run(tmp_path: Path) -> None:
    adata = sheet()
    tl.umap(adata, maxiter=30, snapshots=10, key_added="layout", n_components=3)
    adata.obs["value"] = np.where(np.arange(120) < 30, np.nan, np.arange(120.0))
    adata.layers["twice"] = adata.X * 2
    before = contents(adata)
    path = tmp_path / "m.gif"
    gene = adata.var_names[3]
    for color, more in (
        ("group", {"components": (0, 2)}),
        ("value", {}),
        (gene, {"layer": "twice"}),
        (None, {"title": "all"}),
        ("group", {"raster": True}),
    ):
        pl.movie(adata, path, color, key="layout", **(SMALL | more))
        found = frames(path)
        assert len(found) == 4
        assert all((one != other).any() for one, other in pairwise(found))
    assert_equal_contents(before, contents(adata))
    assert [each.name for each in tmp_path.iterdir()] == ["m.gif"]


@pytest.mark.parametrize(
    "options",
    [
        {"edges": True, "edges_color": "#00ff00", "edges_width": 3},
        {"add_outline": True, "outline_color": ("#00ff00", "white"), "outline_width": (1, 0)},
        {"mask_obs": "shown", "na_color": "#00ff00"},
        {"title": "$$", "size": [40.0, 60.0]},
    ],
)
def test_options_of_pictures(
    crossing: tuple[AnnData, Snapshots], options: dict[str, Any], tmp_path: Path
) -> None:
    adata, seen = crossing
    adata.obs["shown"] = [True, False]
    adata.obsp["connectivities"] = sp.csr_matrix([[0.0, 1.0], [1.0, 0.0]])
    adata.uns["neighbors"] = {"connectivities_key": "connectivities"}
    path = pl.movie(adata, tmp_path / "m.gif", snapshots=seen, **(OF_CROSSING | options))
    steps = np.diff([middle(frame, RED)[1] for frame in frames(path)])
    assert (steps > 40).all()
    for frame in frames(path):
        if "title" not in options:
            middle(frame, (0, 255, 0))


@pytest.mark.parametrize("raster", [False, True])
def test_the_legend_is_not_cut_off(tmp_path: Path, raster: bool) -> None:
    adata = sheet()
    adata.obs["long"] = pd.Categorical(
        [f"a group whose name is rather long, number {i % 12}" for i in range(120)]
    )
    tl.umap(adata, maxiter=20, snapshots=10)
    found = frames(pl.movie(adata, tmp_path / "m.gif", "long", raster=raster, dpi=50))
    assert len({frame.shape for frame in found}) == 1
    for frame in found:
        assert (frame[:, -2:] == 255).all()
        assert (frame[:, -40:-2] != 255).any()


def test_times(crossing: tuple[AnnData, Snapshots], tmp_path: Path) -> None:
    adata, seen = crossing
    path = pl.movie(adata, tmp_path / "m.gif", snapshots=seen, fps=20, hold=1.5, **SMALL)
    with Image.open(path) as movie:
        durations = []
        for i in range(movie.n_frames):
            movie.seek(i)
            durations.append(movie.info["duration"])
        assert durations == [50, 50, 1550]
        assert movie.info["loop"] == 0


def test_one_snapshot_of_one_point(tmp_path: Path) -> None:
    seen = Snapshots()
    seen.keep(0, np.zeros((1, 2), np.float32))
    adata = AnnData(obs=pd.DataFrame(index=["0"]))
    assert len(frames(pl.movie(adata, tmp_path / "m.gif", snapshots=seen, **SMALL))) == 1


def test_what_was_there_stays_when_drawing_fails(
    crossing: tuple[AnnData, Snapshots], tmp_path: Path
) -> None:
    adata, seen = crossing
    path = tmp_path / "m.gif"
    path.write_text("precious")
    with pytest.raises(ValueError, match="Did you mean"):
        pl.movie(adata, path, "gg", snapshots=seen, **SMALL)
    assert path.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir()] == ["m.gif"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_mp4(crossing: tuple[AnnData, Snapshots], tmp_path: Path) -> None:
    adata, seen = crossing
    path = pl.movie(adata, tmp_path / "m.mp4", snapshots=seen, **OF_CROSSING)
    assert b"ftyp" in path.read_bytes()[:32]


def test_mp4_is_handed_to_ffmpeg(
    crossing: tuple[AnnData, Snapshots], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata, seen = crossing
    monkeypatch.setattr("umapcore.pl.movie_formats.ffmpeg", lambda: sys.executable)
    given: dict[str, Any] = {}

    def run(command: list[str], *, input: bytes, **_: Any) -> Any:  # noqa: A002
        given.update(command=command, frames=input)
        with open(command[-1], "wb") as file:
            file.write(b"movie")
        return subprocess.CompletedProcess(command, given.get("code", 0), b"", b"no codec")

    monkeypatch.setattr(subprocess, "run", run)
    path = pl.movie(adata, tmp_path / "m.mp4", snapshots=seen, hold=0.5, **SMALL)
    assert path.read_bytes() == b"movie"
    assert "240x180" in given["command"]
    assert len(given["frames"]) == 240 * 180 * 3 * (3 + 5)
    given["code"] = 1
    with pytest.raises(RuntimeError, match="ffmpeg failed: no codec"):
        pl.movie(adata, tmp_path / "n.mp4", snapshots=seen, **SMALL)
    assert not (tmp_path / "n.mp4").exists()


def test_mp4_without_ffmpeg(
    crossing: tuple[AnnData, Snapshots], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata, seen = crossing
    monkeypatch.setattr("umapcore.pl.movie_formats.ffmpeg", lambda: "no-such-program")
    with pytest.raises(RuntimeError, match=r"needs ffmpeg.*a \.gif does not"):
        pl.movie(adata, tmp_path / "m.mp4", snapshots=seen)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": "m.avi"}, ValueError, r"path='.*m\.avi'.*\.gif or \.mp4"),
        ({"path": 3}, TypeError, "path=3"),
        ({"snapshots": 3}, TypeError, "snapshots=3"),
        ({"snapshots": Snapshots()}, ValueError, "snapshots are empty"),
        ({"snapshots": None}, ValueError, r"\.uns\['umap'\] has no snapshots. Run"),
        ({"components": (0, 2)}, ValueError, "components="),
        ({"components": (0,)}, ValueError, "components="),
        ({"color": ["gene"]}, TypeError, "color="),
        ({"fps": 0}, ValueError, "fps=0"),
        ({"hold": -1}, ValueError, "hold=-1"),
        ({"layer": "counts", "color": "gene"}, ValueError, "layer='counts'"),
        ({"colour": "g"}, TypeError, "colour"),
        ({"components": (0, 1, 0)}, ValueError, "components="),
        ({"show": True}, TypeError, "show= is not an option of a movie"),
        ({"save": "m.png"}, TypeError, "save= is not an option of a movie"),
        ({"return_fig": True}, TypeError, "return_fig= is not an option of a movie"),
        ({"ax": None}, TypeError, "ax= is not an option of a movie"),
    ],
)
def test_bad_values(
    crossing: tuple[AnnData, Snapshots],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    tmp_path: Path,
) -> None:
    obs, seen = crossing
    adata = AnnData(np.ones((2, 1)), obs=obs.obs, var=pd.DataFrame(index=["gene"]))
    path = options.pop("path", "m.gif")
    path = tmp_path / path if isinstance(path, str) else path
    with pytest.raises(error, match=message):
        pl.movie(adata, path, **({"snapshots": seen} | options))
    assert list(tmp_path.iterdir()) == []


def test_snapshots_of_other_observations(
    crossing: tuple[AnnData, Snapshots], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"of 2 observations: adata has 120"):
        pl.movie(sheet(), tmp_path / "m.gif", snapshots=crossing[1])


def test_what_has_no_observations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="adata=3"):
        pl.movie(3, tmp_path / "m.gif")  # type: ignore[arg-type]
