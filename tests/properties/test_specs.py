"""Specifications, curves, seeds and settings for any value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies as some
from tests.support.refusals import refused_by_name
from umapcore import OptimizerSpec, Snapshots, compare, find_ab_params, settings
from umapcore.tl import seed_from

NAMES = sorted(OptimizerSpec.__dataclass_fields__)


@given(st.dictionaries(st.sampled_from(NAMES), some.anything(), max_size=4))
def test_any_specification(values: dict[str, Any]) -> None:
    with refused_by_name(*values) as refusals:
        spec = OptimizerSpec(**values)
    if refusals:
        return
    assert spec == OptimizerSpec(**values)
    hash(spec)
    stored = spec.to_dict()
    assert {type(value) for value in stored.values()} <= {int, float}
    assert OptimizerSpec.from_dict(stored).to_dict() == stored
    assert spec.replace() == spec
    a, b = spec.curve()
    assert 0 < a < math.inf
    assert 0 < b < math.inf
    assert spec.epochs_for(100) >= 0


@given(some.parameters())
def test_good_specifications(values: dict[str, Any]) -> None:
    spec = OptimizerSpec(**values)
    stored = spec.to_dict()
    again = OptimizerSpec.from_dict(stored)
    assert again.to_dict() == stored
    assert again.curve() == spec.curve()  # min_dist beside other a and b is not stored


@given(st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=3)), some.anything()))
def test_any_stored_specification(values: dict[str, Any]) -> None:
    with refused_by_name("the parameters", *values):
        OptimizerSpec.from_dict(values)


@given(st.floats(0, 1), st.integers(0, 3000))
def test_epochs_that_preserve_densities(fraction: float, n_epochs: int) -> None:
    spec = OptimizerSpec(density_weight=1, density_fraction=fraction)
    every = [t for t in range(n_epochs) if (t + 1) / n_epochs > 1 - spec.density_fraction]
    assert spec.density_epoch(n_epochs) == (every or [n_epochs])[0]


@given(some.anything(), some.anything())
def test_any_curve(spread: Any, min_dist: Any) -> None:
    with refused_by_name("spread", "min_dist"):
        a, b = find_ab_params(spread, min_dist)
        assert 0 < a < math.inf
        assert 0 < b < math.inf


@given(st.floats(1e-3, 1e3), st.floats(0, 1))
def test_curves_fall_as_they_should(spread: float, share: float) -> None:
    a, b = find_ab_params(spread, share * spread)
    x = np.linspace(0, 3 * spread, 300)
    target = np.where(x < share * spread, 1.0, np.exp(-(x - share * spread) / spread))
    assert np.abs(1 / (1 + a * x ** (2 * b)) - target).max() < 0.25


@given(st.one_of(some.anything(), st.builds(np.random.default_rng, some.SEEDS)))
def test_any_random_state(state: Any) -> None:
    with refused_by_name("random_state"):
        seed = seed_from(state)
        assert type(seed) is int
        assert 0 <= seed < 2**64


@given(st.sampled_from(["n_threads", "gpu_fallback", "colour"]), some.anything())
def test_any_setting(name: str, value: Any) -> None:
    before = vars(settings).copy()
    try:
        if name == "colour":
            with pytest.raises(AttributeError, match="colour"):
                setattr(settings, name, value)
        else:
            with refused_by_name(f"settings.{name}"):
                setattr(settings, name, value)
    finally:
        vars(settings).update(before)


@given(some.anything())
def test_any_interval_of_snapshots(every: Any) -> None:
    with refused_by_name("every"):
        assert Snapshots(every).every >= 1


@given(st.data(), st.integers(0, 12), st.integers(1, 3), some.anything())
def test_any_comparison(data: st.DataObject, n: int, d: int, k: Any) -> None:
    first = data.draw(st.one_of(some.positions(n, d), some.hostile_positions(n, d)))
    second = data.draw(
        st.one_of(some.positions(n, d), some.hostile_positions(n, d), st.just(first))
    )
    with refused_by_name("a", "b", "k"):
        found = compare(first, second, k=k)
        str(found)
        assert found.procrustes is None or 0 <= found.procrustes <= 1
        assert found.neighbor_overlap is None or 0 <= found.neighbor_overlap <= 1


@given(st.data(), st.integers(3, 12), st.sampled_from([1e-300, 1e-150, 1e150, 1e300]))
def test_comparisons_do_not_depend_on_the_scale(data: st.DataObject, n: int, scale: float) -> None:
    rng = np.random.default_rng(data.draw(some.SEEDS))
    first, second = rng.normal(size=(2, n, 2))
    plain, scaled = compare(first, second, k=2), compare(scale * first, second / scale, k=2)
    assert scaled.procrustes == pytest.approx(plain.procrustes, abs=1e-9)
    assert scaled.neighbor_overlap == plain.neighbor_overlap


@given(st.integers(0, 6))
def test_positions_without_columns_cannot_be_compared(n: int) -> None:
    with pytest.raises(ValueError, match="at least one column"):
        compare(np.zeros((n, 2)), np.zeros((n, 0)))
