from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from umapcore import OptimizerSpec

BAD = [
    ("min_dist", -0.1, ValueError),
    ("min_dist", 1.5, ValueError),  # above the spread
    ("min_dist", "0.5", TypeError),
    ("spread", 0.0, ValueError),
    ("spread", -1.0, ValueError),
    ("spread", float("inf"), ValueError),
    ("n_components", 0, ValueError),
    ("n_components", 2.5, ValueError),
    ("n_components", "2", TypeError),
    ("n_epochs", -1, ValueError),
    ("n_epochs", 1.5, ValueError),
    ("n_epochs", "many", TypeError),
    ("alpha", 0.0, ValueError),
    ("alpha", -1.0, ValueError),
    ("alpha", float("nan"), ValueError),
    ("alpha", True, TypeError),
    ("gamma", -1.0, ValueError),
    ("negative_sample_rate", -1, ValueError),
    ("negative_sample_rate", None, TypeError),
    ("seed", -1, ValueError),
    ("seed", 2**64, ValueError),
]


@pytest.mark.parametrize(("name", "value", "error"), BAD)
def test_bad_values_are_refused_by_name(name: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"{name}=.*{name} must be") as caught:
        OptimizerSpec(**{name: value})  # type: ignore[arg-type]
    assert repr(value) in str(caught.value) or str(value) in str(caught.value)


@pytest.mark.parametrize(("given", "missing"), [("a", "b"), ("b", "a")])
def test_one_of_a_and_b_alone_is_refused(given: str, missing: str) -> None:
    with pytest.raises(ValueError, match=rf"{given}=1.0 was given without {missing}"):
        OptimizerSpec(**{given: 1.0})  # type: ignore[arg-type]


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (-1.0, 1.0), (1.0, float("nan")), (1.0, 1e3)])
def test_bad_a_and_b_are_refused(a: float, b: float) -> None:
    with pytest.raises(ValueError, match=r"(a|b)="):
        OptimizerSpec(a=a, b=b)


def test_curve_is_always_filled_in() -> None:
    spec = OptimizerSpec(min_dist=0.1)
    assert spec.curve() == (spec.a, spec.b)
    assert spec.curve() == pytest.approx((1.576943, 0.8950608), abs=1e-6)
    assert OptimizerSpec(a=1.5, b=0.9).curve() == (1.5, 0.9)


def test_numpy_and_integral_numbers_become_plain_ones() -> None:
    spec = OptimizerSpec(
        min_dist=np.float32(0.5),  # type: ignore[arg-type]
        n_components=np.int64(3),  # type: ignore[arg-type]
        n_epochs=100.0,  # type: ignore[arg-type]
        negative_sample_rate=np.uint8(5),  # type: ignore[arg-type]
    )
    assert type(spec.min_dist) is float
    assert type(spec.n_components) is int
    assert type(spec.n_epochs) is int
    assert spec.n_epochs == 100


@pytest.mark.parametrize(("n", "epochs"), [(1, 500), (10_000, 500), (10_001, 200)])
def test_default_epochs(n: int, epochs: int) -> None:
    assert OptimizerSpec().epochs_for(n) == epochs
    assert OptimizerSpec(n_epochs=7).epochs_for(n) == 7
    assert OptimizerSpec(n_epochs=0).epochs_for(n) == 0


def test_it_is_frozen_hashable_and_replaceable() -> None:
    spec = OptimizerSpec(seed=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.seed = 4  # type: ignore[misc]
    assert hash(spec) == hash(OptimizerSpec(seed=3))
    assert spec.replace(seed=4).seed == 4
    with pytest.raises(ValueError, match="alpha"):
        spec.replace(alpha=-1)


@pytest.mark.parametrize(
    "spec",
    [
        OptimizerSpec(),
        OptimizerSpec(min_dist=0.1, spread=2, n_epochs=30, seed=2**64 - 1, n_components=3),
        OptimizerSpec(a=1.5, b=0.9),
        OptimizerSpec(a=1.5, b=0.9, gamma=0.25, alpha=2, negative_sample_rate=0),
        OptimizerSpec(a=1.5, b=0.9, density_fraction=0.5),
        OptimizerSpec(density_weight=2, density_fraction=0.5, density_shift=0),
    ],
)
def test_to_plain_numbers_and_back(spec: OptimizerSpec) -> None:
    values = spec.to_dict()
    assert {type(value) for value in values.values()} <= {int, float}
    assert OptimizerSpec.from_dict(values) == spec
    names = {item.name for item in dataclasses.fields(spec)}
    assert ("min_dist" in values) == (spec.a != 1.5)
    of_density = {name for name in names if name.startswith("density")}
    assert of_density & set(values) == (of_density if spec.density_weight else set())
    assert names - set(values) - of_density <= {"n_epochs", "min_dist", "spread"}


def test_shape_that_curves_do_not_come_from_is_not_told() -> None:
    """Beside given a and b it is ignored, whatever it is."""
    spec = OptimizerSpec(a=1.5, b=0.9, min_dist="x", spread=None)  # type: ignore[arg-type]
    assert not {"min_dist", "spread"} & set(spec.to_dict())
    a, b = OptimizerSpec().curve()
    spec = OptimizerSpec(a=a, b=b, min_dist=np.float32(0.5))  # type: ignore[arg-type]
    assert type(spec.to_dict()["min_dist"]) is float


def test_parameters_of_a_newer_version_are_refused() -> None:
    with pytest.raises(ValueError, match="'warp' are unknown to this version"):
        OptimizerSpec.from_dict(OptimizerSpec().to_dict() | {"warp": 1.0})


@pytest.mark.parametrize(("n", "epochs"), [(10_000, 700), (10_001, 400)])
def test_densities_take_more_epochs(n: int, epochs: int) -> None:
    assert OptimizerSpec(density_weight=0.5).epochs_for(n) == epochs
    assert OptimizerSpec(density_weight=0.5, n_epochs=7).epochs_for(n) == 7


@pytest.mark.parametrize(
    ("n_epochs", "fraction", "first"),
    [(200, 0.3, 140), (10, 0.3, 7), (7, 1.0, 0), (7, 0.0, 7), (3, 0.01, 2), (1, 0.3, 0)],
)
def test_epochs_that_preserve_densities(n_epochs: int, fraction: float, first: int) -> None:
    """As in umap-learn: those t, counted from 0, with (t + 1) / n_epochs > 1 - fraction."""
    spec = OptimizerSpec(density_weight=2, density_fraction=fraction)
    assert spec.density_epoch(n_epochs) == first
    every = [t for t in range(n_epochs) if (t + 1) / n_epochs > 1 - fraction]
    assert (every or [n_epochs])[0] == first
    assert OptimizerSpec(density_fraction=fraction).density_epoch(n_epochs) == n_epochs


def test_without_a_weight_the_rest_of_a_density_does_not_count() -> None:
    assert OptimizerSpec(density_fraction=0.9, density_shift=7) == OptimizerSpec()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density_weight": -1}, "density_weight=-1"),
        ({"density_weight": float("nan")}, "density_weight=nan"),
        ({"density_fraction": 1.5}, "density_fraction=1.5 .*at most 1"),
        ({"density_fraction": -0.1}, "density_fraction=-0.1"),
        ({"density_shift": -0.1}, "density_shift=-0.1"),
    ],
)
def test_densities_out_of_range(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimizerSpec(**changes)


def test_no_more_dimensions_than_vertices_can_fill() -> None:
    for n_components, n_vertices in ((10, 1), (29, 30), (11, 12)):
        OptimizerSpec(n_components=n_components).check_dimensions(n_vertices)
    for n_components, n_vertices, most in ((11, 1, 10), (30, 30, 29), (11, 11, 10)):
        with pytest.raises(ValueError, match=f"n_components={n_components}.*from 1 to {most}"):
            OptimizerSpec(n_components=n_components).check_dimensions(n_vertices)
