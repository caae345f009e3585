"""The parameters a and b of the low-dimensional membership curve.

umap-learn fits 1 / (1 + a x^(2b)) by least squares to a curve that is 1 up to ``min_dist`` and
then decays as exp(-(x - min_dist) / spread), at 300 points in [0, 3 spread]
(McInnes, Healy and Melville 2018, section 4.1; ``umap.umap_.find_ab_params``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from umapcore.errors import bad_type, bad_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Significant digits that are kept. Maths libraries and compilers differ in the sixteenth digit.
#: Rounding removes this difference; its error is far below 1e-6, the tolerance to umap-learn's
#: values.
DIGITS = 9

_POINTS = 300


def find_ab_params(spread: float = 1.0, min_dist: float = 0.1) -> tuple[float, float]:
    """Fit a and b as umap-learn does.

    Parameters
    ----------
    spread
        Scale of the embedded points, above 0.
    min_dist
        Distance up to which points count as touching, from 0 to `spread`.

    Returns
    -------
    a, b
        Equal to umap-learn's within 1e-6, with the same bits on every machine.

    Raises
    ------
    ValueError, TypeError
        When a parameter is outside its range or not a number.
    """
    for name, value in (("spread", spread), ("min_dist", min_dist)):
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise bad_type(name, value, "a real number")
    spread, min_dist = float(spread), float(min_dist)
    if not 0.0 < spread < float("inf"):
        raise bad_value("spread", spread, "a finite number above 0")
    if not 0.0 <= min_dist <= spread:
        raise bad_value("min_dist", min_dist, f"from 0 to spread ({spread:g})")
    return _fit(spread, min_dist)


@lru_cache(maxsize=64)
def _fit(spread: float, min_dist: float) -> tuple[float, float]:
    """Fit with MINPACK from umap-learn's start, which determines the iterate where it stops."""
    x = np.linspace(0.0, 3.0 * spread, _POINTS)[1:]  # at 0 the curve is 1 for any a and b
    target = np.where(x < min_dist, 1.0, np.exp(-(x - min_dist) / spread))
    a, b = _least_squares(x, target, (1.0, 1.0))
    if not (a > 0.0 and b > 0.0):
        # For spread << 1 umap-learn's start is so far off that its fit ends at a, b < 0, which is
        # not a valid curve. Start instead where a x^(2b) is 1 at the point where the target is
        # 1/2.
        half = min_dist + spread * float(np.log(2.0))
        a, b = _least_squares(x, target, (half**-2.0, 1.0))
    return _rounded(a), _rounded(b)


def _least_squares(
    x: NDArray[np.float64], target: NDArray[np.float64], start: tuple[float, float]
) -> tuple[float, float]:
    # Imported here because importing scipy.optimize takes a good part of a second.
    from scipy.optimize import leastsq

    log_x = np.log(x)

    def residuals(p: NDArray[np.float64]) -> NDArray[np.float64]:
        difference: NDArray[np.float64] = 1.0 / (1.0 + p[0] * x ** (2.0 * p[1])) - target
        return difference

    def jacobian(p: NDArray[np.float64]) -> NDArray[np.float64]:
        power = x ** (2.0 * p[1])
        value = 1.0 / (1.0 + p[0] * power)
        slope = -value * value * power
        return np.stack([slope, slope * p[0] * 2.0 * log_x])

    # With the exact Jacobian the iterates agree with those of umap-learn's finite differences to
    # about 1e-8, without their noise: rounding errors are not divided by a tiny step.
    with np.errstate(all="ignore"):
        p, _ = leastsq(residuals, start, Dfun=jacobian, col_deriv=True, maxfev=1000)
    return float(p[0]), float(p[1])


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
