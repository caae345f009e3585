"""Check numbers that users pass: one definition of what counts as an integer or a real."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

import numpy as np

from umapcore.errors import bad_type, bad_value

if TYPE_CHECKING:
    from typing import TypeGuard

#: Upper bound of integer parameters without a bound of their own.
MOST = 2**31 - 1
#: Upper bound of real parameters, so that no intermediate value of a kernel overflows float32.
LARGEST = 1e6


def check_integer(
    name: str, value: object, least: int, most: int = MOST, *, or_none: bool = False
) -> int:
    """Return an integer parameter as an int.

    NumPy integers, whole floats and arrays without dimensions are accepted; `or_none` only affects
    the message.

    Raises
    ------
    ValueError, TypeError
        The message names the parameter, its value and what is allowed.
    """
    value = _scalar(value)
    bound = f"of at least {least}" if most == MOST else f"from {least} to {most}"
    allowed = ("None or " if or_none else "") + f"an integer {bound}"
    if isinstance(value, (bool, np.bool_, np.timedelta64)):
        raise bad_type(name, value, allowed)
    if isinstance(value, (float, np.floating)):
        # YAML files and R users pass integers as 5.0; 5.5 is a mistake.
        if not float(value).is_integer():
            raise bad_value(name, value, allowed)
        value = int(value)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise bad_type(name, value, allowed) from None
    if number > most == MOST:
        # The general upper bound is of interest only to those who exceed it.
        allowed += f" and at most {most}"
    if not least <= number <= most:
        raise bad_value(name, value, allowed)
    return number


def check_real(
    name: str,
    value: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float = LARGEST,
) -> float:
    """Return a real parameter as a float; NumPy numbers and errors are as in `check_integer`."""
    bound = f"above {above:g}" if above is not None else f"at least {at_least:g}"
    allowed = f"a finite number {bound} and at most {at_most:g}"
    value = _scalar(value)
    if not _is_number(value):
        raise bad_type(name, value, allowed)
    try:
        number = float(value)
    except OverflowError:  # an int beyond all floats
        raise bad_value(name, value, allowed) from None
    if (
        not math.isfinite(number)
        or number > at_most
        or (above is not None and number <= above)
        or (at_least is not None and number < at_least)
    ):
        raise bad_value(name, value, allowed)
    return number


def _scalar(value: object) -> object:
    """Return the element of an array without dimensions, in which some files store numbers."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(
        value, (bool, np.timedelta64)
    )
