"""Colours of groups: those that the user gives, those in `uns`, and the package's own."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.stored import plain_list
from umapcore.errors import bad_type, bad_value, did_you_mean
from umapcore.logs import logger

if TYPE_CHECKING:
    from anndata import AnnData

    from umapcore.pl.values import Groups

# Chosen greedily in the Oklab space: each colour is the farthest from all earlier ones. The
# distance is the smaller of two: that of normal vision, and 2.2 times that of deuteranopia.
# Lightness and chroma are bounded, so that no group dominates.
COLORS = (
    "#4c78a8",
    "#e4572e",
    "#59a14f",
    "#b07aa1",
    "#edb23c",
    "#17a2b8",
    "#8c564b",
    "#e377c2",
    "#702097",
    "#006000",
    "#97a7ff",
    "#48d7af",
    "#8f58d7",
    "#b73080",
    "#305070",
    "#3048bf",
    "#288fff",
    "#871850",
    "#e78f80",
    "#977800",
    "#ffa7e7",
    "#af1000",
    "#48cfff",
    "#207060",
    "#af9f50",
    "#b778f7",
    "#80508f",
    "#108700",
    "#b7d778",
    "#df5080",
    "#78af97",
    "#8787d7",
)

_GOLDEN_ANGLE = 0.6180339887498949


# Darker colours than this are hard to see on black.
_DIMMEST_ON_DARK = 0.42


def group_colors(n_groups: int, *, dark: bool = False) -> list[str]:
    """Return `n_groups` different colours as '#rrggbb'; the first ones are always the same.

    Parameters
    ----------
    n_groups
        Number of colours.
    dark
        Whether the background is dark. Colours that are too dim for it are lightened.
    """
    colors = list(COLORS[:n_groups])
    # Nobody can tell more groups than the list holds apart by colour: the rest must only differ.
    for i in range(len(colors), n_groups):
        hue = i * _GOLDEN_ANGLE % 1.0
        rgb = colorsys.hls_to_rgb(hue, (0.38, 0.5, 0.65)[i % 3], (0.8, 0.5)[i % 2])
        colors.append("#" + "".join(f"{round(255 * channel):02x}" for channel in rgb))
    return [_lightened(color) for color in colors] if dark else colors


def _lightened(color: str) -> str:
    rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    bright = sum(weight * channel for weight, channel in zip((0.21, 0.72, 0.07), rgb, strict=True))
    if bright >= _DIMMEST_ON_DARK:
        return color
    white = (_DIMMEST_ON_DARK - bright) / (1 - bright)
    return "#" + "".join(f"{round(255 * (c + white * (1 - c))):02x}" for c in rgb)


def shades(
    adata: AnnData, color: str, groups: Groups, palette: Any, *, dark: bool = False
) -> list[str]:
    """Choose a colour for each group.

    Parameters
    ----------
    adata
        Annotated data, only read. It may hold ``uns['<color>_colors']``, as scanpy writes it.
    color
        Name of the column or variable that defines the groups.
    groups
        The groups.
    palette
        None, or the colours in any form that :func:`umapcore.pl.umap` takes.
    dark
        Whether the background is dark.

    Returns
    -------
    Colours as '#rrggbb', or '#rrggbbaa' if they are transparent.

    Raises
    ------
    ValueError, TypeError
        If the palette lacks a colour or contains an invalid one.
    """
    if palette is not None:
        return _chosen("palette", palette, groups)
    key = f"{color}_colors"
    stored = adata.uns.get(key)
    if not isinstance(stored, Mapping):
        stored = plain_list(stored) or None
    try:
        if isinstance(stored, Mapping) or (
            stored is not None and len(stored) >= groups.n_categories
        ):
            return _chosen(f"uns[{key!r}]", stored, groups)
    except (TypeError, ValueError) as error:
        logger.warning("uns[%r] is not used: %s", key, error)
    own = group_colors(groups.n_categories, dark=dark)
    return [own[i] for i in groups.category]


def _chosen(name: str, palette: Any, groups: Groups) -> list[str]:
    """Take the colours of the groups out of a palette of any form."""
    import pandas as pd

    if isinstance(palette, pd.Series):
        by_name = {str(key) for key in palette.index}.issuperset(groups.names)
        palette = palette.to_dict() if by_name else palette.to_list()
    if isinstance(palette, Mapping):
        by_group = {str(key): shade for key, shade in palette.items()}
        missing = [group for group in groups.names if group not in by_group]
        if missing:
            raise bad_value(name, palette, f"a mapping that has a colour for {missing[0]!r}")
        return [_hex(name, by_group[group]) for group in groups.names]
    listed = [_hex(name, shade) for shade in _listed(name, palette, groups.n_categories)]
    if not listed:
        raise bad_value(name, palette, "at least one colour")
    if len(listed) < groups.n_categories:
        logger.warning(
            "%s has %d colours for %d categories: some have the same colour",
            name,
            len(listed),
            groups.n_categories,
        )
    repeated = list(islice(cycle(listed), groups.n_categories))
    return [repeated[i] for i in groups.category]


def _listed(name: str, palette: Any, count: int) -> list[Any]:
    """Return the colours of a palette that is no mapping, at most `count`."""
    import matplotlib as mpl
    from matplotlib.colors import Colormap, ListedColormap, is_color_like

    allowed = "the name of a colour map, a colour map, a cycler, or colours of groups"
    if isinstance(palette, str):
        if palette in mpl.color_sequences:
            return list(mpl.color_sequences[palette])[:count]
        if palette in mpl.colormaps:
            palette = mpl.colormaps[palette]
        elif not is_color_like(palette):
            hint = did_you_mean(palette, [*mpl.colormaps, *mpl.color_sequences])
            raise bad_value(name, palette, allowed, hint)
    if isinstance(palette, Colormap):
        if isinstance(palette, ListedColormap) and palette.N < 256:
            return [palette(i) for i in range(min(palette.N, count))]
        return [palette(value) for value in np.linspace(0.0, 1.0, max(count, 1))]
    if hasattr(palette, "by_key"):  # a cycler
        if "color" not in palette.keys:
            raise bad_value(name, palette, "a cycler with the key 'color'")
        palette = palette.by_key()["color"]
    if not hasattr(palette, "__len__") or getattr(palette, "ndim", 1) == 0:
        raise bad_type(name, palette, allowed)
    return [palette] if is_color_like(palette) else list(palette)[:count]


def _hex(name: str, shade: Any) -> str:
    """Return a colour in any form of matplotlib's as text."""
    from matplotlib.colors import is_color_like, to_hex

    if isinstance(shade, bytes):  # files from other languages
        shade = shade.decode(errors="replace")
    if not is_color_like(shade):
        raise bad_value(name, shade, "made of colours that matplotlib knows")
    rgba = str(to_hex(shade, keep_alpha=True))
    return rgba[:7] if rgba.endswith("ff") else rgba
