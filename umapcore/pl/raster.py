"""Draw many points as one image: their number sets a pixel's opacity, their mean its colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pixels per inch. Smaller pixels would mostly hold one point or none and show noise.
_PER_INCH = 150
_LIMITS = (150, 3000)
# Opacity of a pixel with one point, which must be visible. It is lower where pixels hold many.
_FAINTEST = (0.25, 0.7)
# Opacity is full from this quantile of the counts: a few crowded pixels must not dim the rest.
_FULL_AT = 0.98


@dataclass(frozen=True)
class Raster:
    """Grid of square pixels over the points."""

    #: Lower left corner of the first pixel, in data coordinates.
    low: NDArray[np.float64]
    #: Side length of a pixel, in data coordinates.
    step: float
    #: Rows and columns.
    shape: tuple[int, int]

    @classmethod
    def over(cls, points: NDArray[np.floating[Any]], inches: float) -> Raster:
        """Make a grid over all finite points.

        Parameters
        ----------
        points
            Positions, (n, 2).
        inches
            Approximate length of the longer side of the picture.
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
        """Left, right, bottom and top edge in data coordinates."""
        right, top = self.low + self.step * np.array(self.shape[::-1])
        return float(self.low[0]), float(right), float(self.low[1]), float(top)

    def pixels(self, points: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
        """Return the pixel number of each point; the points must be finite."""
        columns, rows = np.floor((points - self.low) / self.step).astype(np.intp).T
        rows = np.clip(rows, 0, self.shape[0] - 1)
        return np.asarray(rows * self.shape[1] + np.clip(columns, 0, self.shape[1] - 1))

    def counts(self, pixels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the number of points in each pixel, with shape :attr:`shape`."""
        return self.sums(pixels, None)

    def sums(
        self, pixels: NDArray[np.intp], values: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the sum of the points' values in each pixel, with shape :attr:`shape`."""
        size = self.shape[0] * self.shape[1]
        return np.bincount(pixels, values, size).astype(np.float64).reshape(self.shape)


def opacity(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the opacity of pixels: logarithmic in the number of points, 0 without points."""
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
    """Return each pixel's mean colour as RGBA, with an opacity set by its number of points.

    Parameters
    ----------
    raster
        The pixels.
    pixels, codes
        Pixel and group of each point.
    rgb
        Colour of each group in sRGB, (groups, 3).

    Returns
    -------
    Image with rows from bottom to top, (rows, columns, 4).
    """
    # Averaged as linear light: the mean of sRGB values would be too dark.
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
