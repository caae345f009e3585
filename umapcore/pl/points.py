"""Draw the points in two or three dimensions, one by one or counted in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore.pl.raster import Raster, mean_colors, opacity
from umapcore.pl.style import NA_COLOR, NA_COLOR_ON_DARK, POINT_COLOR, Style, axes_size, on_dark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from numpy.typing import NDArray

    from umapcore.pl.options import Marks
    from umapcore.pl.scales import Scale
    from umapcore.pl.values import Groups

# Points without a value are drawn below the others, and outlines below all points.
_OUTLINE, _NA_BELOW, _ABOVE = (0.4, 0.5), 1.0, 2.0
# Widths of lines in points: of edges in a given colour, and of markers that are only lines.
_EDGE, _STROKE = 0.5, 1.0


@dataclass(frozen=True)
class Canvas:
    """Axes, the positions to draw into them, and the style."""

    ax: Axes
    #: Shape (n, 2) or (n, 3).
    points: NDArray[np.floating[Any]]
    marks: Marks
    marker: Any
    style: Style
    #: Pixels in which points are counted; None draws each point.
    raster: Raster | None
    na_color: str

    @classmethod
    def on(
        cls,
        ax: Axes,
        points: NDArray[np.floating[Any]],
        marks: Marks,
        marker: Any = None,
        *,
        raster: bool = False,
    ) -> Canvas:
        """Choose point size, opacity, pixels and grey by the number of points and the axes."""
        width, height = axes_size(ax)
        na_color = NA_COLOR_ON_DARK if on_dark(ax) else NA_COLOR
        style = Style.for_points(len(points), marks.size, marks.alpha, area=width * height)
        pixels = Raster.over(points, max(width, height)) if raster else None
        return cls(ax, points, marks, marker, style, pixels, marks.na_color or na_color)

    def plain(self, shown: NDArray[np.bool_] | None = None) -> None:
        """Draw all points alike, and those that are not to be shown in grey below them."""
        shown = np.ones(len(self.points), dtype=bool) if shown is None else shown
        self._outline()
        self._alike(~shown, self.na_color, _NA_BELOW)
        self._alike(shown, self.marks.na_color or POINT_COLOR, _ABOVE)

    def groups(self, groups: Groups, shades: Sequence[str]) -> None:
        """Draw groups in their colours, and points without a group in grey below them."""
        from matplotlib.colors import to_rgba_array

        self._outline()
        missing = groups.codes < 0
        self._alike(missing, self.na_color, _NA_BELOW)
        shown = ~missing & self._finite()
        if not shown.any():
            return
        rgba = to_rgba_array(shades)
        if self.raster is None:
            order = _shuffled(shown)
            colors = rgba[groups.codes[order]]
            # The opacity of the colours themselves counts too.
            faint = None if (rgba[:, 3] == 1.0).all() else colors[:, 3]
            self._scatter(order, colors, _ABOVE, faint)
            return
        pixels = self.raster.pixels(self.points[shown])
        image = mean_colors(self.raster, pixels, groups.codes[shown], rgba[:, :3])
        self._image(image, _ABOVE)

    def numbers(self, values: NDArray[np.float64], scale: Scale) -> ScalarMappable:
        """Draw numbers with a colour map, and points without a number in grey below them.

        Returns
        -------
        The scale, from which a colour bar can be made.
        """
        from matplotlib.cm import ScalarMappable

        self._outline()
        missing = np.isnan(values)
        self._alike(missing, self.na_color, _NA_BELOW)
        # What a norm cannot take, as a logarithmic one zeros, counts as missing too.
        cmap = scale.cmap.with_extremes(bad=self.na_color)
        colors = ScalarMappable(scale.norm, cmap)
        shown = ~missing & self._finite()
        if not shown.any():
            return colors
        values = scale.finite(values)
        if self.raster is None:
            order = _shuffled(shown)
            if self.marks.sort_order:
                order = order[np.argsort(values[order], kind="stable")]
            drawn = self._scatter(order, values[order], _ABOVE)
            drawn.set(cmap=cmap, norm=scale.norm)
            return colors
        pixels = self.raster.pixels(self.points[shown])
        counts = self.raster.counts(pixels)
        low, high = scale.ends
        inside = np.clip(values[shown], low, high)
        mean = self.raster.sums(pixels, inside) / np.maximum(counts, 1.0)
        # Where all are beyond an end, the colour map may have another colour.
        for beyond, end in ((values[shown] < low, -np.inf), (values[shown] > high, np.inf)):
            all_beyond = self.raster.sums(pixels, beyond.astype(np.float64)) == counts
            mean[all_beyond & (counts > 0)] = np.nextafter(low if end < 0 else high, end)
        image = np.asarray(colors.to_rgba(mean), dtype=np.float64)
        image[..., 3] = opacity(counts)
        self._image(image, _ABOVE)
        return colors

    def _finite(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.points).all(axis=1))

    def _alike(self, chosen: NDArray[np.bool_], color: str, zorder: float) -> None:
        from matplotlib.colors import to_rgba

        chosen = chosen & self._finite()
        *rgb, faint = to_rgba(color)
        if not chosen.any():
            return
        if self.raster is None:
            order = np.flatnonzero(chosen)
            # A colour for each point: with one for all, matplotlib takes no opacity for each.
            single = np.ndim(self.style.alpha) == 0
            colors = [rgb] if single else np.tile(rgb, (len(order), 1))
            self._scatter(order, colors, zorder, None if faint == 1.0 else faint)
            return
        image = np.empty((*self.raster.shape, 4))
        image[..., :3] = rgb
        image[..., 3] = opacity(self.raster.counts(self.raster.pixels(self.points[chosen])))
        image[..., 3] *= faint
        self._image(image, zorder)

    def _outline(self) -> None:
        """Draw two discs below each point, as scanpy does: a border, and a gap in it."""
        outline = self.marks.outline
        if outline is None:
            return
        border, gap = outline.widths
        colors = outline.colors or (("white", "black") if on_dark(self.ax) else ("black", "white"))
        order = np.flatnonzero(self._finite())
        inner = np.sqrt(np.broadcast_to(self.style.size, len(self.points))[order])
        middle = inner * (1.0 + 2.0 * gap)
        ax: Any = self.ax
        for across, color, zorder in zip(
            (middle + 2.0 * border * inner, middle), colors, _OUTLINE, strict=True
        ):
            ax.scatter(
                *self.points[order].T,
                s=across**2,
                c=color,
                marker=self.marker,
                linewidths=0,
                rasterized=self._rasterized,
                zorder=zorder,
            )

    @property
    def _rasterized(self) -> bool:
        chosen = self.marks.rasterized
        return self.style.rasterized if chosen is None else chosen

    def _scatter(
        self, order: NDArray[np.intp], colors: Any, zorder: float, faint: Any = None
    ) -> Any:
        from matplotlib.markers import MarkerStyle

        edge, width = self.marks.edgecolors, self.marks.linewidths
        filled = self.marker is None or MarkerStyle(self.marker).is_filled()
        if width is None:
            width = (0.0 if edge is None else _EDGE) if filled else _STROKE
        alpha = _of(self.style.alpha, order)
        ax: Any = self.ax  # 2-D or 3-D axes
        return ax.scatter(
            *self.points[order].T,
            s=_of(self.style.size, order),
            c=colors,
            alpha=alpha if faint is None else alpha * faint,
            marker=self.marker,
            edgecolors=edge if filled else None,
            linewidths=width,
            rasterized=self._rasterized,
            zorder=zorder,
        )

    def _image(self, image: NDArray[np.float64], zorder: float) -> None:
        assert self.raster is not None
        pixels = np.rint(255 * image).astype(np.uint8)
        self.ax.imshow(pixels, extent=self.raster.extent, origin="lower", zorder=zorder)
        left, right, bottom, top = self.raster.extent
        margin = 0.03 * max(right - left, top - bottom)
        self.ax.set(xlim=(left - margin, right + margin), ylim=(bottom - margin, top + margin))


def _of(values: Any, order: NDArray[np.intp]) -> Any:
    """Return a number of all points, or those of the points that are drawn."""
    return values[order] if np.ndim(values) else values


def _shuffled(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the chosen indices, shuffled in the same way each time."""
    return np.random.default_rng(0).permutation(np.flatnonzero(chosen))
