"""What colours points: numbers, dates and durations on scales, all else as groups."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from umapcore import pl
from umapcore.pl.values import DATES, Groups, Numbers, read_values

pytest.importorskip(
    "matplotlib", reason='matplotlib is not installed (pip install "umapcore[plot]")'
)

from matplotlib import dates
from matplotlib.figure import Figure

DAYS = [dt.date(2020, 3, 1), dt.date(2020, 3, 2), dt.date(2020, 3, 4)]
STAMPS = pd.to_datetime(["2020-03-01", "2020-03-02", "2020-03-04"])


def _of(values: Any) -> AnnData:
    obs = pd.DataFrame({"x": pd.Series(values)})
    obs.index = obs.index.astype(str)
    points = np.random.default_rng(0).normal(size=(len(obs), 2))
    return AnnData(obs=obs, obsm={"X_umap": points})


@pytest.mark.parametrize(
    "values",
    [
        [*STAMPS, pd.NaT],
        [*STAMPS.as_unit("s"), pd.NaT],
        [*STAMPS.tz_localize("Asia/Tokyo"), pd.NaT],
        [*STAMPS.to_period("D"), pd.NaT],
        pd.Series([*DAYS, None], dtype=object),
        pd.Series([*STAMPS.to_pydatetime(), None], dtype=object),
        pd.Series([*STAMPS.tz_localize("Asia/Tokyo"), None], dtype=object),
    ],
)
def test_dates(values: Any) -> None:
    found = read_values(_of(values), "x")
    assert isinstance(found, Numbers)
    assert found.unit == DATES
    expected = [float(dates.date2num(day)) for day in DAYS]
    np.testing.assert_array_equal(found.values, [*expected, np.nan])


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        (pd.to_timedelta([1, 2, None], unit="D"), "days", [1, 2, np.nan]),
        (pd.to_timedelta([-90, 30], unit="m"), "hours", [-1.5, 0.5]),
        (pd.Series([dt.timedelta(seconds=90), None], dtype=object), "minutes", [1.5, np.nan]),
        (pd.to_timedelta([None, 1], unit="ms"), "seconds", [np.nan, 0.001]),
    ],
)
def test_durations(values: Any, unit: str, expected: list[float]) -> None:
    found = read_values(_of(values), "x")
    assert isinstance(found, Numbers)
    assert found.unit == unit
    np.testing.assert_allclose(found.values, expected)


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, 2, None], dtype="Int64"),
        pd.Series([1, 2.0, None], dtype=object),
        pd.Series([Decimal(1), Decimal(2), None], dtype=object),
        pd.arrays.SparseArray([1.0, 2.0, np.nan]),
    ],
)
def test_numbers_of_other_types(values: Any) -> None:
    found = read_values(_of(values), "x")
    assert isinstance(found, Numbers)
    np.testing.assert_array_equal(found.values, [1, 2, np.nan])


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pd.array([True, False, None], dtype="boolean"), ["False", "True"]),
        (pd.Categorical([STAMPS[0], STAMPS[2], None]), ["2020-03-01", "2020-03-04"]),
        (pd.Categorical([2, 1, None]), ["1", "2"]),
        (pd.Series(["x", 3, None], dtype=object), ["3", "x"]),
    ],
)
def test_groups(values: Any, names: list[str]) -> None:
    found = read_values(_of(values), "x")
    assert isinstance(found, Groups)
    assert found.names == names
    assert found.codes[2] == -1


@pytest.mark.parametrize("values", [[1j, 2j], pd.Series([[1], [2]], dtype=object)])
def test_what_cannot_be_drawn(values: Any) -> None:
    with pytest.raises(ValueError, match="color='x' names values of type"):
        read_values(_of(values), "x")


def test_a_colour_bar_has_dates() -> None:
    adata = _of(pd.date_range("2020-01-01", periods=200))
    for options in ({}, {"raster": True}, {"vmin": "2020-02-01", "vmax": dt.date(2020, 3, 1)}):
        ax = Figure(layout="constrained").add_subplot()
        pl.umap(adata, color="x", ax=ax, **options)
        ax.figure.draw_without_rendering()
        assert ax.get_legend() is None
        bar = ax.child_axes[0].yaxis
        assert isinstance(bar.get_major_formatter(), dates.ConciseDateFormatter)
        assert any(label.get_text() == "Feb" for label in bar.get_ticklabels())
    expected = [float(dates.date2num(dt.date(2020, month, 1))) for month in (2, 3)]
    assert list(ax.collections[-1].get_clim()) == expected


@pytest.mark.parametrize("values", [[STAMPS[0]] * 3, [pd.NaT] * 3, [dt.date(1, 1, 1), *DAYS[:2]]])
def test_odd_dates_can_be_drawn(values: list[Any]) -> None:
    kind = object if isinstance(values[0], dt.date) and values[0].year == 1 else "datetime64[ns]"
    ax = Figure(layout="constrained").add_subplot()
    pl.umap(_of(pd.Series(values, dtype=kind)), color="x", ax=ax)
    ax.figure.draw_without_rendering()


def test_limits_of_durations() -> None:
    adata = _of(pd.to_timedelta([0, 10], unit="h"))
    ax = Figure(layout="constrained").add_subplot()
    pl.umap(adata, color="x", ax=ax, vmin="1h", vmax=np.timedelta64(120, "m"))
    assert ax.collections[-1].get_clim() == (1, 2)
    with pytest.raises(ValueError, match=r"vmin='soon'.*duration"):
        pl.umap(adata, color="x", vmin="soon")
