"""Every parameter of a specification: its default, its plain type and the ends of its range."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from umapcore import OptimizerSpec

DEFAULTS = {
    "min_dist": 0.5,
    "spread": 1.0,
    "n_components": 2,
    "n_epochs": None,
    "alpha": 1.0,
    "gamma": 1.0,
    "negative_sample_rate": 5,
    "seed": 0,
    "density_weight": 0.0,
    "density_fraction": 0.3,
    "density_shift": 0.1,
}
CURVE = {"a": 1.5, "b": 0.9}


def test_defaults_are_those_of_scanpy_and_umap_learn() -> None:
    spec = OptimizerSpec(density_weight=1.0)
    found = dataclasses.asdict(spec)
    assert {name: found[name] for name in DEFAULTS} == DEFAULTS | {"density_weight": 1.0}
    assert OptimizerSpec().density_weight == 0
    with pytest.raises(TypeError):
        OptimizerSpec(0.5)  # type: ignore[misc]


@pytest.mark.parametrize("name", sorted(DEFAULTS.keys() | CURVE.keys()))
def test_numbers_of_numpy_become_plain_ones(name: str) -> None:
    whole = name in {"n_components", "n_epochs", "negative_sample_rate", "seed"}
    given: dict[str, Any] = dict(CURVE) if name in CURVE else {}
    given |= {"density_weight": 2} if name.startswith("density") else {}
    for value in (np.float32(1), np.float64(1), np.int8(1), np.uint64(1), 1, 1.0):
        found = getattr(OptimizerSpec(**given | {name: value}), name)
        assert type(found) is (int if whole else float)
        assert found == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"n_components": 1},
        {"negative_sample_rate": 0},
        {"seed": 2**64 - 1},
        {"n_epochs": 0},
        {"alpha": 1e-9},
        {"gamma": 0},
        {"min_dist": 0},
        {"min_dist": 1},
        {"min_dist": 0.015, "spread": 0.02},
        {"a": 1e-9, "b": 1e-9},
        {"a": 1e5, "b": 100},
        {"density_weight": 1e-9, "density_fraction": 0, "density_shift": 0},
        {"density_weight": 1e4, "density_fraction": 1, "density_shift": 1e4},
    ],
)
def test_ends_of_ranges_are_allowed(changes: dict[str, Any]) -> None:
    spec = OptimizerSpec(**changes)
    assert {name: getattr(spec, name) for name in changes} == changes


@pytest.mark.parametrize(
    ("name", "value", "others", "allowed"),
    [
        ("n_components", 0, {}, "an integer of at least 1"),
        ("n_epochs", -1, {}, "None or an integer of at least 0"),
        ("n_epochs", True, {}, "None or an integer of at least 0"),
        ("negative_sample_rate", -1, {}, "an integer of at least 0"),
        ("seed", -1, {}, "an integer from 0 to 18446744073709551615"),
        ("alpha", 0, {}, "a finite number above 0"),
        ("gamma", -1e-9, {}, "a finite number at least 0"),
        ("spread", 0, {}, "a finite number at least 0.0001"),
        ("min_dist", -1e-9, {}, "a finite number at least 0"),
        ("a", 0, {"b": 1}, "a finite number above 0"),
        ("b", 0, {"a": 1}, "a finite number above 0"),
        ("b", 100.5, {"a": 1}, "a finite number above 0 and at most 100"),
        ("density_weight", -1, {}, "a finite number at least 0"),
        ("density_fraction", 1.005, {}, "a finite number at least 0 and at most 1"),
        ("density_fraction", -0.005, {}, "a finite number at least 0 and at most 1"),
        ("density_shift", -0.005, {}, "a finite number at least 0"),
    ],
)
def test_beyond_the_ends_the_message_says_what_is_allowed(
    name: str, value: Any, others: dict[str, Any], allowed: str
) -> None:
    said = rf"^{name}={value} .*: {name} must be {allowed}( and|\.$)"
    with pytest.raises((ValueError, TypeError), match=said):
        OptimizerSpec(**others | {name: value})


@pytest.mark.parametrize(("given", "missing"), [("a", "b"), ("b", "a")])
def test_a_and_b_belong_together(given: str, missing: str) -> None:
    said = f"^{given}=1 was given without {missing}: a and b must be given together, or neither.$"
    with pytest.raises(ValueError, match=said):
        OptimizerSpec(**{given: 1})
