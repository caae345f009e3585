"""The command line: files whole or not at all, errors of one line, exit codes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pytest

import umapcore
from umapcore import cli, demo
from umapcore.cli import embed_file
from umapcore.files import anndata_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N = 240
QUICK = ("--maxiter", "5", "--init-pos", "random", "--no-progress")


@pytest.fixture(scope="module")
def cells() -> anndata.AnnData:
    made = demo.load_cells()[:N].copy()
    made.obsm["X_start"] = np.ascontiguousarray(made.obsm["X_pca"][:, :2])
    made.uns["wide"] = dict(made.uns["neighbors"], connectivities_key="wide_connectivities")
    made.obsp["wide_connectivities"] = made.obsp["connectivities"].sqrt()
    return made


@pytest.fixture
def source(cells: anndata.AnnData, tmp_path: Path) -> Path:
    path = tmp_path / "in.h5ad"
    cells.write_h5ad(path)
    return path


def run(*arguments: object) -> int:
    """Run the command line here and give its exit code, however it leaves."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def one_error_line(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.startswith("umapcore")
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


def test_embed_writes_what_the_library_gives(
    cells: anndata.AnnData, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.h5ad"
    before = source.read_bytes()
    options = ["--min-dist", 0.2, "--spread", 1.5, "--n-components", 3, "--alpha", 0.7]
    options += ["--gamma", 0.9, "--negative-sample-rate", 3, "--random-state", 11]
    options += ["--maxiter", 8, "--init-pos", "random", "--threads", 1, "--no-progress"]
    assert run("embed", source, "-o", target, *options) == cli.OK
    assert "obsm['X_umap']" in capsys.readouterr().out
    assert source.read_bytes() == before

    expected = umapcore.tl.umap(
        cells,
        min_dist=0.2,
        spread=1.5,
        n_components=3,
        alpha=0.7,
        gamma=0.9,
        negative_sample_rate=3,
        random_state=11,
        maxiter=8,
        init_pos="random",
        copy=True,
    )
    written = anndata.read_h5ad(target)
    assert written.obsm["X_umap"].tobytes() == expected.obsm["X_umap"].tobytes()
    assert written.obsm["X_umap"].dtype == np.float32
    assert written.uns["umap"]["params"] == expected.uns["umap"]["params"]
    assert written.obs.equals(cells.obs)
    assert set(written.obsm) == {*cells.obsm, "X_umap"}
    assert files_in(tmp_path) == {"in.h5ad", "out.h5ad"}


def test_keys_and_curve(cells: anndata.AnnData, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.h5ad"
    keys = ("--neighbors-key", "wide", "--key-added", "X_mine", "--init-pos", "X_start")
    curve = ("--a", 1.2, "--b", 0.8)
    assert run("embed", source, "-o", target, *QUICK, *keys, *curve) == cli.OK
    expected = umapcore.tl.umap(
        cells, a=1.2, b=0.8, maxiter=5, init_pos="X_start", neighbors_key="wide", copy=True
    )
    written = anndata.read_h5ad(target)
    assert written.obsm["X_mine"].tobytes() == expected.obsm["X_umap"].tobytes()
    assert written.uns["X_mine"]["params"] == {"a": 1.2, "b": 0.8}
    assert "X_umap" not in written.obsm


def test_everything_else_in_the_file_stays(tmp_path: Path) -> None:
    """X keeps its encoding, and groups that anndata does not know survive."""
    source, target = tmp_path / "in.h5ad", tmp_path / "out.h5ad"
    made = demo.load_cells()[:N].copy()
    rng = np.random.default_rng(0)
    whole = anndata.AnnData(
        rng.random((N, 7)), obs=made.obs, obsm=dict(made.obsm), obsp=dict(made.obsp), uns=made.uns
    )
    whole.raw = whole.copy()
    whole.layers["counts"] = rng.integers(0, 9, (N, 7))
    whole.write_h5ad(source, compression="gzip")
    with h5py.File(source, "a") as file:
        file.create_group("extra")["note"] = "kept"
    assert run("embed", source, "-o", target, *QUICK) == cli.OK
    with h5py.File(source) as old, h5py.File(target) as new:
        names: list[str] = []
        old.visit(names.append)
        for name in names:
            assert name in new
            if isinstance(old[name], h5py.Dataset):
                assert new[name].dtype == old[name].dtype
                assert new[name].compression == old[name].compression
                np.testing.assert_array_equal(new[name][()], old[name][()])
        assert new["obsm/X_umap"].shape == (N, 2)


def test_a_second_embedding_replaces_the_first(source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.h5ad", tmp_path / "2.h5ad"
    assert run("embed", source, "-o", first, *QUICK, "--n-components", 3) == cli.OK
    assert run("embed", first, "-o", second, *QUICK) == cli.OK
    assert anndata.read_h5ad(second).obsm["X_umap"].shape == (N, 2)


def test_old_layout_is_rewritten(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anndata_files, "_insert", lambda *_: False)
    target = tmp_path / "out.h5ad"
    assert run("embed", source, "-o", target, *QUICK) == cli.OK
    assert anndata.read_h5ad(target).obsm["X_umap"].shape == (N, 2)


def test_refuses_to_overwrite(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.h5ad"
    target.write_text("precious")
    assert run("embed", source, "-o", target, *QUICK) == cli.FAILED
    assert "--overwrite" in one_error_line(capsys)
    assert target.read_text() == "precious"
    assert run("embed", source, "-o", source, *QUICK) == cli.FAILED
    assert "the input itself" in one_error_line(capsys)
    assert run("embed", source, "-o", target, "--overwrite", *QUICK) == cli.OK
    assert "X_umap" in anndata.read_h5ad(target).obsm


@pytest.mark.parametrize("name", ["out.h5ad", "out.png"])
def test_a_file_that_appears_meanwhile_stays(
    source: Path, tmp_path: Path, name: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs with one output: both find nothing at the start, and only one may write."""
    lay_out = umapcore.tl.umap

    def slow(*args: Any, **kwargs: Any) -> None:
        lay_out(*args, **kwargs)
        (tmp_path / name).write_text("theirs")

    monkeypatch.setattr("umapcore.tl.umap", slow)
    command = ("embed", source, "-o", tmp_path / "out.h5ad", "--plot", tmp_path / "out.png", *QUICK)
    assert run(*command) == cli.FAILED
    said = one_error_line(capsys)
    assert f"{name}: is there already; use --overwrite" in said
    assert (f"complete: {tmp_path / 'out.h5ad'}" in said) == (name == "out.png")
    assert (tmp_path / name).read_text() == "theirs"
    assert run(*command, "--overwrite") == cli.OK


def test_in_place(source: Path, tmp_path: Path) -> None:
    source.chmod(0o640)
    assert run("embed", source, "-o", source, "--overwrite", *QUICK) == cli.OK
    assert "X_umap" in anndata.read_h5ad(source).obsm
    assert source.stat().st_mode & 0o777 == 0o640
    assert files_in(tmp_path) == {"in.h5ad"}


@pytest.mark.skipif(os.name == "nt", reason="making links needs rights on Windows")
def test_a_link_stays_a_link(source: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    behind = tmp_path / "elsewhere" / "real.h5ad"
    behind.write_bytes(b"old")
    link = tmp_path / "link.h5ad"
    link.symlink_to(behind)
    assert run("embed", source, "-o", link, "--overwrite", *QUICK) == cli.OK
    assert link.is_symlink()
    assert "X_umap" in anndata.read_h5ad(behind).obsm


def _raise(error: BaseException) -> Callable[..., Any]:
    def raising(*_args: object, **_kwargs: object) -> None:
        raise error

    return raising


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device"), cli.FAILED),
        (MemoryError(), cli.FAILED),
        (KeyboardInterrupt(), cli.INTERRUPTED),
    ],
)
def test_failure_while_writing_leaves_nothing(
    source: Path,
    tmp_path: Path,
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = source.read_bytes()
    monkeypatch.setattr(anndata_files, "_insert", _raise(error))
    assert run("embed", source, "-o", tmp_path / "out.h5ad", *QUICK) == code
    one_error_line(capsys)
    assert run("embed", source, "-o", source, "--overwrite", *QUICK) == code
    assert files_in(tmp_path) == {"in.h5ad"}
    assert source.read_bytes() == before


def test_a_full_disk_is_noticed_before_writing(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = SimpleNamespace(total=10**9, used=10**9, free=0)
    monkeypatch.setattr(anndata_files.shutil, "disk_usage", lambda _: full)
    assert run("embed", source, "-o", tmp_path / "out.h5ad", *QUICK) == cli.FAILED
    assert "0.0 MB are free" in one_error_line(capsys)
    assert files_in(tmp_path) == {"in.h5ad"}


def _not_hdf5(path: Path) -> None:
    path.write_text("id,x,y\n")


def _other_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["table"] = [1, 2, 3]


def _nothing_to_search(path: Path) -> None:
    anndata.AnnData(shape=(20, 0)).write_h5ad(path)


def _truncated(path: Path) -> None:
    anndata.AnnData(np.zeros((4, 2))).write_h5ad(path)
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (_not_hdf5, "not an HDF5 file"),
        (_other_hdf5, "without an AnnData object"),
        (_nothing_to_search, "There is no .X to find neighbours in"),
        (_truncated, ""),
    ],
    ids=["missing", "folder", "text", "other HDF5", "nothing to search", "truncated"],
)
def test_bad_input_files(
    tmp_path: Path,
    make: Callable[[Path], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, target = tmp_path / "bad.h5ad", tmp_path / "out.h5ad"
    make(source)
    assert run("embed", source, "-o", target) == cli.FAILED
    assert message in one_error_line(capsys)
    assert not target.exists()


def test_bad_output_places(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("embed", source, "-o", tmp_path, *QUICK) == cli.FAILED
    assert "is a folder" in one_error_line(capsys)
    assert run("embed", source, "-o", tmp_path / "no" / "out.h5ad", *QUICK) == cli.FAILED
    assert "no such folder" in one_error_line(capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--init-pos", "X_strat"), "X_start"),
        (("--neighbors-key", "wied"), "wied"),
    ],
)
def test_unknown_keys_are_named(
    source: Path,
    tmp_path: Path,
    options: tuple[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("embed", source, "-o", tmp_path / "out.h5ad", *QUICK, *options) == cli.FAILED
    assert message in one_error_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "COMMAND"),
        (("enbed",), "enbed"),
        (("embed",), "IN"),
        (("embed", "in.h5ad"), "-o"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--mindist", "1"), "--mindist"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--min-dist", "x"), "--min-dist"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--min-dist", "3"), "--spread"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--spread", "nan"), "--spread=nan"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--alpha", "0"), "--alpha=0.0"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--gamma=-1"), "--gamma=-1.0"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--density-weight=-1"), "--density-weight=-1.0"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--density-fraction=2"), "--density-fraction=2.0"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--density-shift=-1"), "--density-shift=-1.0"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--n-components", "0"), "--n-components=0"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--maxiter=-1"), "--maxiter=-1"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--random-state=-1"), "--random-state=-1"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--negative-sample-rate=-1"), "sample-rate=-1"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--a", "1"), "a=1.0 was given without b"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--method", "gpu"), "rapids"),
        (("embed", "in.h5ad", "-o", "out.h5ad", "--threads", "0"), "--threads"),
        (("demo", "--threads", "many"), "--threads"),
        (("info", "more"), "more"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == cli.USAGE
    assert message in one_error_line(capsys)


def test_rapids_without_a_gpu_warns_in_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if umapcore.device.select.gpu_problem() is None:
        pytest.skip("there is a GPU")
    # The command line decides how warnings look; pytest's own filter would make them errors.
    import warnings

    target = tmp_path / "out.h5ad"
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run("embed", source, "-o", target, *QUICK, "--method", "rapids") == cli.OK
    assert "runs on the CPU" in one_error_line(capsys)


def test_unexpected_errors_are_named_and_can_be_traced(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(embed_file, "open_file", _raise(KeyError("lost")))
    assert run("embed", source, "-o", tmp_path / "out.h5ad") == cli.FAILED
    assert "KeyError: 'lost'" in one_error_line(capsys)
    with pytest.raises(KeyError):
        run("embed", source, "-o", tmp_path / "out.h5ad", "--traceback")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"umapcore {umapcore.__version__}\n"
    for command in ("embed", "demo", "info"):
        assert run(command, "--help") == 0
        text = capsys.readouterr().out
        assert "None" not in text


def test_info_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == cli.OK
    assert umapcore.__version__ in capsys.readouterr().out
    assert run("info", "--json") == cli.OK
    assert capsys.readouterr().out.startswith("{")


def _process(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "umapcore", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("number", "code", "zarr"),
    [(signal.SIGINT, cli.INTERRUPTED, False), (signal.SIGTERM, 143, True)],
    ids=["Ctrl-C, new file", "terminated, store in place"],
)
def test_interrupted_while_it_optimises(
    source: Path, tmp_path: Path, number: signal.Signals, code: int, zarr: bool
) -> None:
    target = tmp_path / "out.h5ad"
    if zarr:
        pytest.importorskip("zarr", reason="zarr is not installed")
        anndata_files.write_with(source, tmp_path / "in.zarr", {})
        source.unlink()
        source = target = tmp_path / "in.zarr"
    before = set(tmp_path.rglob("*"))
    endless = ("--maxiter", 10**9, "--init-pos", "random", "--progress", "--overwrite")
    with _process("embed", source, "-o", target, *endless) as process:
        assert process.stderr is not None
        # The bar is there: it optimises.
        process.stderr.read(1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert set(tmp_path.rglob("*")) == before


def test_reader_that_goes_away() -> None:
    with _process("info") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.wait(timeout=60)


@pytest.mark.parametrize("windows", [True, False])
def test_reader_that_goes_away_on_windows(
    windows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with (tmp_path / "pipe").open("w") as pipe:

        class Broken:
            fileno = pipe.fileno

            def write(self, text: str) -> int:
                raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(cli, "_WINDOWS", windows)
        monkeypatch.setattr(sys, "stdout", Broken())
        assert cli.main(["info"]) == cli.FAILED
    errors = capsys.readouterr().err
    assert errors == "" if windows else "Invalid argument" in errors
