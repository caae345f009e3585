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

    from umapcore.pl.values import Groups

# Points without a value are drawn below the others.
_NA_BELOW, _ABOVE = 1.0, 2.0


@dataclass(frozen=True)
class Canvas:
    """Axes, the positions to draw into them, and the style."""

    ax: Axes
    #: Shape (n, 2) or (n, 3).
    points: NDArray[np.floating[Any]]
    style: Style
    #: Pixels in which points are counted; None draws each point.
    raster: Raster | None
    na_color: str

    @classmethod
    def on(
        cls,
        ax: Axes,
        points: NDArray[np.floating[Any]],
        *,
        size: float | None,
        alpha: float | None,
        raster: bool,
        na_color: str | None,
    ) -> Canvas:
        """Choose point size, opacity, pixels and grey by the number of points and the axes."""
        width, height = axes_size(ax)
        if na_color is None:
            na_color = NA_COLOR_ON_DARK if on_dark(ax) else NA_COLOR
        style = Style.for_points(len(points), size, alpha, area=width * height)
        pixels = Raster.over(points, max(width, height)) if raster else None
        return cls(ax, points, style, pixels, na_color)

    def plain(self) -> None:
        """Draw all points alike."""
        self._alike(np.ones(len(self.points), dtype=bool), POINT_COLOR, _ABOVE)

    def groups(self, groups: Groups, shades: Sequence[str]) -> None:
        """Draw groups in their colours, and points without a group in grey below them."""
        from matplotlib.colors import to_rgba_array

        missing = groups.codes < 0
        self._alike(missing, self.na_color, _NA_BELOW)
        shown = ~missing & self._finite()
        if not shown.any():
            return
        rgba = to_rgba_array(shades)
        if self.raster is None:
            order = _shuffled(shown)
            self._scatter(order, rgba[groups.codes[order]], _ABOVE)
            return
        pixels = self.raster.pixels(self.points[shown])
        image = mean_colors(self.raster, pixels, groups.codes[shown], rgba[:, :3])
        self._image(image, _ABOVE)

    def numbers(
        self,
        values: NDArray[np.float64],
        cmap: str,
        limits: tuple[float, float],
        *,
        sort_order: bool,
    ) -> ScalarMappable:
        """Draw numbers with a colour map, and points without a number in grey below them.

        Returns
        -------
        The scale, from which a colour bar can be made.
        """
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        missing = np.isnan(values)
        self._alike(missing, self.na_color, _NA_BELOW)
        scale = ScalarMappable(Normalize(*limits), cmap)
        shown = ~missing & self._finite()
        if not shown.any():
            return scale
        # Infinite values get the colours at the ends of the scale.
        clipped = np.clip(values, *limits)
        if self.raster is None:
            order = _shuffled(shown)
            if sort_order:
                order = order[np.argsort(clipped[order], kind="stable")]
            drawn = self._scatter(order, clipped[order], _ABOVE)
            drawn.set(cmap=cmap, norm=scale.norm)
            return scale
        pixels = self.raster.pixels(self.points[shown])
        counts = self.raster.counts(pixels)
        mean = self.raster.sums(pixels, clipped[shown]) / np.maximum(counts, 1.0)
        image = np.asarray(scale.to_rgba(mean), dtype=np.float64)
        image[..., 3] = opacity(counts)
        self._image(image, _ABOVE)
        return scale

    def _finite(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.points).all(axis=1))

    def _alike(self, chosen: NDArray[np.bool_], color: str, zorder: float) -> None:
        from matplotlib.colors import to_rgb

        chosen = chosen & self._finite()
        if not chosen.any():
            return
        if self.raster is None:
            self._scatter(np.flatnonzero(chosen), color, zorder)
            return
        image = np.empty((*self.raster.shape, 4))
        image[..., :3] = to_rgb(color)
        image[..., 3] = opacity(self.raster.counts(self.raster.pixels(self.points[chosen])))
        self._image(image, zorder)

    def _scatter(self, order: NDArray[np.intp], colors: Any, zorder: float) -> Any:
        ax: Any = self.ax  # 2-D or 3-D axes
        return ax.scatter(
            *self.points[order].T,
            s=self.style.size,
            c=colors,
            alpha=self.style.alpha,
            linewidths=0,
            rasterized=self.style.rasterized,
            zorder=zorder,
        )

    def _image(self, image: NDArray[np.float64], zorder: float) -> None:
        assert self.raster is not None
        pixels = np.rint(255 * image).astype(np.uint8)
        self.ax.imshow(pixels, extent=self.raster.extent, origin="lower", zorder=zorder)
        left, right, bottom, top = self.raster.extent
        margin = 0.03 * max(right - left, top - bottom)
        self.ax.set(xlim=(left - margin, right + margin), ylim=(bottom - margin, top + margin))


def _shuffled(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the chosen indices, shuffled in the same way each time."""
    return np.random.default_rng(0).permutation(np.flatnonzero(chosen))
