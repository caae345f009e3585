"""Names of files as on Windows, and renaming where another program has the file open."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from umapcore._kit import file_names
from umapcore._kit.file_names import (
    all_beside,
    beside,
    check_file_name,
    explained,
    replace,
    write_whole,
)


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_names, "WINDOWS", True)
    monkeypatch.setattr(file_names, "_PAUSE", 0.0)


REFUSED = {
    "con": "the name of a device",
    "NUL.h5ad": "the name of a device",
    "com1.tar.gz": "the name of a device",
    "LPT\N{SUPERSCRIPT TWO}.png": "the name of a device",
    "aux .h5ad": "the name of a device",
    "conin$": "the name of a device",
    "run:1.h5ad": "must not contain ':'",
    "what?.png": "must not contain '?'",
    "a|b": r"must not contain '\|'",
    "tab\t.h5ad": r"must not contain '\\t'",
    "out.h5ad.": "must not end in a dot or a space",
    "out ": "must not end in a dot or a space",
    "x" * 256: "its name has 256 characters, and 255 are allowed",
    "\N{GRINNING FACE}" * 128: "its name has 256 characters",
}


@pytest.mark.usefixtures("on_windows")
@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_names_that_windows_refuses(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        check_file_name(Path("folder") / name)
    assert repr(str(Path("folder") / name)) in str(raised.value)


@pytest.mark.usefixtures("on_windows")
@pytest.mark.parametrize(
    "name",
    [
        "out.h5ad",
        ".hidden",
        "console.h5ad",
        "com10",
        "com.h5ad",
        "a b.png",
        "zellen-ä.h5ad",
        "ü" * 255,
    ],
)
def test_names_that_windows_allows(name: str) -> None:
    check_file_name(Path("folder") / name)


@pytest.mark.skipif(os.name == "nt", reason="these are names of other systems")
def test_other_systems_allow_more_but_count_bytes(tmp_path: Path) -> None:
    for name in (*list(REFUSED)[:-2], "a" * 255):
        check_file_name(tmp_path / name)
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="its name has 256 bytes, and 255 are allowed"):
        check_file_name(tmp_path / ("ä" * 128))
    with pytest.raises(ValueError, match="null character"):
        check_file_name(tmp_path / "a\0b")


def test_names_beside_others() -> None:
    target = Path("folder", "x.y" * 80)
    names = [beside(target, "part") for _ in range(3)]
    assert len(set(names)) == 3
    for path in names:
        assert path.parent == target.parent
        assert re.fullmatch(rf"\.{'x.y' * 16}x\.\.[0-9a-f]{{16}}\.part", path.name)
        check_file_name(path)


def test_what_was_left_beside_a_file(tmp_path: Path) -> None:
    target = tmp_path / "run[1].ckpt"
    left = [beside(target, "part"), tmp_path / ".run[1].ckpt.0123456789abcdef.part"]
    others = [beside(tmp_path / "run1.ckpt", "part"), beside(target, "before"), tmp_path / "x.part"]
    for path in (target, *left, *others):
        path.touch()
    assert sorted(all_beside(target, "part")) == sorted(left)


class InUse:
    """`os.replace` on Windows, as long as another program has the file open."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, source: Path, target: Path) -> None:
        self.left -= 1
        if self.left >= 0:
            raise PermissionError(13, "Access is denied", str(source), 5, str(target))
        os.rename(source, target)


@pytest.mark.usefixtures("on_windows")
def test_a_file_that_is_open_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "new", tmp_path / "out"
    source.write_text("new")
    target.write_text("old")
    in_use = InUse(3)
    monkeypatch.setattr(os, "replace", in_use)
    replace(source, target)
    assert in_use.left == -1
    assert target.read_text() == "new"
    source.write_text("newer")
    in_use.left = 10**6
    with pytest.raises(PermissionError):
        replace(source, target)
    assert (source.read_text(), target.read_text()) == ("newer", "new")


def test_elsewhere_a_refusal_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_names, "WINDOWS", False)
    monkeypatch.setattr(os, "replace", in_use := InUse(10))
    with pytest.raises(PermissionError):
        replace(tmp_path / "new", tmp_path / "out")
    assert in_use.left == 9


@pytest.mark.usefixtures("on_windows")
def test_errors_say_what_may_be_the_reason() -> None:
    error = explained(PermissionError(13, "Access is denied", "temporary"), Path("out"))
    assert type(error) is PermissionError
    assert (error.filename, error.strerror) == (
        "out",
        "Access is denied; is it open in another program?",
    )
    path = Path("folder" * 30, "x" * 100)
    error = explained(FileNotFoundError(2, "No such file or directory"), path)
    assert "its path has" in str(error)
    assert "of which Windows may allow 259" in str(error)
    assert explained(OSError("no number"), Path("out")).strerror == "no number"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    target, plain = tmp_path / "a.bin", tmp_path / "plain"
    plain.touch()
    write_whole(target, b"old")
    assert target.read_bytes() == b"old"
    # Other accounts may read it, as far as they may read any file of this one.
    assert target.stat().st_mode == plain.stat().st_mode

    def fail(source: Path, target: Path) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(error)):
        write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [target, plain]
