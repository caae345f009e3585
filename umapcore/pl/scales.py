"""Choose the colour scale of numbers, dates and durations: its colours, its ends, its ticks."""

from __future__ import annotations

import datetime as dt
import re
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.errors import bad_type, bad_value, did_you_mean
from umapcore.pl.options import per_panel
from umapcore.pl.values import DATES, UNITS, days

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.colors import Colormap, Normalize
    from numpy.typing import NDArray

    from umapcore.pl.values import Numbers

_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
_ENDS = {"vmin": 0.0, "vcenter": 50.0, "vmax": 100.0}


@dataclass(frozen=True)
class Scale:
    """Colours of numbers. Its parts belong to one picture: matplotlib may change them."""

    cmap: Colormap
    norm: Normalize
    #: As in :class:`umapcore.pl.values.Numbers`.
    unit: str | None

    @property
    def ends(self) -> tuple[float, float]:
        """The values at the two ends."""
        norm: Any = self.norm
        return float(norm.vmin), float(norm.vmax)

    def finite(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values with infinite ones at, or beyond, the ends of the scale."""
        known = values[np.isfinite(values)]
        low, high = self.ends
        return np.nan_to_num(
            values,
            nan=np.nan,
            neginf=min(low, float(known.min(initial=low))),
            posinf=max(high, float(known.max(initial=high))),
        )


def choose_cmap(cmap: Any) -> Colormap:
    """Return a colour map by its name, or the one that matplotlib is set to use."""
    import matplotlib as mpl
    from matplotlib.colors import Colormap

    if isinstance(cmap, Colormap):
        return cmap
    if cmap is None:
        cmap = mpl.rcParams["image.cmap"]
    if not isinstance(cmap, str):
        raise bad_type("cmap", cmap, "a colour map of matplotlib or its name")
    if cmap not in mpl.colormaps:
        hint = did_you_mean(cmap, list(mpl.colormaps))
        raise bad_value("cmap", cmap, "a colour map of matplotlib or its name", hint)
    return mpl.colormaps[cmap]


def scales(values: list[Numbers | None], given: Mapping[str, Any]) -> list[Scale | None]:
    """Choose the scale of each panel that shows numbers.

    Parameters
    ----------
    values
        The numbers of each panel; None where there are none.
    given
        Parameters of the plot: `cmap`, `vmin`, `vmax`, `vcenter`, `norm`.
    """
    from matplotlib.colors import Normalize

    cmap = choose_cmap(given["cmap"])
    ends = {name: per_panel(name, given[name], len(values)) for name in (*_ENDS, "norm")}
    found: list[Scale | None] = []
    for i, numbers in enumerate(values):
        limits = {name: ends[name][i] for name in _ENDS}
        norm = ends["norm"][i]
        if norm is not None and not isinstance(norm, Normalize):
            raise bad_type("norm", norm, "a Normalize of matplotlib.colors, or one for each panel")
        if norm is not None and any(limit is not None for limit in limits.values()):
            msg = "norm= and vmin=, vmax= or vcenter= exclude each other: give the norm its limits."
            raise ValueError(msg)
        if numbers is None:
            found.append(None)
            continue
        known = numbers.values[np.isfinite(numbers.values)]
        norm = _between(limits, known, numbers.unit) if norm is None else _fitted(norm, known)
        found.append(Scale(cmap, norm, numbers.unit))
    return found


def _fitted(norm: Normalize, known: NDArray[np.float64]) -> Normalize:
    """Return a copy of a caller's norm, with the limits that it lacks taken from the values."""
    from matplotlib.colors import Normalize

    if not len(known):
        return Normalize(0.0, 1.0)
    fitted = deepcopy(norm)
    msg = f"norm={norm!r} cannot take the values from {known.min():g} to {known.max():g}."
    try:
        fitted.autoscale_None(known)
        fitted(known)
        ends = np.array([fitted.vmin, fitted.vmax], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(msg) from error
    if not np.isfinite(ends).all():
        raise ValueError(msg)
    return fitted


def _between(limits: Mapping[str, Any], known: NDArray[np.float64], unit: str | None) -> Normalize:
    """Return a linear norm, or one with two slopes around a centre."""
    from matplotlib.colors import Normalize, TwoSlopeNorm

    low, center, high = (_limit(name, limits[name], known, unit) for name in _ENDS)
    fixed = {name for name, limit in limits.items() if limit is not None and not _computed(limit)}
    if low > high:
        # An end that comes from the values gives way to one that the caller has fixed.
        if "vmin" in fixed and "vmax" not in fixed:
            high = low
        elif "vmax" in fixed and "vmin" not in fixed:
            low = high
        else:
            raise bad_value("vmin", limits["vmin"], f"at most vmax, {high:g}")
    if limits["vcenter"] is None:
        return Normalize(low, high)
    # The centre has to lie between the ends: one that is not fixed moves away from it.
    away = max(abs(high - center), abs(center - low)) or 1.0
    if center <= low and "vmin" not in fixed:
        low = center - away
    if center >= high and "vmax" not in fixed:
        high = center + away
    if not low < center < high:
        raise bad_value("vcenter", limits["vcenter"], f"between vmin, {low:g}, and vmax, {high:g}")
    return TwoSlopeNorm(center, low, high)


def _computed(limit: Any) -> bool:
    return callable(limit) or (isinstance(limit, str) and _PERCENTILE.fullmatch(limit) is not None)


def _limit(name: str, limit: Any, known: NDArray[np.float64], unit: str | None) -> float:
    """Return an end or the centre of a scale."""
    allowed = "a finite number, None, a percentile as in 'p99', or a function of the values"
    percentile = _ENDS[name]
    if isinstance(limit, str) and (match := _PERCENTILE.fullmatch(limit)):
        percentile = float(match[1])
        if percentile > 100:
            raise bad_value(name, limit, allowed)
    elif callable(limit):
        if not len(known):
            return percentile / 100
        return _number(name, limit(known), "a function that returns a finite number")
    elif limit is not None:
        if unit is not None:
            limit = _of_unit(name, limit, unit)
        return _number(name, limit, allowed)
    return float(np.percentile(known, percentile)) if len(known) else percentile / 100


def _number(name: str, value: Any, allowed: str) -> float:
    if isinstance(value, (str, bool, np.bool_)) or np.ndim(value):
        raise bad_value(name, value, allowed)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise bad_type(name, value, allowed) from None
    if not np.isfinite(number):
        raise bad_value(name, value, allowed)
    return number


def _of_unit(name: str, limit: Any, unit: str) -> Any:
    """Return a date as days since 1970, or a duration in its unit; numbers are these already."""
    import pandas as pd

    try:
        if unit == DATES and isinstance(limit, (str, dt.date, np.datetime64)):
            return days(pd.Series([pd.Timestamp(limit)]))[0]
        if unit in UNITS and isinstance(limit, (str, dt.timedelta, np.timedelta64)):
            return pd.Timedelta(limit).total_seconds() / UNITS[unit]
    except ValueError:
        what = "date" if unit == DATES else "duration"
        raise bad_value(name, limit, f"a {what}, None, or a percentile as in 'p99'") from None
    return limit
