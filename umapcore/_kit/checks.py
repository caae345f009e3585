"""Check numbers that users pass: one definition of what counts as an integer or a real."""

from __future__ import annotations

import math
import operator

import numpy as np

from umapcore.errors import bad_type, bad_value

#: Upper bound of integer parameters without a bound of their own.
MOST = 2**31 - 1
#: Upper bound of real parameters, so that no intermediate value of a kernel overflows float32.
LARGEST = 1e6


def check_integer(
    name: str, value: object, least: int, most: int = MOST, *, or_none: bool = False
) -> int:
    """Return an integer parameter as an int.

    NumPy integers and whole floats are accepted; `or_none` only affects the message.

    Raises
    ------
    ValueError, TypeError
        The message names the parameter, its value and what is allowed.
    """
    bound = f"of at least {least}" if most == MOST else f"from {least} to {most}"
    allowed = ("None or " if or_none else "") + f"an integer {bound}"
    if isinstance(value, (bool, np.bool_)):
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
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise bad_type(name, value, allowed)
    number = float(value)
    if (
        not math.isfinite(number)
        or number > at_most
        or (above is not None and number <= above)
        or (at_least is not None and number < at_least)
    ):
        raise bad_value(name, value, allowed)
    return number
