"""One epoch of the optimiser in plain NumPy: slow, obvious, and right by inspection.

This is the specification in executable form. Backends have to give its bits. It shares no code
with them: the hash, the power function and the order of all sums are written out once more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tests.support import density_oracle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec

f32 = np.float32
MASK = 2**64 - 1


def mix64(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def log2(x: np.float32) -> np.float32:
    bits = int(x.view(np.int32))
    exponent = (bits - 0x3F3504F3) >> 23
    u = np.int32(bits - (exponent << 23)).view(f32) - f32(1)
    u2 = u * u
    low = f32(exponent) + u * f32(1.4425785541534424)
    high = (f32(-0.7202425599098206) + u * f32(0.4866759479045868)) + u2 * (
        f32(-0.39456719160079956) + u * f32(0.2526974380016327)
    )
    return low + u2 * high


def exp2(z: np.float32) -> np.float32:
    z = min(max(z, f32(-125)), f32(125))
    whole = int(np.rint(z))  # to even, as adding and subtracting 1.5 * 2**23 rounds
    f = z - f32(whole)
    f2 = f * f
    p = (f32(0.9999992847442627) + f * f32(0.6931217908859253)) + f2 * (
        (f32(0.240247443318367) + f * f32(0.05591785907745361)) + f2 * f32(0.009570102207362652)
    )
    return np.ldexp(p, whole)


def reciprocal(x: np.float32) -> np.float32:
    bits = int(min(x, f32(2.0**125)).view(np.int32))
    return f32(1) / np.int32(bits - bits % 2).view(f32)


def curve_power(d2: np.float32, spec: OptimizerSpec) -> np.float32:
    """Compute a d^(2b)."""
    a, b = spec.curve()
    return exp2(f32(b) * log2(max(d2, f32(1e-30))) + f32(math.log2(a)))


def squared_distance(y: NDArray[np.float32], other: NDArray[np.float32]) -> np.float32:
    total = f32(0)
    for k in range(y.size):
        total += (y[k] - other[k]) * (y[k] - other[k])
    return total


def clipped(v: NDArray[np.float32], limit: np.float32) -> NDArray[np.float32]:
    return np.minimum(np.maximum(v, -limit), limit)


def whole(v: NDArray[np.float32]) -> NDArray[np.int64]:
    """Nearest integers, halves away from zero, in float32."""
    return np.trunc(v + np.where(v >= 0, f32(0.5), f32(-0.5))).astype(np.int64)


def turns(plan: EdgePlan, first: int, last: int, t: int) -> dict[int, int]:
    """In groups of at most 256, walkers take samples in the order of their falling fires.

    Groups are equal, but for the last, and multiples of 16.
    """
    turn: dict[int, int] = {}
    n_groups = max(1, math.ceil((last - first) / 256))
    size = max(16, 16 * math.ceil((last - first) / n_groups / 16))
    for begin in range(first, last, size):
        group = range(begin, min(begin + size, last))
        fires = {}
        for w in group:
            rates = [int(q) for q in plan.rates[plan.row_offsets[w] : plan.row_offsets[w + 1]]]
            fires[w] = sum(t * q % 2**32 < q for q in rates)
        for rank, w in enumerate(sorted(group, key=lambda w: (-fires[w], w))):
            turn[w] = begin - first + rank
    return turn


def epoch(
    plan: EdgePlan,
    spec: OptimizerSpec,
    positions: NDArray[np.float32],
    t: int,
    density: Density | None = None,
) -> NDArray[np.float32]:
    """Run epoch `t`; positions are n × d, float32, in plan order."""
    terms = None
    if density is not None and (t + 1) / plan.n_epochs > 1 - spec.density_fraction:
        terms = density_oracle.terms(plan, spec, positions, density)
    positions = positions.copy()
    n, _ = positions.shape
    alpha = f32(spec.alpha * (1.0 - t / plan.n_epochs))
    b, gamma = f32(spec.curve()[1]), f32(spec.gamma)
    limit = f32(4) * alpha
    attraction = f32(-2) * b * alpha
    repulsion = f32(2) * gamma * b * alpha
    unit = f32(2.0**plan.pull_exponent)

    for bucket in range(plan.bucket_offsets.size - 1):
        start, end = plan.bucket_offsets[bucket : bucket + 2]
        key = mix64(mix64(spec.seed) ^ (t << 32 | bucket))
        hashes = [mix64((key + e) & MASK) for e in range(plan.pool_size // 2)]
        words = [h >> 32 for h in hashes] + [h & 0xFFFFFFFF for h in hashes]
        pool = [word * n >> 32 for word in words]
        sample_key = mix64(key ^ MASK)
        frozen = positions.copy()
        pulls = np.zeros(positions.shape, np.int64)
        first_walker = int(plan.first_walkers[start])
        last_walker = int(plan.first_walkers[end])
        sample_turns = turns(plan, first_walker, last_walker, t)
        for w in range(first_walker, last_walker):
            i = plan.heads[w]
            y = frozen[i].copy()
            hashed = 0
            for e in range(plan.row_offsets[w], plan.row_offsets[w + 1]):
                q = int(plan.rates[e])
                if t * q % 2**32 >= q:
                    continue
                j = plan.tails[e]
                d2 = squared_distance(y, frozen[j])
                p = curve_power(d2, spec)
                coefficient = attraction * (p * reciprocal(max(d2, f32(1e-30)) * (f32(1) + p)))
                step = clipped(coefficient * (y - frozen[j]), limit)
                if terms is not None:
                    coefficient = density_oracle.coefficient(d2, q, terms, i, j, alpha, spec)
                    step = step + clipped(coefficient * (y - frozen[j]), limit)
                y += step
                pulls[j] -= whole(step * unit)
                stand = y.copy()
                for r in range(spec.negative_sample_rate):
                    if r % 5 == 0:
                        word = mix64((sample_key + hashed) & MASK)
                        hashed += 1
                    offset = word >> (12 * (r % 5))
                    k = pool[(sample_turns[w] + offset) % plan.pool_size]
                    if k == i:
                        continue
                    d2 = squared_distance(stand, frozen[k])
                    p = curve_power(d2, spec)
                    coefficient = repulsion * reciprocal((f32(0.001) + d2) * (f32(1) + p))
                    y += clipped(coefficient * (stand - frozen[k]), limit)
            n_sharing = plan.first_walkers[i + 1] - plan.first_walkers[i]
            if n_sharing == 1:
                positions[i] = y
            else:
                share = f32(1) / f32(n_sharing)
                move = clipped((y - frozen[i]) * share, f32(64) * share)
                pulls[i] += whole(move * unit)
        assert np.abs(pulls).max(initial=0) < 2**31
        positions += pulls.astype(np.int32).astype(f32) * (f32(1) / unit)
    return positions


def layout(
    plan: EdgePlan,
    spec: OptimizerSpec,
    start: NDArray[np.float32],
    first_epoch: int = 1,
    stop_epoch: int | None = None,
    density: Density | None = None,
) -> NDArray[np.float32]:
    """Run epochs; positions in and out are in the order of the graph's vertices."""
    positions = start[plan.order] + f32(0)  # no negative zeros
    for t in range(first_epoch, plan.n_epochs if stop_epoch is None else stop_epoch):
        positions = epoch(plan, spec, positions, t, density)
    out = np.empty_like(positions)
    out[plan.order] = positions
    return out
