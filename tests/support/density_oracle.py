"""densMAP's part of an epoch in plain NumPy, written out once more beside the backends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.support import oracle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec

f32 = np.float32


def log_radii(
    graph: NDArray[np.float64], distances: NDArray[np.float64], n_epochs: int
) -> NDArray[np.float64]:
    """Standardised log radii of the data from dense matrices, by the definition."""
    mu = np.where(graph >= graph.max() / n_epochs, graph, 0.0)
    d2 = np.maximum(distances, distances.T) ** 2
    radii = np.log(1e-8 + (mu * d2).sum(axis=1) / mu.sum(axis=1))
    standardised: NDArray[np.float64] = (radii - radii.mean()) / radii.std()
    return standardised


@dataclass
class Terms:
    """Two numbers a vertex, in plan order, at the beginning of an epoch."""

    s: NDArray[np.float32]
    u: NDArray[np.float32]


def terms(
    plan: EdgePlan, spec: OptimizerSpec, positions: NDArray[np.float32], density: Density
) -> Terms:
    n = plan.n_vertices
    phi_sum, ratio, logs = np.zeros(n, f32), np.zeros(n, f32), np.zeros(n, f32)
    radii = density.radii[plan.order]
    totals = [0, 0, 0]
    for i in range(n):
        spread = f32(0)
        for w in range(plan.first_walkers[i], plan.first_walkers[i + 1]):
            of_walker, spread_of_walker = f32(0), f32(0)
            for e in range(plan.row_offsets[w], plan.row_offsets[w + 1]):
                d2 = oracle.squared_distance(positions[i], positions[plan.tails[e]])
                phi = oracle.reciprocal(f32(1) + oracle.curve_power(d2, spec))
                of_walker += phi
                spread_of_walker += phi * d2
            phi_sum[i] += of_walker
            spread += spread_of_walker
        if phi_sum[i] > 0:
            ratio[i] = spread / phi_sum[i]
            logs[i] = f32(math.log(2.0)) * oracle.log2(f32(1e-8) + ratio[i])
            exact = float(logs[i])
            for k, value in enumerate((exact, exact * exact, exact * float(radii[i]))):
                totals[k] += int(value * 2.0**18)

    count = density.n_counted
    mean = totals[0] / 2.0**18 / count
    variance = max(totals[1] / 2.0**18 / count - mean * mean, 0.0) + spec.density_shift
    out = Terms(np.zeros(n, f32), np.zeros(n, f32))
    if variance == 0:
        return out
    total_weight = density.total_rate / 2.0**32
    factor = 2.0 * spec.density_weight * total_weight / count / math.sqrt(variance)
    slope = totals[2] / 2.0**18 / max(count - 1.0, 1.0) / variance
    for i in range(n):
        if phi_sum[i] > 0:
            weight = float(radii[i]) - slope * (float(logs[i]) - mean)
            s = factor * weight / (2.0 * float(phi_sum[i]))
            u = s / (1e-8 + float(ratio[i]))
            out.s[i] = min(max(s, -(2.0**20)), 2.0**20)
            out.u[i] = min(max(u, -(2.0**40)), 2.0**40)
    return out


def coefficient(
    d2: np.float32, rate: int, at: Terms, i: int, j: int, alpha: np.float32, spec: OptimizerSpec
) -> np.float32:
    """What the difference of the positions is multiplied by, for one fire of the edge i - j."""
    b, one = f32(spec.curve()[1]), f32(1)
    p = oracle.curve_power(d2, spec)
    phi = oracle.reciprocal(one + p)
    slope = min(p * oracle.reciprocal(max(d2, f32(1e-30)) * (one + p)), f32(2.0**30))
    by_radius = (one - b * (one - phi)) * (at.u[i] + at.u[j])
    by_phi = b * (slope * (at.s[i] + at.s[j]))
    share = alpha * f32(2.0**32) * (phi * oracle.reciprocal(f32(rate)))
    return share * (by_radius + by_phi)
