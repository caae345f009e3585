"""Values as other programs and files store them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from umapcore._kit.stored import plain, plain_list, stored_column, stored_integer, stored_text


@pytest.mark.parametrize(
    "stored",
    [
        "x",
        b"x",
        np.str_("x"),
        np.bytes_(b"x"),
        np.array("x"),
        np.array(["x"]),
        np.array([[b"x"]], dtype=object),
        ["x"],
        (np.array([b"x"]),),
        pd.Series(["x"]),
        pd.Categorical(["x"]),
    ],
    ids=repr,
)
def test_one_text(stored: Any) -> None:
    assert plain(stored) == "x"
    assert type(plain(stored)) is str
    assert stored_text(stored, "name", "a text") == "x"
    assert plain_list(stored) == ["x"]


@pytest.mark.parametrize("stored", [3, 3.0, np.int8(3), np.float32(3), np.array([3.0]), [3]])
def test_one_integer(stored: Any) -> None:
    found = stored_integer(stored, "name", 0)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize(
    "stored", [None, "", "None", b"NA", np.nan, np.array([np.nan]), pd.NA, np.array([]), []]
)
def test_no_value(stored: Any) -> None:
    assert stored_text(stored, "name", "a text") is None
    assert stored_integer(stored, "name", 0) is None


def test_on_disk_and_not_yet_computed(tmp_path: Any) -> None:
    h5py, dask = pytest.importorskip("h5py"), pytest.importorskip("dask.array")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["text"] = "x"
        file["texts"] = ["x"]
        file["group/number"] = [3]
        file["none"] = h5py.Empty("f")
        assert plain(file["text"]) == plain(file["texts"]) == "x"
        assert plain(file["group"]) == {"number": 3}
        assert plain(file["none"][()]) is None
    assert plain(dask.from_array(np.array(["x"]), chunks=1)) == "x"


def test_what_is_not_one_value_stays() -> None:
    array = np.arange(3)
    assert plain(array) is array
    assert plain({"a": {"b": np.int64(3)}, b"c": ["x", b"y"]}) == {"a": {"b": 3}, "c": ["x", "y"]}
    assert plain(np.longdouble(2)) == 2
    assert plain_list({"a": 1}) == plain_list(None) == []
    assert plain_list(np.array([b"x", b"y"])) == ["x", "y"]


@pytest.mark.parametrize("stored", [{"rna": "X"}, ["X", "Y"], np.array(["X", "Y"]), 3])
def test_errors_name_the_entry(stored: Any) -> None:
    with pytest.raises(TypeError, match=r"\.uns\['k'\]=.* has type .*must be a text"):
        stored_text(stored, ".uns['k']", "a text")
    if not isinstance(stored, int):
        with pytest.raises(TypeError, match=r"\.uns\['k'\]=.* has type .*an integer"):
            stored_integer(stored, ".uns['k']", 0)


def test_column_of_a_table_on_disk() -> None:
    """As anndata's table of lazily read columns: only those that are chosen are loaded."""
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": [1, 2]})

    class Table:
        def __getitem__(self, names: list[str]) -> Any:
            return SimpleNamespace(to_memory=lambda: frame[names])

        def to_memory(self) -> Any:
            pytest.fail("all columns were loaded")

    assert stored_column(Table(), "a").equals(stored_column(frame, "a"))
