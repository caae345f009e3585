"""Measure the distance of two cores: the round trip of a word between them.

On virtual machines it changes during a run, because the host moves the cores. It is about 60
nanoseconds if the cores share a cache, and 300 or more if they do not. Threads that exchange data
are slower by as much.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

from umapcore._kit.atomics import load_in_order, store_in_order

_TRIPS = 50_000


@numba.njit(nogil=True)
def _bounce(ball: Any, side: Any, trips: Any) -> None:
    """Wait on one side until the word arrives, and send it back."""
    for trip in range(trips):
        while load_in_order(ball, 0) != 2 * trip + side:
            pass
        store_in_order(ball, 0, 2 * trip + side + 1)


def round_trip_ns() -> float:
    """Measure the round trip of a word between two cores, in nanoseconds."""
    with ThreadPoolExecutor(1) as pool:
        for trips in (1, _TRIPS):  # the first pass compiles
            ball = np.zeros(16, np.int64)
            other = pool.submit(_bounce, ball, 1, trips)
            began = time.perf_counter()
            _bounce(ball, 0, trips)
            seconds = time.perf_counter() - began
            other.result()
    return seconds / _TRIPS * 1e9
