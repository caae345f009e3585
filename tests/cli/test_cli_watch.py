"""`umapcore verify`, and `umapcore embed` with --movie and --checkpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pytest

import umapcore
from tests.cli.test_cli import files_in, one_error_line, run
from umapcore import cli, demo
from umapcore.files import anndata_files

if TYPE_CHECKING:
    from pathlib import Path

N = 120
QUICK = ("--maxiter", 12, "--init-pos", "random", "--no-progress")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.h5ad"
    demo.load_cells()[4000 : 4000 + N].copy().write_h5ad(path)
    return path


class TestVerify:
    @pytest.mark.parametrize("name", ["out.h5ad", "out.zarr"])
    def test_reproduced(self, source: Path, tmp_path: Path, name: str, capsys: Any) -> None:
        if name.endswith("zarr"):
            pytest.importorskip("zarr", reason="zarr is not installed")
        target = tmp_path / name
        assert run("embed", source, "-o", target, *QUICK, "--random-state", 2**64 - 1) == cli.OK
        capsys.readouterr()
        before = target.read_bytes() if target.is_file() else b""
        assert run("verify", target, "--threads", 1) == cli.OK
        assert "is reproduced bit for bit" in capsys.readouterr().out
        if before:
            assert target.read_bytes() == before
        assert run("verify", target, "--json") == cli.OK
        assert json.loads(capsys.readouterr().out)["reproduced"] is True

    def test_not_reproduced(self, source: Path, tmp_path: Path, capsys: Any) -> None:
        target = tmp_path / "out.h5ad"
        options = ("--key-added", "mine", "--init-pos", "X_pca", "--maxiter", 5)
        assert run("embed", source, "-o", target, *options) == cli.OK
        assert run("verify", target, "--key", "mine") == cli.OK
        with h5py.File(target, "r+") as file:
            file["obsm/mine"][3, 1] += 1
        capsys.readouterr()
        assert run("verify", target, "--key", "mine") == 1
        said = capsys.readouterr()
        assert "1 rows differ, by up to 1" in said.out
        assert said.err == ""

    def test_start_under_another_key(self, source: Path, tmp_path: Path) -> None:
        target = tmp_path / "out.h5ad"
        assert run("embed", source, "-o", target, "--init-pos", "X_pca", "--maxiter", 5) == cli.OK
        with h5py.File(target, "r+") as file:
            file["obsm"].move("X_pca", "other")
        assert run("verify", target, "--init-pos", "other") == cli.OK

    def test_what_cannot_be_checked(self, source: Path, tmp_path: Path, capsys: Any) -> None:
        assert run("verify", source) == 2
        assert "Did not find .obsm['X_umap']" in one_error_line(capsys)
        assert run("verify", tmp_path / "none.h5ad") == 2
        assert "no such file" in one_error_line(capsys)
        assert run("verify") == cli.USAGE
        assert "FILE" in one_error_line(capsys)


class TestCheckpoint:
    def test_continues_and_is_removed(self, source: Path, tmp_path: Path, capsys: Any) -> None:
        target, path = tmp_path / "out.h5ad", tmp_path / "run.ckpt"
        cells = anndata.read_h5ad(source)
        options: dict[str, Any] = {"maxiter": 12, "init_pos": "random"}
        umapcore.tl.umap(cells, checkpoint=path, callback=lambda epoch, _: epoch == 5, **options)
        assert run("embed", source, "-o", target, *QUICK, "--checkpoint", path) == cli.OK
        assert "continued after 5 epochs" in capsys.readouterr().out
        umapcore.tl.umap(cells, **options)
        written = anndata.read_h5ad(target)
        assert written.obsm["X_umap"].tobytes() == cells.obsm["X_umap"].tobytes()
        assert files_in(tmp_path) == {"in.h5ad", "out.h5ad"}

    def test_outlives_an_output_that_cannot_be_written(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        target, path = tmp_path / "out.h5ad", tmp_path / "run.ckpt"
        command = ("embed", source, "-o", target, *QUICK, "--checkpoint", path)
        with monkeypatch.context() as patch:
            patch.setattr(anndata_files, "_insert", fail)
            assert run(*command) == cli.FAILED
        assert files_in(tmp_path) == {"in.h5ad", "run.ckpt"}
        capsys.readouterr()
        assert run(*command) == cli.OK
        assert "continued after 12 epochs" in capsys.readouterr().out
        assert files_in(tmp_path) == {"in.h5ad", "out.h5ad"}

    def test_does_not_fit(self, source: Path, tmp_path: Path, capsys: Any) -> None:
        target, path = tmp_path / "out.h5ad", tmp_path / "run.ckpt"
        command = ("embed", source, "-o", target, *QUICK, "--checkpoint")
        path.write_text("precious")
        assert run(*command, path) == cli.FAILED
        assert "is not a checkpoint" in one_error_line(capsys)
        assert path.read_text() == "precious"
        assert run(*command, tmp_path / "no" / "run.ckpt") == cli.FAILED
        assert "its folder does not exist" in one_error_line(capsys)
        assert run(*command, target) == cli.FAILED
        assert "named for two of" in one_error_line(capsys)
        assert files_in(tmp_path) == {"in.h5ad", "run.ckpt"}


class TestMovie:
    @pytest.fixture(autouse=True)
    def matplotlib(self) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")

    def test_movie(self, source: Path, tmp_path: Path, capsys: Any) -> None:
        from PIL import Image

        target, path = tmp_path / "out.h5ad", tmp_path / "m.gif"
        more = ("--movie", path, "--movie-every", 5, "--color", "cell_type")
        more += ("--key-added", "mine")
        assert run("embed", source, "-o", target, *QUICK, *more) == cli.OK
        assert f"{path}: the movie" in capsys.readouterr().out
        with Image.open(path) as movie:
            assert movie.n_frames == 4
        assert list(anndata.read_h5ad(target).uns["mine"]) == ["params", "provenance"]
        assert files_in(tmp_path) == {"in.h5ad", "out.h5ad", "m.gif"}
        assert run("verify", target, "--key", "mine") == cli.OK

    def test_about_fifty_frames(self) -> None:
        from pathlib import Path

        from umapcore.pl.movie_file import MovieFile

        movie = MovieFile(Path("m.gif"))
        assert [movie.snapshots(n).every for n in (0, 1, 50, 51, 200, 500)] == [1, 1, 1, 2, 4, 10]

    def test_all_or_nothing(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(anndata_files, "_insert", fail)
        more = ("--movie", tmp_path / "m.gif", "--plot", tmp_path / "p.png")
        assert run("embed", source, "-o", tmp_path / "out.h5ad", *QUICK, *more) == cli.FAILED
        assert files_in(tmp_path) == {"in.h5ad"}

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (("--movie", "m.avi"), cli.USAGE, "--movie: "),
            (("--movie-every", "5"), cli.USAGE, "--movie-every needs --movie"),
            (("--movie", "m.gif", "--movie-every", "0"), cli.USAGE, "--movie-every"),
            (("--movie", "m.gif", "--n-components", "1"), cli.USAGE, "at least 2"),
            (("--movie", "m.gif", "--color", "cell_typ"), cli.FAILED, "'cell_type'"),
            (("--movie", "there.gif"), cli.FAILED, "--overwrite"),
        ],
    )
    def test_refused_before_the_work(
        self,
        source: Path,
        tmp_path: Path,
        options: tuple[str, ...],
        code: int,
        message: str,
        capsys: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("umapcore.tl.umap", lambda *_, **__: pytest.fail("too late"))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "there.gif").write_bytes(b"precious")
        assert run("embed", source, "-o", "out.h5ad", *QUICK, *options) == code
        assert message in one_error_line(capsys)
        assert files_in(tmp_path) == {"in.h5ad", "there.gif"}


def test_bits_do_not_depend_on_being_watched(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    found = []
    for name, more in (
        ("1", ()),
        ("2", ("--checkpoint", tmp_path / "c", "--movie", tmp_path / "m.gif")),
    ):
        target = tmp_path / f"{name}.h5ad"
        assert run("embed", source, "-o", target, *QUICK, *more) == cli.OK
        found.append(anndata.read_h5ad(target))
    np.testing.assert_array_equal(found[0].obsm["X_umap"], found[1].obsm["X_umap"])
    assert found[0].uns["umap"]["provenance"] == found[1].uns["umap"]["provenance"]
