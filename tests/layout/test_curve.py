from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from umapcore import OptimizerSpec
from umapcore._kit.log2 import exact_log2
from umapcore.layout.curve import find_ab_params

# (spread, min_dist): umap-learn 0.5.12's find_ab_params.
UMAP_LEARN = {
    (0.5, 0.0): (5.7824833770553035, 0.790495105954683),
    (0.5, 0.25): (3.7062902060178198, 1.3341672477627904),
    (0.5, 0.5): (1.6677168687448645, 1.9292404384037913),
    (1.0, 0.0): (1.9328083980052901, 0.7904949736958765),
    (1.0, 0.001): (1.9290733950863033, 0.7915045330700837),
    (1.0, 0.01): (1.8956058659984905, 0.8006378442240341),
    (1.0, 0.1): (1.57694346046584, 0.8950608779639974),
    (1.0, 0.25): (1.1214363426676424, 1.0574998766438886),
    (1.0, 0.5): (0.5830300203968329, 1.3341669926352966),
    (1.0, 0.8): (0.23206272675589187, 1.6812316039067232),
    (1.0, 0.99): (0.11930530009434795, 1.9163904156842868),
    (1.0, 1.0): (0.11497568236610484, 1.9292371499665542),
    (1.5, 0.5): (0.35932776060972793, 1.1488893653170575),
    (1.5, 1.5): (0.024052795393491557, 1.9292339603504653),
    (2.0, 0.1): (0.5446605405999497, 0.8420554262505799),
    (2.0, 2.0): (0.007926773255647366, 1.9292315234392743),
    (5.0, 0.5): (0.088424897044492, 0.895060962791077),
    (5.0, 4.9): (0.0002700997080273872, 1.903589985498467),
    (10.0, 0.1): (0.04747585777783619, 0.8006378260485017),
}


@pytest.mark.parametrize(("spread", "min_dist"), sorted(UMAP_LEARN))
def test_agrees_with_umap_learn(spread: float, min_dist: float) -> None:
    a, b = UMAP_LEARN[spread, min_dist]
    assert find_ab_params(spread, min_dist) == pytest.approx((a, b), rel=0, abs=1e-6)


def test_agrees_with_the_installed_umap_learn() -> None:
    umap_ = pytest.importorskip("umap.umap_", reason="umap-learn is not installed")
    for spread in (0.7, 1.0, 3.0):
        for min_dist in np.linspace(0, spread, 7):
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reference = umap_.find_ab_params(spread, min_dist)
            assert find_ab_params(spread, min_dist) == pytest.approx(reference, rel=0, abs=1e-6)


@pytest.mark.parametrize("spread", [0.05, 0.1, 0.2, 20.0])
def test_fits_where_umap_learn_ends_at_negative_parameters(spread: float) -> None:
    """The family of curves scales: spread s has a(1) / s^(2b) and the same b."""
    a1, b1 = find_ab_params(1.0, 0.3)
    a, b = find_ab_params(spread, 0.3 * spread)
    assert b == pytest.approx(b1, rel=1e-4)
    assert a == pytest.approx(a1 * spread ** (-2 * b1), rel=1e-3)


@pytest.mark.parametrize("spread", [1e3, 1e5, 1e6])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_large_spreads_are_fitted_too(spread: float, share: float) -> None:
    a1, b1 = find_ab_params(1.0, share)
    a, b = find_ab_params(spread, share * spread)
    assert b == pytest.approx(b1, rel=1e-5)
    assert a == pytest.approx(a1 * spread ** (-2 * b1), rel=1e-3)


@pytest.mark.parametrize(
    ("spread", "min_dist"), [(5e-324, 0), (1e-300, 0), (1e-5, 0), (1e-4, 0), (0.01, 0.01)]
)
def test_spreads_of_which_a_is_too_large(spread: float, min_dist: float) -> None:
    with pytest.raises(ValueError, match=f"spread={spread} is not allowed"):
        OptimizerSpec(spread=spread, min_dist=min_dist)


def test_all_fitted_curves_can_be_given() -> None:
    spec = OptimizerSpec(spread=3e-4, min_dist=0)
    assert spec.replace(seed=0) == spec
    assert OptimizerSpec.from_dict(spec.to_dict()) == spec


def test_results_are_rounded() -> None:
    """What maths libraries disagree about must not be left in the result."""
    for value in find_ab_params(1.0, 0.37):
        assert value == float(f"{value:.9g}")


@pytest.mark.parametrize("value", [1e-6, 0.115, 0.5, 0.70710678, 0.99999, 1.0, 1.93, 830.0, 1e6])
def test_exact_log2(value: float) -> None:
    assert exact_log2(value) == pytest.approx(math.log2(value), rel=1e-15, abs=1e-15)
