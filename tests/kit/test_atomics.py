"""Atomic operations: their results, and the orders in which LLVM compiles them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import pytest

from tests.support.memory_model import ORDERS
from umapcore._kit.atomics import (
    compare_exchange,
    fetch_add,
    fetch_add_in_order,
    load_any_order,
    load_in_order,
    store_any_order,
    store_in_order,
)


@numba.njit
def _load_in_order(words: Any) -> Any:
    return load_in_order(words, 1)


@numba.njit
def _load_any_order(words: Any) -> Any:
    return load_any_order(words, 1)


@numba.njit
def _store_in_order(words: Any) -> Any:
    store_in_order(words, 1, 9)
    return words[1]


@numba.njit
def _store_any_order(words: Any) -> Any:
    store_any_order(words, 1, 9)
    return words[1]


@numba.njit
def _fetch_add(words: Any) -> Any:
    return 10 * fetch_add(words, 1, 4) + words[1]


@numba.njit
def _fetch_add_in_order(words: Any) -> Any:
    return 10 * fetch_add_in_order(words, 1, 4) + words[1]


@numba.njit
def _compare_exchange(words: Any) -> Any:
    missed = compare_exchange(words, 1, 7, 8)
    return 100 * missed + 10 * compare_exchange(words, 1, 5, 6) + words[1]


#: What a function returns for words of which the second is 5, and its instruction.
CASES = {
    "load_in_order": (_load_in_order, 5, "load atomic i64, "),
    "load_any_order": (_load_any_order, 5, "load atomic i64, "),
    "store_in_order": (_store_in_order, 9, "store atomic i64 9, "),
    "store_any_order": (_store_any_order, 9, "store atomic i64 9, "),
    "fetch_add": (_fetch_add, 59, "atomicrmw add "),
    "fetch_add_in_order": (_fetch_add_in_order, 59, "atomicrmw add "),
    "compare_exchange": (_compare_exchange, 556, "cmpxchg "),
}


@pytest.mark.parametrize("name", CASES)
def test_results_and_orders(name: str) -> None:
    function, expected, instruction = CASES[name]
    assert function(np.array([3, 5, 7])) == expected
    (code,) = function.inspect_llvm().values()
    lines = [line for line in code.splitlines() if instruction in line]
    if not lines:  # an ARM processor of the first generation: a loop that repeats until it succeeds
        ordered = ORDERS[name] == "acq_rel"
        pair = ("ldaxr", "stlxr") if ordered else ("ldxr", "stxr")
        assert all(f"llvm.aarch64.{each}.p0" in code for each in pair), code
    # A compare-and-swap that fails reads in order too.
    order = "acq_rel acquire" if name == "compare_exchange" else ORDERS[name]
    assert all(f" {order}, align 8" in line for line in lines), lines


@numba.njit(nogil=True)
def _add_often(words: Any) -> None:
    for _ in range(100_000):
        fetch_add(words, 1, 1)


def test_no_addition_is_lost() -> None:
    words = np.zeros(2, np.int64)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(_add_often, [words] * 3))
    assert words.tolist() == [0, 300_000]
