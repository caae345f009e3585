"""The density term of densMAP: radii in the embedding, and the force that they add to attraction.

An epoch that preserves densities begins by computing the log radius of every vertex in the
embedding. This is log(eps + sum phi d² / sum phi) over the vertex's edges, with
phi = 1 / (1 + a d^(2b)), as densMAP defines it (Narayan, Berger and Cho 2021; umap-learn
recomputes it as often). Each edge contributes to the gradient of the correlation between these
radii and the radii of the data:

    phi / mu_ij [(1 - b (1 - phi)) (u_i + u_j) + b (p / d²) phi (s_i + s_j)] (y_i - y_j)

Here p = a d^(2b), and each vertex has two terms. s_i is the weight of its radius in the gradient,
divided by twice its sum of phi; u_i = s_i / (eps + radius). This step is clipped separately, and
is added to the attraction.

Each walker sums its edges in order, and each vertex adds its walkers in order. Sums over all
vertices are sums of integers. So the bits do not depend on the threads.

Kernels get all this as one :class:`.bundles.Density`, or get ``()``; the compiler knows which.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.atomics import fetch_add
from umapcore._kit.jit import U1, inline
from umapcore.layout.constants import (
    EPSILON,
    GROUP,
    GROUP_STEP,
    MOST_SLOPE,
    MOST_TERM,
    MOST_TERM_BY_RADIUS,
    SUM_EXPONENT,
)
from umapcore_numba.floats import ONE, ZERO, clip, exp2, log2, reciprocal
from umapcore_numba.forces import attraction, curve_power, membership
from umapcore_numba.layout import bundles
from umapcore_numba.layout.attraction import spot, whole
from umapcore_numba.layout.lanes import dimensions
from umapcore_numba.layout.pairs import copy_pair

if TYPE_CHECKING:
    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec

#: Number of stages that run, one after the other, before an epoch.
DENSITY_STAGES = 3
#: Number of walkers or vertices in one piece of work.
PIECE = 1024

TWO64 = np.float64(2.0)
LN2 = np.float32(math.log(2.0))
EPSILON32 = np.float32(EPSILON)
SUM_UNITS = np.float64(2.0**SUM_EXPONENT)
#: The rate of an edge is its weight times this.
RATE_UNITS = np.float32(2.0**32)
MOST_SLOPE32 = np.float32(MOST_SLOPE)


def prepare_density(density: Density, plan: EdgePlan, spec: OptimizerSpec) -> bundles.Density:
    """Make the arrays that the kernels need for the density term."""
    n = plan.n_vertices
    return bundles.Density(
        np.zeros(2 * plan.heads.shape[0], np.float32),
        density.radii[plan.order],
        np.zeros(n, np.float32),
        np.zeros(2 * n, np.float32),
        np.zeros(3, np.int64),
        np.array([density.strength(spec), spec.density_shift, density.n_counted], np.float64),
    )


@inline
def _measure_walkers(
    dims: Any, first: Any, last: Any, plan: Any, positions: Any, law: Any, scratch: Any, sums: Any
) -> None:
    """Sum phi and phi d² over the edges of each of the walkers `first` … `last` - 1."""
    row_offsets, tails, b, log2_a = plan.row_offsets, plan.tails, law.b, law.log2_a
    d = dimensions(dims, law.n_components)
    stride = np.uint64(d)
    squared = scratch[0:GROUP]
    phi = scratch[GROUP : 2 * GROUP]
    for w in range(np.uint64(first), np.uint64(last)):
        begin = np.uint64(row_offsets[w])
        count = np.uint64(row_offsets[w + U1]) - begin
        home = np.uint64(plan.heads[w]) * stride
        for k in range(count):
            place = np.uint64(tails[begin + k]) * stride
            total = ZERO
            for axis in range(d):
                difference = positions[home + np.uint64(axis)] - positions[place + np.uint64(axis)]
                total += difference * difference
            squared[k] = total
        # The entries after the last edge are old but finite, and their results are not used.
        m = (np.int64(count) + GROUP_STEP - 1) // GROUP_STEP * GROUP_STEP
        for k in range(m):
            phi[k] = membership(curve_power(squared[k], b, log2_a))
        phi_sum = ZERO
        spread = ZERO
        for k in range(count):
            phi_sum += phi[k]
            spread += phi[k] * squared[k]
        sums[w + w] = phi_sum
        sums[w + w + U1] = spread


@inline
def _log_radii(first: Any, last: Any, first_walkers: Any, density: Any) -> None:
    """Compute the radii of the vertices `first` … `last` - 1, and add them to the totals."""
    sums, radii, logs, totals = density.sums, density.radii, density.logs, density.totals
    of_logs, of_squares, of_products = np.int64(0), np.int64(0), np.int64(0)
    for i in range(np.uint64(first), np.uint64(last)):
        begin = np.uint64(first_walkers[i])
        phi_sum = sums[begin + begin]
        spread = sums[begin + begin + U1]
        for w in range(begin + U1, np.uint64(first_walkers[i + U1])):
            phi_sum += sums[w + w]
            spread += sums[w + w + U1]
        if phi_sum > ZERO:
            ratio = spread / phi_sum
            log_radius = LN2 * log2(EPSILON32 + ratio)
            sums[begin + begin] = phi_sum
            sums[begin + begin + U1] = ratio
            logs[i] = log_radius
            exact = np.float64(log_radius)
            of_logs += np.int64(exact * SUM_UNITS)
            of_squares += np.int64(exact * exact * SUM_UNITS)
            of_products += np.int64(exact * np.float64(radii[i]) * SUM_UNITS)
    fetch_add(totals, 0, of_logs)
    fetch_add(totals, 1, of_squares)
    fetch_add(totals, 2, of_products)


@inline
def _weigh(first: Any, last: Any, first_walkers: Any, density: Any) -> None:
    """Compute the terms of the vertices `first` … `last` - 1."""
    sums, radii, logs, terms, totals, constants = density
    strength, shift, n = constants[0], constants[1], constants[2]
    of_logs = np.float64(totals[0]) / SUM_UNITS
    of_squares = np.float64(totals[1]) / SUM_UNITS
    of_products = np.float64(totals[2]) / SUM_UNITS
    mean = of_logs / n
    variance = max(of_squares / n - mean * mean, 0.0) + shift
    factor, slope = 0.0, 0.0
    if variance > 0.0:
        factor = strength / np.sqrt(variance)
        slope = of_products / max(n - 1.0, 1.0) / variance
    for i in range(np.uint64(first), np.uint64(last)):
        at = np.uint64(first_walkers[i])
        phi_sum = np.float64(sums[at + at])
        if phi_sum > 0.0:
            weight = np.float64(radii[i]) - slope * (np.float64(logs[i]) - mean)
            term = factor * weight / (TWO64 * phi_sum)
            by_radius = term / (EPSILON + np.float64(sums[at + at + U1]))
            terms[i + i] = np.float32(min(max(term, -MOST_TERM), MOST_TERM))
            terms[i + i + U1] = np.float32(
                min(max(by_radius, -MOST_TERM_BY_RADIUS), MOST_TERM_BY_RADIUS)
            )


@inline
def _n_pieces(count: Any) -> Any:
    """Return the number of pieces into which `count` walkers or vertices are divided."""
    return (count + PIECE - 1) // PIECE


@inline
def count_pieces(stage: Any, plan: Any) -> Any:
    """Return the number of pieces of a stage, at least 1."""
    if stage > 0:
        return _n_pieces(plan.first_walkers.shape[0] - 1)
    count = 0
    for bucket in range(plan.own_walkers.shape[0]):
        count += _n_pieces(plan.own_walkers[bucket, 1] - plan.own_walkers[bucket, 0])
    return max(1, count)


@inline
def density_piece(
    stage: Any,
    piece: Any,
    dims: Any,
    plan: Any,
    positions: Any,
    law: Any,
    scratch: Any,
    density: Any,
) -> None:
    """Do one piece of a stage: 0 measures walkers, 1 computes radii, 2 computes terms."""
    first = piece * PIECE
    if stage == 0:
        if piece == 0:
            density.totals[:] = 0
        for bucket in range(plan.own_walkers.shape[0]):
            first, last = plan.own_walkers[bucket, 0], plan.own_walkers[bucket, 1]
            pieces = _n_pieces(last - first)
            if piece < pieces:
                first += piece * PIECE
                last = min(last, first + PIECE)
                _measure_walkers(dims, first, last, plan, positions, law, scratch, density.sums)
                return
            piece -= pieces
        return
    last = min(density.radii.shape[0], first + PIECE)
    if stage == 1:
        _log_radii(first, last, plan.first_walkers, density)
    else:
        _weigh(first, last, plan.first_walkers, density)


@inline
def begin_terms(n_walkers: Any, home: Any, terms: Any, density: Any) -> None:
    """Copy the terms of a group's heads.

    `terms` has one column for s and one for u of the heads, then s and u of their tails in
    adjacent pairs, then a column for the rates of the edges.
    """
    of_vertices = density.terms
    for i in range(n_walkers):
        place = np.uint64(home[i])
        terms[i] = of_vertices[place + place]
        terms[GROUP + i] = of_vertices[place + place + U1]
    # Lanes after the live ones must compute finite numbers.
    for i in range(GROUP):
        terms[2 * GROUP + i] = ZERO
        terms[3 * GROUP + i] = ZERO
        terms[4 * GROUP + i] = ONE


@inline
def meet(edge: Any, plan: Any, i: Any, terms: Any, density: Any) -> Any:
    """Return the tail of lane `i`'s current edge, and copy the tail's terms and the rate."""
    tail = plan.tails[edge]
    lane = np.uint64(i)
    copy_pair(terms, np.uint64(GROUP) + lane, density.terms, np.uint64(tail))
    terms[np.uint64(4 * GROUP) + lane] = np.float32(plan.rates[edge])
    return tail


@inline
def attract_and_spread(
    dims: Any, d: Any, columns: Any, pull: Any, m: Any, step: Any, terms: Any
) -> None:
    """Do the same as `attract`, with the gradient of the densities added."""
    y, apart, squared, power = columns.y, columns.apart, columns.squared, columns.power
    b, limit, unit = step.b, step.limit, step.unit
    step_size = step.alpha * RATE_UNITS
    for i in range(m):
        p = exp2(power[i])
        slope = attraction(squared[i], p)
        phi = membership(p)
        squared[i] = step.attraction * slope
        by_radius = (ONE - b * (ONE - phi)) * (terms[GROUP + i] + terms[2 * GROUP + 2 * i + 1])
        by_phi = b * (min(slope, MOST_SLOPE32) * (terms[i] + terms[2 * GROUP + 2 * i]))
        share = step_size * (phi * reciprocal(terms[4 * GROUP + i]))
        power[i] = share * (by_radius + by_phi)
    if len(dims) > 0:
        for i in range(m):
            for k in range(len(dims)):
                j = k * GROUP + i
                difference = apart[j]
                moved = clip(squared[i] * difference, limit) + clip(power[i] * difference, limit)
                y[j] += moved
                pull[spot(dims, k, i)] = whole(moved * unit)
    else:
        for k in range(d):
            for i in range(m):
                j = k * GROUP + i
                difference = apart[j]
                moved = clip(squared[i] * difference, limit) + clip(power[i] * difference, limit)
                y[j] += moved
                pull[j] = whole(moved * unit)
