"""Convert a random state of any kind to one 64-bit seed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from umapcore.errors import bad_type, bad_value
from umapcore.logs import logger

#: The largest seed.
LARGEST_SEED = 2**64 - 1


def seed_from(random_state: Any) -> int:
    """Convert a random state to one 64-bit seed.

    Parameters
    ----------
    random_state
        An integer is the seed itself. A RandomState or Generator draws a seed, which changes its
        state. None takes a seed from the operating system.

    Returns
    -------
    From 0 to 2**64 - 1. The seed is logged, so that any run can be repeated.

    Raises
    ------
    ValueError, TypeError
        For integers outside this range, and for other types.
    """
    allowed = f"an integer from 0 to {LARGEST_SEED}, a numpy RandomState or Generator, or None"
    if isinstance(random_state, (bool, np.bool_)):
        raise bad_type("random_state", random_state, allowed)
    if isinstance(random_state, (int, np.integer)):
        seed = int(random_state)
        if not 0 <= seed <= LARGEST_SEED:
            raise bad_value("random_state", random_state, allowed)
    elif random_state is None:
        seed = int.from_bytes(os.urandom(8), "little")
    elif isinstance(random_state, np.random.RandomState):
        seed = int(random_state.randint(0, 2**64, dtype=np.uint64))
    elif isinstance(random_state, np.random.Generator):
        seed = int(random_state.integers(0, 2**64, dtype=np.uint64))
    else:
        raise bad_type("random_state", random_state, allowed)
    logger.info("random_state=%s: seed %d", type(random_state).__name__, seed)
    return seed


def stored_seed(random_state: Any) -> dict[str, Any]:
    """Return the entry of `uns` for a random state: the integer, or nothing if 0 or no integer."""
    if not isinstance(random_state, (int, np.integer)) or random_state == 0:
        return {}
    return {"random_state": storable_seed(int(random_state))}


def storable_seed(seed: int) -> int | np.uint64:
    """Return a seed that every file format accepts; Zarr takes no larger Python integers."""
    return seed if seed < 2**63 else np.uint64(seed)
