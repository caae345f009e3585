"""Placement of new heads in plain NumPy: the plan by umap-learn's own recipe, the walk bit by bit.

It shares no code with the kernels, but for the arithmetic that the oracle of layouts has as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tests.support.oracle import (
    MASK,
    clipped,
    curve_power,
    f32,
    mix64,
    reciprocal,
    squared_distance,
)

if TYPE_CHECKING:
    from umapcore.layout.spec import OptimizerSpec
    from umapcore.layout.transform_plan import TransformPlan


def memberships(distances: np.ndarray) -> np.ndarray:
    """Weights of one row: sigma by bisection, rho = 0."""
    d = distances.astype(np.float64)
    target = math.log2(d.size)
    low, high = 0.0, 1e30
    for _ in range(300):
        middle = (low + high) / 2 if high < 1e30 else max(1.0, 2 * low)
        total = np.exp(-d[1:][np.isfinite(d[1:])] / middle).sum()
        low, high = (low, middle) if total > target else (middle, high)
    present = d[np.isfinite(d)]
    sigma = max(low, 1e-3 * present.mean()) if present.any() else 1.0
    return np.where(np.isfinite(d), np.exp(-np.where(np.isfinite(d), d, 0) / sigma), 0.0)


def start(indices: np.ndarray, distances: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Start of one row."""
    if distances[0] == 0:
        return reference[indices[0]]
    weights = memberships(distances)
    return (weights[:, None] * reference[indices]).sum(axis=0) / weights.sum()


def key(indices: np.ndarray, distances: np.ndarray, seed: int) -> int:
    found = mix64(seed)
    for i, d in zip(indices, distances, strict=True):
        if i < 0:
            break
        found = mix64(found ^ int(i))
        found = mix64(found ^ int(f32(d).view(np.uint32)))
    return found


def walk(
    plan: TransformPlan, reference: np.ndarray, spec: OptimizerSpec, n_epochs: int
) -> np.ndarray:
    """Place every head, one after the other."""
    out = plan.start.copy()
    b, gamma = f32(spec.curve()[1]), f32(spec.gamma)
    for head in range(out.shape[0]):
        y, counter = out[head].copy(), int(plan.keys[head])
        for t in range(1, n_epochs):
            alpha = f32(spec.alpha / 4 * (1 - t / n_epochs))
            limit = f32(4) * alpha
            for j in range(plan.tails.shape[1]):
                q = int(plan.rates[head, j])
                if t * q % 2**32 >= q:
                    continue
                other = reference[plan.tails[head, j]]
                d2 = squared_distance(y, other)
                p = curve_power(d2, spec)
                force = p * reciprocal(max(d2, f32(1e-30)) * (f32(1) + p))
                y = y + clipped((f32(-2) * b * alpha * force) * (y - other), limit)
                stand = y.copy()
                for r in range(spec.negative_sample_rate):
                    if r % 2 == 0:
                        word = mix64(counter & MASK)
                        counter += 1
                    half = word >> 32 if r % 2 == 0 else word & 0xFFFFFFFF
                    other = reference[half * reference.shape[0] >> 32]
                    d2 = squared_distance(stand, other)
                    p = curve_power(d2, spec)
                    force = reciprocal((f32(0.001) + d2) * (f32(1) + p))
                    y = y + clipped((f32(2) * gamma * b * alpha * force) * (stand - other), limit)
        out[head] = y
    return out
