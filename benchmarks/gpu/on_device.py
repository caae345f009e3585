"""The graphs of :mod:`benchmarks.generated`, made on a device by operations on whole arrays.

A graph of 1e8 vertices would take minutes to make on the host and seconds to copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.generated import FALL, HALF, LEAST_VERTICES, POPULAR, UNPOPULAR
from umapcore._kit.rng import mix64

#: Rows that are made at a time.
ROWS = 1 << 20
#: Bytes per vertex that are taken at most: about 19 edges per vertex, made in pieces that are then
#: joined, or planned.
BYTES_A_VERTEX = 600
# A key of an edge holds its row within the piece, its column and its turn, and sorts by them.
_TURN_BITS, _COLUMN_BITS = 5, 31


@dataclass(frozen=True)
class Rows:
    """A graph in CSR form, and start positions, as arrays of one module.

    Attributes
    ----------
    shape
        Rows and columns.
    indptr, indices, data
        int32 (int64 from 2³¹ edges on), int32, float32.
    start
        (n, 2) float32.
    """

    shape: tuple[int, int]
    indptr: Any
    indices: Any
    data: Any
    start: Any
    format = "csr"

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(int(a.nbytes) for a in (self.indptr, self.indices, self.data, self.start))


def generated_by(xp: Any, n: int, *, seed: int = 0, rows: int = ROWS) -> Rows:
    """Make the graph of ``benchmarks.generated.generated(n, seed=seed)``, with the same bits.

    Parameters
    ----------
    xp
        Module of the arrays: CuPy or NumPy.
    n
        Number of vertices, at least 64.
    seed
        Equal seeds give equal graphs.
    rows
        Rows that are made at a time; the result does not depend on it.
    """
    if n < LEAST_VERTICES:
        msg = f"n={n}: a generated graph has at least {LEAST_VERTICES} vertices."
        raise ValueError(msg)
    width = math.isqrt(n)
    points = xp.asarray(np.random.default_rng(seed).permutation(n).astype(np.int32))
    numbers = xp.empty_like(points)
    numbers[points] = xp.arange(n, dtype=np.int32)
    degrees, indices, weights = [], [], []
    for first in range(0, n, rows):
        piece = _piece(xp, n, seed, points[first : first + rows].astype(np.int64), numbers)
        for found, one in zip((degrees, indices, weights), piece, strict=True):
            found.append(one)
    del numbers
    counts = xp.concatenate(degrees)
    n_edges = int(counts.sum())
    indptr = xp.zeros(n + 1, np.int32 if n_edges < 2**31 else np.int64)
    indptr[1:] = xp.cumsum(counts)
    del degrees, counts
    columns = xp.concatenate(indices)
    del indices
    data = xp.concatenate(weights)
    del weights
    start = xp.empty((n, 2), np.float32)
    for axis, places in enumerate((points % width, points // width)):
        start[:, axis] = places * 10.0 / places.max()
    return Rows((n, n), indptr, columns, data, start)


def _piece(xp: Any, n: int, seed: int, points: Any, numbers: Any) -> tuple[Any, Any, Any]:
    """Return degrees, columns and weights of some rows, given the points of their vertices."""
    key = np.uint64(seed)
    width, turns = math.isqrt(n), np.arange(len(HALF))
    offsets = xp.asarray(HALF[:, 0] + width * HALF[:, 1])
    ahead = (points[:, None] + offsets + n) % n
    behind = (points[:, None] - offsets + n) % n
    others = xp.concatenate([ahead, behind], axis=1)
    # The point behind the other one is the first of a pair.
    firsts = xp.concatenate([xp.broadcast_to(points[:, None], ahead.shape), behind], axis=1)
    twice = xp.asarray(np.concatenate([turns, turns]))
    pairs = mix64((firsts * len(HALF) + twice).astype(np.uint64) ^ ~key)
    together = _popularity(key, points)[:, None] + _popularity(key, others)
    joined = (twice == 0) | (_unit(pairs) < together)

    own = xp.arange(len(points), dtype=np.uint64)[:, None]
    turn = xp.arange(2 * len(HALF), dtype=np.uint64)
    bits = own << np.uint64(_TURN_BITS + _COLUMN_BITS)
    bits = bits | numbers[others].astype(np.uint64) << np.uint64(_TURN_BITS) | turn
    keys = bits[joined]
    keys.sort()
    columns = (keys >> np.uint64(_TURN_BITS)) & np.uint64(2**_COLUMN_BITS - 1)
    chosen = keys & np.uint64(2**_TURN_BITS - 1)
    row = keys >> np.uint64(_TURN_BITS + _COLUMN_BITS)
    v = _unit(mix64(pairs[row.astype(np.int64), chosen.astype(np.int64)]))
    weights = (1.0 / (1.0 + FALL * v * v)).astype(np.float32)
    return joined.sum(axis=1), columns.astype(np.int32), weights


def _unit(bits: Any) -> Any:
    """Return numbers in [0, 1) from the upper halves of hashes."""
    return (bits >> np.uint64(32)).astype(np.float64) * 2.0**-32


def _popularity(key: np.uint64, points: Any) -> Any:
    of_key = mix64(np.array([key]))[0]
    return UNPOPULAR + (POPULAR - UNPOPULAR) * _unit(mix64(points.astype(np.uint64) ^ of_key))
