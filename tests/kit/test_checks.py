"""Numbers of all types: what counts as one, and what the errors say."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from umapcore import OptimizerSpec, find_ab_params
from umapcore._kit.checks import check_integer, check_real
from umapcore._kit.seeds import seed_from

HUGE = {"400 digits": 10**400, "5000 digits": 10**5000, "longdouble": np.longdouble("1e400")}
NO_NUMBERS = [
    "1", b"1", 1j, None, True, np.True_, np.array(True), [1], np.array([1]), np.array([[1.0]]),
    Fraction(1), Decimal(1), frozenset({1}), np.datetime64("2020"), np.timedelta64(1, "s"),
    np.str_("1"),
]  # fmt: skip
REALS = ("min_dist", "spread", "alpha", "gamma", "density_weight", "density_shift")
INTEGERS = ("n_components", "n_epochs", "negative_sample_rate", "seed")


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("name", [*REALS, *INTEGERS, "density_fraction", "a", "b"])
def test_huge_numbers_are_refused_by_name(name: str, value: Any) -> None:
    given = {"a": 1.0, "b": 1.0} if name in {"a", "b"} else {}
    for huge in (value, -value):
        with pytest.raises(ValueError, match=rf"{name}=.* is not allowed: {name} must be"):
            OptimizerSpec(**given | {name: huge})


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
def test_other_entries_refuse_huge_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match=r"spread=.* must be"):
        find_ab_params(value, 0.1)
    with pytest.raises(ValueError, match=r"min_dist=.* must be"):
        find_ab_params(1.0, value)
    with pytest.raises((ValueError, TypeError), match=r"random_state=.* must be"):
        seed_from(value)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^x=.* has type .*: x must be a finite number"):
        check_real("x", value, at_least=0.0)
    with pytest.raises(TypeError, match=r"^x=.* has type .*: x must be an integer"):
        check_integer("x", value, 0)


@pytest.mark.parametrize(
    "value",
    [2, 2.0, np.array(2), np.array(2.0), *(np.dtype(code).type(2) for code in "bBhHiIlLqQefdg")],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_all_types(value: Any) -> None:
    assert repr(check_real("x", value, at_least=0.0)) == "2.0"
    assert repr(check_integer("x", value, 0)) == "2"


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, np.float16(np.inf), np.longdouble("nan")]
)
def test_numbers_that_are_not_finite(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^x=.* is not allowed"):
        check_real("x", value, at_least=0.0)
    with pytest.raises(ValueError, match=r"^x=.* is not allowed"):
        check_integer("x", value, 0)


def test_the_upper_bound_is_told_to_those_who_exceed_it() -> None:
    with pytest.raises(ValueError, match=r"an integer of at least 1"):
        check_integer("x", 0, 1)
    with pytest.raises(
        ValueError, match=r"None or an integer of at least 1 and at most 2147483647"
    ):
        check_integer("x", 2**31, 1, or_none=True)
