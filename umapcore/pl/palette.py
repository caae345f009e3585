"""Colours for groups that differ from one another, from white and from missing values."""

from __future__ import annotations

import colorsys

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
