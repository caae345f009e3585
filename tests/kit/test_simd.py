"""Vectors in kernels: each lane as NumPy works it out, and rows sorted eight at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from umapcore._kit.jit import kernel
from umapcore._kit.simd import (
    add_lanes,
    any_lane,
    fill,
    greatest,
    least,
    load,
    same_bits,
    single_bits,
    store,
    where,
)
from umapcore.neighbors.entries import NO_ENTRY, column_of, entry_of, sort_lanes, weight_of

_AT = np.uint64(0)


@kernel()
def _floats(a: Any, b: Any, out: Any) -> None:
    x, y = load(a, _AT), load(b, _AT)
    store(out[0], _AT, (x + y) * x - 2.0 / y)
    store(out[1], _AT, least(x, y))
    store(out[2], _AT, greatest(x, 0.25))
    store(out[3], _AT, where((x < y) & (x >= 0.1), x, 7.0))
    store(out[4], _AT, where((x <= 0.5) | (y > 0.5), fill(1.0), y))
    store(out[5], _AT, same_bits(same_bits(x) + 1))


def test_lanes_of_floats(rng: np.random.Generator) -> None:
    a, b = rng.random(8), rng.random(8)
    out = np.empty((6, 8))
    _floats(a, b, out)
    expected = [
        (a + b) * a - 2.0 / b,
        np.minimum(a, b),
        np.maximum(a, 0.25),
        np.where((a < b) & (a >= 0.1), a, 7.0),
        np.where((a <= 0.5) | (b > 0.5), 1.0, b),
        np.nextafter(a, 2.0),
    ]
    np.testing.assert_array_equal(out, expected)


@kernel()
def _integers(a: Any, b: Any, out: Any) -> Any:
    x, y = load(a, _AT), load(b, _AT)
    store(out[0], _AT, ((x + y) * 3 - y) | 1)
    store(out[1], _AT, (x << 5) >> 2)
    store(out[2], _AT, where(x == y, -1, y))
    return add_lanes(x), any_lane(x == y), any_lane(x > 100)


def test_lanes_of_integers(rng: np.random.Generator) -> None:
    a, b = rng.integers(-100, 100, (2, 8))
    b[5] = a[5]
    out = np.empty((3, 8), np.int64)
    assert _integers(a, b, out) == (a.sum(), True, False)
    np.testing.assert_array_equal(
        out, [((a + b) * 3 - b) | 1, (a << 5) >> 2, np.where(a == b, -1, b)]
    )


@kernel()
def _single(a: Any, out: Any) -> None:
    store(out, _AT, single_bits(load(a, _AT)))


def test_bits_of_singles(rng: np.random.Generator) -> None:
    values = rng.random(8)
    out = np.empty(8, np.int64)
    _single(values, out)
    np.testing.assert_array_equal(out, values.astype(np.float32).view(np.uint32))


@kernel()
def _sort(found: Any, k: Any) -> None:
    sort_lanes(found, k)


@pytest.mark.parametrize("k", [*range(1, 20), 31, 32, 33, 100])
def test_rows_are_sorted(k: int, rng: np.random.Generator) -> None:
    rows = rng.integers(0, max(2, k // 2) << 32, (8, k))
    rows[3, k // 2 :] = NO_ENTRY
    found = rows.T.reshape(-1).copy()
    _sort(found, k)
    np.testing.assert_array_equal(found.reshape(k, 8).T, np.sort(rows, axis=1))


@kernel()
def _there_and_back(column: Any, weight: Any) -> Any:
    entry = entry_of(column, weight)
    return column_of(entry), weight_of(entry), entry


def test_entries() -> None:
    """By column first, whatever the weights are."""
    first = _there_and_back(np.int32(6), np.float32(1.0))
    second = _there_and_back(np.int32(2**31 - 1), np.float32(1e-37))
    assert first[:2] == (6, 1.0)
    assert second[:2] == (2**31 - 1, np.float32(1e-37))
    assert first[2] < second[2] < NO_ENTRY
