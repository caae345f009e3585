"""The parameters a and b of the low-dimensional membership curve.

umap-learn fits 1 / (1 + a x^(2b)) by least squares to a curve that is 1 up to ``min_dist`` and
then decays as exp(-(x - min_dist) / spread), at 300 points in [0, 3 spread]
(McInnes, Healy and Melville 2018, section 4.1; ``umap.umap_.find_ab_params``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from umapcore._kit.checks import LARGEST, check_real
from umapcore.errors import bad_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Significant digits that are kept. Maths libraries and compilers differ in the sixteenth digit.
#: Rounding removes this difference; its error is far below 1e-6, the tolerance to umap-learn's
#: values.
DIGITS = 9

_POINTS = 300
#: Larger mean squares of the residuals are not a minimum; those of good fits are below 0.001.
_POOR_FIT = 0.01
#: Smaller scales would all need an a that is too large.
_LEAST_SPREAD = 1e-4


def find_ab_params(spread: float = 1.0, min_dist: float = 0.1) -> tuple[float, float]:
    """Fit a and b as umap-learn does.

    Parameters
    ----------
    spread
        Scale of the embedded points, from 1e-4 to 1e6.
    min_dist
        Distance up to which points count as touching, from 0 to `spread`.

    Returns
    -------
    a, b
        Equal to umap-learn's within 1e-6, with the same bits on every machine.

    Raises
    ------
    ValueError, TypeError
        When a parameter is outside its range or not a number, or `spread` is so small that a is
        above 1e6.
    """
    spread, min_dist = checked_shape(spread, min_dist)
    a, b = _fit(spread, min_dist)
    if not a <= LARGEST:
        raise bad_value("spread", spread, f"so large that a, {a:g} here, is at most {LARGEST:g}")
    return a, b


def checked_shape(spread: object, min_dist: object) -> tuple[float, float]:
    """Check the parameters of :func:`find_ab_params`, and return them as floats."""
    scale = check_real("spread", spread, at_least=_LEAST_SPREAD)
    touching = check_real("min_dist", min_dist, at_least=0.0)
    if touching > scale:
        raise bad_value("min_dist", min_dist, f"from 0 to spread ({scale:g})")
    return scale, touching


@lru_cache(maxsize=64)
def _fit(spread: float, min_dist: float) -> tuple[float, float]:
    """Fit with MINPACK from umap-learn's start, which determines the iterate where it stops."""
    x = np.linspace(0.0, 3.0 * spread, _POINTS)[1:]  # at 0 the curve is 1 for any a and b
    target = np.where(x < min_dist, 1.0, np.exp(-(x - min_dist) / spread))
    found = _least_squares(x, target, (1.0, 1.0))
    # For spread << 1 umap-learn's start is so far off that its fit ends at a, b < 0, which is not a
    # valid curve. Start instead where a x^(2b) is 1 at the point where the target is 1/2.
    half = min_dist + spread * float(np.log(2.0))
    if found is None:
        found = _least_squares(x, target, (half**-2.0, 1.0))
    if found is None:
        # Rounding stopped it; but the curves scale with `spread`.
        a, b = _least_squares(x / spread, target, ((half / spread) ** -2.0, 1.0)) or (1.0, 1.0)
        found = a * spread ** (-2.0 * b), b
    return _rounded(found[0]), _rounded(found[1])


def _least_squares(
    x: NDArray[np.float64], target: NDArray[np.float64], start: tuple[float, float]
) -> tuple[float, float] | None:
    """Return a and b; None if the iteration ended far from a curve that fits."""
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
        p, *_ = leastsq(
            residuals, start, Dfun=jacobian, col_deriv=True, maxfev=1000, full_output=True
        )
        good = p[0] > 0.0 and p[1] > 0.0 and np.square(residuals(p)).mean() < _POOR_FIT
    return (float(p[0]), float(p[1])) if good else None


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
