"""Tests of hypotheses: how likely a count is, if the numbers behind it are random.

Every p value is two-sided: numbers that are too even are as suspicious as uneven ones.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

#: Probability that a good generator fails one comparison. Seeds are fixed: what passes once passes
#: always, and this is the chance that an innocent change of the numbers fails.
FALSE_ALARM = 1e-9


def chi_square(counts: np.ndarray, expected: np.ndarray | float | None = None) -> float:
    """p value of counts of cells; without `expected`, all cells are equally likely."""
    counts = np.asarray(counts, float).ravel()
    mean = counts.mean() if expected is None else np.asarray(expected, float).ravel()
    assert np.min(mean) >= 20, "too few draws for the approximation"
    statistic = float(((counts - mean) ** 2 / mean).sum())
    return two_sided(stats.chi2(counts.size - 1), statistic)


def independence(first: np.ndarray, second: np.ndarray, cells: int) -> float:
    """p value of pairs of integers below `cells`, uniform and independent."""
    pairs = first.astype(np.int64) * cells + second.astype(np.int64)
    return chi_square(np.bincount(pairs.ravel(), minlength=cells * cells))


def of_normals(z: np.ndarray) -> float:
    """p value of the largest of many standard normal numbers, independent or not."""
    return min(1.0, 2.0 * z.size * float(stats.norm.sf(np.abs(z).max())))


def poisson(count: int, mean: float) -> float:
    return two_sided(stats.poisson(mean), count)


def two_sided(distribution: object, value: float) -> float:
    # The upper tail includes the value itself, which matters for integers only.
    upper = distribution.sf(value - (isinstance(value, int)))  # type: ignore[attr-defined]
    return float(min(1.0, 2.0 * min(distribution.cdf(value), upper)))  # type: ignore[attr-defined]
