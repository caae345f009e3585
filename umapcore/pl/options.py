"""Check what ``umapcore.pl.umap`` is given, before anything is drawn."""

from __future__ import annotations

import inspect
import math
import numbers
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.checks import check_real
from umapcore.errors import bad_type, bad_value, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

#: Parameters of matplotlib's `scatter` that are passed on.
PASSED_ON = ("edgecolors", "linewidths", "rasterized")
_OTHER_NAMES = {
    "color_map": "cmap",
    "s": "size",
    "edgecolor": "edgecolors",
    "linewidth": "linewidths",
    "lw": "linewidths",
}
_LEFT_OUT = {
    "arrows": "scvelo's scv.pl.velocity_embedding draws velocities",
    "arrows_kwds": "scvelo's scv.pl.velocity_embedding draws velocities",
    "scale_factor": "size= gives the size of the points",
    "c": "color= names the values",
}
_MARGIN, _ON_DATA = "right margin", "on data"
_BESIDE = ("right", "left", "top", "bottom")
_MOST_WIDE = 10.0


def named(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of the plot by name, those that are not given with their defaults.

    Parameters
    ----------
    function
        The plot's function, whose signature has the names and defaults.
    given
        What the caller has given: also under scanpy's and matplotlib's other names.

    Raises
    ------
    TypeError
        For an unknown name, or for two names of one parameter.
    """
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    known |= dict.fromkeys(PASSED_ON)
    found = dict(known)
    for name, value in given.items():
        if name in _LEFT_OUT:
            if value is not None and value is not False:
                msg = f"{name}={value!r} is not a parameter of umapcore's plots: {_LEFT_OUT[name]}."
                raise TypeError(msg)
            continue
        real = _OTHER_NAMES.get(name, name)
        if real not in known:
            hint = did_you_mean(name, [*inspect.signature(function).parameters, *_OTHER_NAMES])
            msg = f"{function.__name__}() has no parameter {name!r}.{hint}"
            raise TypeError(msg)
        if real != name:
            if value is None:
                continue
            if given.get(real) is not None:
                msg = f"{name}= and {real}= are the same parameter: give one of the two."
                raise TypeError(msg)
        found[real] = value
    return found


@dataclass(frozen=True)
class Outline:
    """Two discs below each point that make a border around groups of points."""

    #: Widths of border and gap, as a share of the point's diameter.
    widths: tuple[float, float]
    #: Colours of border and gap; None: black and white, or the reverse on a dark background.
    colors: tuple[str, str] | None


@dataclass(frozen=True)
class Marks:
    """How points are drawn; None leaves a choice to the picture."""

    size: float | NDArray[np.float64] | None
    alpha: float | NDArray[np.float64] | None
    edgecolors: Any
    linewidths: float | None
    rasterized: bool | None
    outline: Outline | None
    na_color: Any
    sort_order: bool

    @classmethod
    def read(cls, given: Mapping[str, Any], n: int) -> Marks:
        """Check the parameters of a picture of `n` points."""
        outline = None
        if flag("add_outline", given["add_outline"]):
            border, gap = _pair("outline_width", given["outline_width"])
            shades = given["outline_color"]
            if shades is not None:
                first, second = _pair("outline_color", shades)
                shades = color("outline_color", first), color("outline_color", second)
            outline = Outline(
                (
                    check_real("outline_width", border, at_least=0.0),
                    check_real("outline_width", gap, at_least=0.0),
                ),
                shades,
            )
        edge = given["edgecolors"]
        if edge is not None and not (isinstance(edge, str) and edge in {"face", "none"}):
            edge = color("edgecolors", edge)
        wide, pixels = given["linewidths"], given["rasterized"]
        return cls(
            size=_of_points("size", given["size"], n, math.inf),
            alpha=_of_points("alpha", given["alpha"], n, 1.0),
            edgecolors=edge,
            linewidths=None if wide is None else check_real("linewidths", wide, at_least=0.0),
            rasterized=None if pixels is None else flag("rasterized", pixels),
            outline=outline,
            na_color=None if given["na_color"] is None else color("na_color", given["na_color"]),
            sort_order=flag("sort_order", given["sort_order"]),
        )

    @property
    def of_single_points(self) -> list[str]:
        """Names of the choices that mean nothing where points are counted in pixels."""
        names = ("size", "alpha", "edgecolors", "linewidths", "rasterized")
        found = [name for name in names if getattr(self, name) is not None]
        return [*found, *(["add_outline"] if self.outline else [])]


@dataclass(frozen=True)
class LegendStyle:
    """Where the groups' names are, and how they are written."""

    #: 'right margin', 'on data', a place of matplotlib's, or None for no names.
    place: str | None
    fontsize: float | None
    fontweight: Any
    outline: float | None
    na_in_legend: bool

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> LegendStyle:
        """Check the parameters."""
        from matplotlib.font_manager import weight_dict

        weight, size = given["legend_fontweight"], given["legend_fontsize"]
        numeric = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not (
            weight is None
            or (isinstance(weight, str) and weight in weight_dict)
            or (numeric and 0 <= float(weight) <= 1000)
        ):
            hint = did_you_mean(str(weight), weight_dict)
            allowed = "None, a number from 0 to 1000, or a weight such as 'normal' or 'bold'"
            raise bad_value("legend_fontweight", weight, allowed, hint)
        outline = given["legend_fontoutline"]
        return cls(
            place=_place(given["legend_loc"]),
            fontsize=None if size is None else _points("legend_fontsize", size),
            fontweight=weight,
            outline=None
            if outline is None
            else check_real("legend_fontoutline", outline, at_least=0.0),
            na_in_legend=flag("na_in_legend", given["na_in_legend"]),
        )

    @property
    def on_data(self) -> bool:
        """Whether the names are written on the points."""
        return self.place == _ON_DATA

    @property
    def letters(self) -> dict[str, Any]:
        """What the caller has chosen of the letters of names on the data."""
        chosen = {
            "fontsize": self.fontsize,
            "fontweight": self.fontweight,
            "fontoutline": self.outline,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    @property
    def beside(self) -> bool:
        """Whether the names are at the right of the axes."""
        return self.place == _MARGIN


@dataclass(frozen=True)
class Frame:
    """What surrounds the panels."""

    frameon: bool | None
    colorbar_loc: str | None
    ncols: int | None
    wspace: float | None
    hspace: float | None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Frame:
        """Check the parameters."""
        on, beside, ncols = given["frameon"], given["colorbar_loc"], given["ncols"]
        if beside is not None and not (isinstance(beside, str) and beside in _BESIDE):
            raise bad_value("colorbar_loc", beside, f"None or one of {', '.join(_BESIDE)}")
        if ncols is not None and (
            isinstance(ncols, bool) or not isinstance(ncols, numbers.Integral) or ncols < 1
        ):
            raise bad_value("ncols", ncols, "None or an integer of at least 1")
        spaces = {
            name: None
            if given[name] is None
            else check_real(name, given[name], at_least=0.0, at_most=_MOST_WIDE)
            for name in ("wspace", "hspace")
        }
        return cls(
            frameon=None if on is None else flag("frameon", on),
            colorbar_loc=beside,
            ncols=None if ncols is None else int(ncols),
            **spaces,
        )


@dataclass(frozen=True)
class Output:
    """What happens with the finished picture."""

    show: bool
    path: Path | None
    return_fig: bool

    @classmethod
    def read(cls, given: Mapping[str, Any], name: str) -> Output:
        """Check the parameters; `name` is that of a file that has none."""
        show, figure = given["show"], given["return_fig"]
        return cls(
            show=False if show is None else flag("show", show),
            path=_file(given["save"], name),
            return_fig=False if figure is None else flag("return_fig", figure),
        )


def flag(name: str, value: object) -> bool:
    """Return a parameter that is true or false."""
    if not isinstance(value, (bool, np.bool_)):
        raise bad_type(name, value, "True or False")
    return bool(value)


def color(name: str, value: Any) -> str:
    """Return a colour in any form of matplotlib's as text, with its opacity."""
    from matplotlib.colors import is_color_like, to_hex

    if not is_color_like(value):
        raise bad_value(name, value, "a colour that matplotlib knows")
    return str(to_hex(value, keep_alpha=True))


def per_panel(name: str, value: Any, count: int) -> list[Any]:
    """Return a parameter of each panel: one for all, or a sequence of one for each."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [value] * count
    if len(value) not in {1, count}:
        raise bad_value(name, value, f"one value, or one for each panel, {count}")
    return list(value) * (count if len(value) == 1 else 1)


def markers(value: Any, count: int) -> list[Any]:
    """Return the marker of each panel; None is the default, a disc."""
    from matplotlib.markers import MarkerStyle

    # A tuple may be one marker: (number of sides, style, angle).
    several = isinstance(value, list) or (
        isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    )
    chosen = per_panel("marker", value, count) if several else [value] * count
    for each in chosen:
        if each is None:
            continue
        try:
            MarkerStyle(each)
        except (TypeError, ValueError):
            allowed = "a marker of matplotlib's, such as 'o', '.' or 's', or one for each panel"
            raise bad_value("marker", each, allowed) from None
    return chosen


def _of_points(name: str, value: Any, n: int, most: float) -> float | NDArray[np.float64] | None:
    """Return a number for all points, or one for each."""
    if value is None:
        return None
    bound = "of at least 0" + ("" if most == math.inf else f" and at most {most:g}")
    allowed = f"None, a number {bound}, or {n} of them, one for each observation"
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise bad_type(name, value, allowed) from None
    if isinstance(value, (str, bool, np.bool_)):
        raise bad_type(name, value, allowed)
    if found.ndim == 2 and 1 in found.shape:
        found = found.ravel()
    if found.shape not in {(), (n,)} or not ((found >= 0.0) & (found <= most)).all():
        raise bad_value(name, value, allowed)
    if not np.isfinite(found).all():
        raise bad_value(name, value, allowed)
    return found if found.ndim else float(found)


def _place(value: Any) -> str | None:
    from matplotlib.legend import Legend

    if value is None or (isinstance(value, str) and value == "none"):
        return None
    names = (_MARGIN, _ON_DATA, *Legend.codes)
    if isinstance(value, str) and value in names:
        return value
    if isinstance(value, str) and value == "on data export":
        msg = (
            "legend_loc='on data export' is not one of umapcore's places: use 'on data', and take "
            "the positions of the names from ax.texts."
        )
        raise ValueError(msg)
    hint = did_you_mean(value, names) if isinstance(value, str) else ""
    allowed = f"'{_MARGIN}', '{_ON_DATA}', None, or a place of matplotlib's such as 'upper right'"
    raise bad_value("legend_loc", value, allowed, hint)


def _points(name: str, value: Any) -> float:
    """Return a size of letters in points."""
    from matplotlib.font_manager import FontProperties, font_scalings

    names = sorted(name for name in font_scalings if name is not None)
    allowed = f"None, a number above 0, or one of {', '.join(names)}"
    if isinstance(value, str) and value in font_scalings:
        return float(FontProperties(size=value).get_size_in_points())
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise bad_value(name, value, allowed)
    if not 0.0 < float(value) <= 1000.0:
        raise bad_value(name, value, allowed)
    return float(value)


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        raise bad_value(name, value, "a pair: that of the border and that of the gap")
    first, second = value
    return first, second


def _file(save: Any, name: str) -> Path | None:
    """Return the path to save to. True: a PDF with the embedding's name, as in scanpy."""
    from matplotlib.backend_bases import FigureCanvasBase

    if save is None or save is False:
        return None
    if save is not True and (not isinstance(save, (str, os.PathLike)) or not str(save)):
        raise bad_type("save", save, "the path of a file, True or False")
    path = Path(f"{name}.pdf") if save is True else Path(save)
    if not path.suffix:
        path = path.with_suffix(".pdf")
    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise bad_value("save", str(save), f"a path that ends in one of {', '.join(formats)}")
    if not path.absolute().parent.is_dir():
        raise bad_value("save", str(save), "a path in a folder that exists")
    return path
