"""Many points as one picture: counted in pixels, how many as opacity, their mean as colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pixels on an inch. Finer ones would mostly hold one point or none and show noise.
_PER_INCH = 150
_LIMITS = (150, 3000)
# Opacity of a pixel with a single point, which must be seen: less where pixels hold many.
_FAINTEST = (0.25, 0.7)
# The opacity is full from this quantile of the counts on; a few full pixels must not dim the rest.
_FULL_AT = 0.98


@dataclass(frozen=True)
class Raster:
    """Square pixels over the points."""

    #: Where the first pixel begins, in data coordinates.
    low: NDArray[np.float64]
    #: Side of a pixel, in data coordinates.
    step: float
    #: Rows and columns.
    shape: tuple[int, int]

    @classmethod
    def over(cls, points: NDArray[np.floating[Any]], inches: float) -> Raster:
        """Lay pixels over all points that are finite.

        Parameters
        ----------
        points
            Positions, (n, 2).
        inches
            Length that the longer side of the picture will have, about.
        """
        finite = points[np.isfinite(points).all(axis=1)].astype(np.float64)
        if not len(finite):
            finite = np.zeros((1, 2))
        low, high = finite.min(axis=0), finite.max(axis=0)
        side = int(np.clip(round(inches * _PER_INCH), *_LIMITS))
        step = float((high - low).max()) / side or 1.0
        columns, rows = np.floor((high - low) / step).astype(int) + 1
        return cls(low=low, step=step, shape=(int(rows), int(columns)))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in data coordinates."""
        right, top = self.low + self.step * np.array(self.shape[::-1])
        return float(self.low[0]), float(right), float(self.low[1]), float(top)

    def pixels(self, points: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
        """Find the number of each point's pixel; the points must be finite."""
        columns, rows = np.floor((points - self.low) / self.step).astype(np.intp).T
        rows = np.clip(rows, 0, self.shape[0] - 1)
        return np.asarray(rows * self.shape[1] + np.clip(columns, 0, self.shape[1] - 1))

    def counts(self, pixels: NDArray[np.intp]) -> NDArray[np.float64]:
        """How many points each pixel has, of :attr:`shape`."""
        return self.sums(pixels, None)

    def sums(
        self, pixels: NDArray[np.intp], values: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Sum of the points' values in each pixel, of :attr:`shape`."""
        size = self.shape[0] * self.shape[1]
        return np.bincount(pixels, values, size).astype(np.float64).reshape(self.shape)


def opacity(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Opacity of pixels by how many points they have: logarithmic, and 0 where there is none."""
    held = counts[counts > 0]
    if not len(held):
        return np.zeros_like(counts)
    full = max(float(np.quantile(held, _FULL_AT)), 2.0)
    scaled = np.log(np.maximum(counts, 1.0)) / np.log(full)
    faintest = float(np.clip(1.0 / np.log2(1.5 * full), *_FAINTEST))
    return np.where(counts > 0, np.minimum(faintest + (1.0 - faintest) * scaled, 1.0), 0.0)


def mean_colors(
    raster: Raster,
    pixels: NDArray[np.intp],
    codes: NDArray[np.intp],
    rgb: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean colour of each pixel's points, as RGBA with the opacity of their number.

    Parameters
    ----------
    raster
        The pixels.
    pixels, codes
        Pixel and group of every point.
    rgb
        Colour of each group, sRGB, (groups, 3).

    Returns
    -------
    Rows from the bottom up, (rows, columns, 4).
    """
    # Light adds up linearly, sRGB does not: the mean of its numbers would be too dark.
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    counts = raster.counts(pixels)
    image = np.zeros((*raster.shape, 4))
    for channel in range(3):
        mean = raster.sums(pixels, light[codes, channel]) / np.maximum(counts, 1.0)
        image[..., channel] = np.where(
            mean <= 0.0031308, 12.92 * mean, 1.055 * mean ** (1 / 2.4) - 0.055
        )
    image[..., 3] = opacity(counts)
    return np.clip(image, 0.0, 1.0)
