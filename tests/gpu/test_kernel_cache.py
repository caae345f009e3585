"""Compiled kernels on disk: taken only when whole and their own, and never in the way."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from umapcore._kit.file_names import beside
from umapcore_cupy.host import kernel_cache

KEY = kernel_cache.digest("a kernel")
CODE = b"\x7fELF" + bytes(range(256)) * 10


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of entries, empty, with nothing in the process."""
    monkeypatch.setenv("UMAPCORE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_cache, "_in_process", {})
    return tmp_path / "cache" / "kernels"


class Builder:
    """Counts how often it is asked to build."""

    def __init__(self, code: bytes = CODE) -> None:
        self.code = code
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.code


def _get(key: str = KEY, code: bytes = CODE, *, fresh_process: bool = True) -> int:
    """Look an entry up; returns how often it had to be built."""
    if fresh_process:
        kernel_cache._in_process.clear()
    build = Builder(code)
    assert kernel_cache.cached(key, build) == code
    return build.calls


def _entry(place: Path, key: str = KEY) -> Path:
    return place / f"{key}.kernel"


def test_built_once(place: Path) -> None:
    assert _get() == 1
    assert _get(fresh_process=False) == 0
    assert _get() == 0
    assert [path.name for path in place.iterdir()] == [f"{KEY}.kernel"]
    assert kernel_cache.contents() == (1, _entry(place).stat().st_size)


def test_another_process_finds_it(place: Path) -> None:
    _get()
    code = (
        "from umapcore_cupy.host import kernel_cache\n"
        f"print(len(kernel_cache.cached({KEY!r}, lambda: b'')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout) == len(CODE)


DAMAGES = {
    "empty": lambda data: b"",
    "half a header": lambda data: data[:20],
    "only the header": lambda data: data[: -len(CODE)],
    "last byte missing": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\0",
    "a bit of the code flipped": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "a bit of the header flipped": lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
    "another version": lambda data: data.replace(b"kernel 2", b"kernel 1", 1),
    "bare code": lambda data: CODE,
    "something else": lambda data: b"\x89PNG" + bytes(3000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_rewritten(
    place: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    _get()
    whole = _entry(place).read_bytes()
    damaged = DAMAGES[damage](whole)
    assert damaged != whole
    _entry(place).write_bytes(damaged)
    with caplog.at_level(logging.DEBUG, logger="umapcore"):
        assert _get() == 1
    assert "damaged or foreign" in caplog.text
    assert _entry(place).read_bytes() == whole
    assert _get() == 0


def test_a_renamed_entry_is_not_taken(place: Path) -> None:
    _get()
    other = kernel_cache.digest("another kernel")
    _entry(place).rename(_entry(place, other))
    assert _get(other, b"its own code") == 1
    assert _get(other, b"its own code") == 0


def test_a_folder_in_the_place_of_an_entry(place: Path) -> None:
    _entry(place).mkdir(parents=True)
    assert _get() == 1
    assert [path.name for path in place.iterdir()] == [f"{KEY}.kernel"]


def test_a_file_in_the_place_of_the_folder(place: Path) -> None:
    place.parent.mkdir()
    place.write_text("in the way")
    assert _get() == 1
    assert _get(fresh_process=False) == 0
    assert kernel_cache.contents() == (0, 0)


def test_a_folder_that_cannot_be_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with caplog.at_level(logging.DEBUG, logger="umapcore"):
        assert _get() == 1
    assert "could not cache a kernel" in caplog.text
    assert _get(fresh_process=False) == 0


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_read_only_folder(place: Path) -> None:
    place.mkdir(parents=True)
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert _get() == 1
        assert list(place.iterdir()) == []
    finally:
        place.chmod(stat.S_IRWXU)


def test_a_full_disk_leaves_nothing_behind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert _get() == 1
    assert list(place.iterdir()) == []


def test_an_interrupt_leaves_nothing_behind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kernel_cache.cached(KEY, Builder())
    assert list(place.iterdir()) == []


def test_what_was_used_last_is_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "MOST_ENTRIES", 3)
    keys = [kernel_cache.digest(str(number)) for number in range(4)]
    for age, key in enumerate(keys[:3]):
        _get(key)
        os.utime(_entry(place, key), (1_000_000 + age,) * 2)
    assert _get(keys[0]) == 0  # used again: now the youngest
    _get(keys[3])
    kept = {path.name for path in place.iterdir()}
    assert kept == {f"{keys[number]}.kernel" for number in (0, 2, 3)}


def test_other_files_are_never_touched(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "MOST_ENTRIES", 1)
    place.mkdir(parents=True)
    others = ["notes.txt", f"{KEY}.cubin", f"{'x' * 64}.kernel", "a.kernel", f"{KEY}.kernel.bak"]
    for name in others:
        (place / name).write_text("mine")
        os.utime(place / name, (0, 0))
    for number in range(3):
        _get(kernel_cache.digest(str(number)))
    assert {path.name for path in place.iterdir()} >= set(others)
    assert kernel_cache.contents()[0] == 1


def test_what_a_killed_process_left_is_dropped(place: Path) -> None:
    place.mkdir(parents=True)
    left, young = (beside(place / f"{KEY}.kernel", "part") for _ in range(2))
    for path in (left, young):
        path.write_text("half")
    os.utime(left, (0, 0))
    _get()
    assert not left.exists()
    assert young.exists()


def test_threads_and_one_entry(place: Path) -> None:
    found: list[bytes] = []

    def look_up() -> None:
        for _ in range(20):
            kernel_cache._in_process.clear()
            found.append(kernel_cache.cached(KEY, lambda: CODE))

    threads = [threading.Thread(target=look_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CODE] * 80
    assert [path.name for path in place.iterdir()] == [f"{KEY}.kernel"]


def test_digest_tells_lists_of_parts_apart() -> None:
    lists = [(), ("",), ("ab",), ("a", "b"), ("b", "a"), ("a", "b", "")]
    assert len({kernel_cache.digest(*parts) for parts in lists}) == len(lists)
    assert kernel_cache.digest("a") == kernel_cache.digest(b"a")


class TestFolder:
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("UMAPCORE_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(Path, "home", lambda: tmp_path)

    @pytest.mark.parametrize(
        ("platform", "variables", "expected"),
        [
            ("linux", {}, ".cache/umapcore/kernels"),
            ("linux", {"XDG_CACHE_HOME": "/var/caches"}, "/var/caches/umapcore/kernels"),
            ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache/umapcore/kernels"),
            ("darwin", {}, "Library/Caches/umapcore/kernels"),
            ("win32", {}, "AppData/Local/umapcore/kernels"),
            ("win32", {"LOCALAPPDATA": "/local"}, "/local/umapcore/kernels"),
            ("linux", {"UMAPCORE_CACHE_DIR": "/mine"}, "/mine/kernels"),
        ],
    )
    def test_of_the_platform(
        self,
        platform: str,
        variables: dict[str, str],
        expected: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sys, "platform", platform)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert kernel_cache.folder() == tmp_path / expected

    def test_without_a_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", homeless)
        assert kernel_cache.folder() is None
        assert kernel_cache.contents() == (0, 0)
        assert _get() == 1
        assert _get(fresh_process=False) == 0
