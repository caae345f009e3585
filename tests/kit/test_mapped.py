"""Arrays in scratch files: where they are, what is left of them, and a disk that is full."""

from __future__ import annotations

import errno
import gc
import os
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from umapcore._kit import mapped
from umapcore.settings import settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "scratch_dir", str(tmp_path))
    return tmp_path


def open_files(folder: Path) -> int:
    """Count the open or mapped files of this process that are, or were, in a folder."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        return sum(str(folder) in line for line in file)


def test_zeros(folder: Path) -> None:
    array = mapped.scratch_zeros((7, 3), np.int16)
    assert type(array) is np.ndarray
    assert array.flags.c_contiguous
    assert array.flags.writeable
    np.testing.assert_array_equal(array, np.zeros((7, 3), np.int16))
    array[2:5, 1] = 4
    assert array.sum() == 12
    assert mapped.scratch_zeros((0, 3), np.float32).shape == (0, 3)


@pytest.mark.skipif(os.name == "nt", reason="files that are open have a name on Windows")
def test_nothing_is_left_in_the_folder(folder: Path) -> None:
    array = mapped.scratch_zeros((5000,), np.float64)
    array[:] = 1
    assert not list(folder.iterdir())


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc")
def test_the_file_is_closed_with_the_last_view(folder: Path) -> None:
    array = mapped.scratch_zeros((5000, 2), np.float32)
    view = array[::2].view(np.int32).T
    del array
    gc.collect()
    assert open_files(folder) == 1
    assert (view == 0).all()
    del view
    gc.collect()
    assert open_files(folder) == 0


def test_which_arrays_are_in_a_file(folder: Path) -> None:
    array = mapped.scratch_zeros((6, 4), np.float32)
    assert mapped.is_scratch(array)
    assert not mapped.is_scratch(array[:, :3].reshape(-1))  # a copy
    assert mapped.is_scratch(array[1:].reshape(-1, 2).view(np.int32).T)
    given = np.memmap(folder / "own", np.float32, "w+", shape=(6, 4))
    for other in (np.zeros(3), array.copy(), given, [1.0], None, 3):
        assert not mapped.is_scratch(other)
    assert mapped.is_scratch(mapped.empty_beside(array[2:], (3,), np.int64))
    assert not mapped.is_scratch(mapped.empty_beside(given, (3,), np.int64))


@pytest.mark.parametrize("copied", [1, 2**25])
def test_contiguous(folder: Path, copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_COPIED", copied)
    array = mapped.scratch_zeros((6, 4), np.float32)
    array[:] = np.arange(24).reshape(6, 4)
    assert mapped.contiguous(array) is array
    for one in (array, array.copy()):
        found = mapped.contiguous(one[:, 1:3])
        assert found.flags.c_contiguous
        assert mapped.is_scratch(found) == mapped.is_scratch(one)
        np.testing.assert_array_equal(found, one[:, 1:3])


def test_a_disk_that_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999))
    with pytest.raises(OSError, match=r"1e-06 GB are needed, and .* room for 9.99e-07") as caught:
        mapped.scratch_zeros((250,), np.float32)
    assert caught.value.errno == errno.ENOSPC
    assert str(folder) in str(caught.value)
    mapped.scratch_zeros((249,), np.float32)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSPC])
def test_room_is_reserved(folder: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the process would end by a signal when another one fills the disk."""

    def refuse(*given: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    if code == errno.EOPNOTSUPP:
        assert mapped.scratch_zeros((5,), np.int64).sum() == 0
    else:
        with pytest.raises(OSError, match=os.strerror(code)):
            mapped.scratch_zeros((5,), np.int64)


def test_the_folder_is_checked(folder: Path) -> None:
    for value in (3, ["x"]):
        with pytest.raises(TypeError, match=r"settings\.scratch_dir=.* None or a folder"):
            settings.scratch_dir = value  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"settings\.scratch_dir='.*missing' is not allowed"):
        settings.scratch_dir = str(folder / "missing")
    (folder / "gone").mkdir()
    settings.scratch_dir = folder / "gone"  # type: ignore[assignment]
    assert settings.scratch_dir == str(folder / "gone")
    (folder / "gone").rmdir()
    with pytest.raises(ValueError, match=r"settings\.scratch_dir='.*gone' is not allowed"):
        mapped.scratch_zeros((5,), np.int64)
