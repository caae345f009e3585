"""The density term of densMAP: radii in the embedding, and what they add to an attraction.

At the beginning of an epoch that preserves densities every vertex works out its radius in the
embedding, log(eps + sum phi d² / sum phi) over its edges, where phi = 1 / (1 + a d^(2b)), as
densMAP defines it (Narayan, Berger and Cho 2021; umap-learn recomputes it as often). The
correlation of these with the radii of the data has a gradient to which each edge contributes

    phi / mu_ij [(1 - b (1 - phi)) (u_i + u_j) + b (p / d²) phi (s_i + s_j)] (y_i - y_j)

with p = a d^(2b) and two terms a vertex, s_i, which is the weight of its radius in the gradient
over twice its sum of phi, and u_i = s_i / (eps + radius). The step is clipped by itself and goes
with the attraction.

The walkers of a vertex sum its edges in order; a vertex adds its walkers in order; sums over all
vertices are of integers: so no thread can reach the bits.

Kernels are given all this as one tuple, `density`, or ``()``, whose length the compiler knows:

0. float32, two a walker: sums of phi and of phi d². Where the first walker of a vertex is, in the
   end those of the vertex, the second one divided by the first.
1. float32, (n,): log radii of the data, in plan order.
2. float32, (n,): log radii in the embedding.
3. float32, two a vertex: its terms s and u.
4. int64, (3,): sums over vertices of log radii, their squares, and their products with those of
   the data.
5. float64: strength, shift of the variance, number of vertices that count.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.atomics import fetch_add
from umapcore._kit.jit import inline
from umapcore.layout.constants import (
    EPSILON,
    MOST_SLOPE,
    MOST_TERM,
    MOST_TERM_BY_RADIUS,
    SUM_EXPONENT,
)
from umapcore_numba.floats import ONE, ZERO, clip, exp2, log2, reciprocal
from umapcore_numba.forces import attraction, curve_power, membership
from umapcore_numba.layout.attraction import spot, whole
from umapcore_numba.layout.lanes import LANES, LANES_STEP, dimensions
from umapcore_numba.layout.pairs import copy_pair

if TYPE_CHECKING:
    from umapcore.layout.density import Density
    from umapcore.layout.plan import EdgePlan
    from umapcore.layout.spec import OptimizerSpec

#: Stages of the work before an epoch, one after the other.
DENSITY_STAGES = 3
#: Walkers, or vertices, that a worker takes at a time.
PIECE = 1024

U0 = np.uint64(0)
U1 = np.uint64(1)
TWO64 = np.float64(2.0)
LN2 = np.float32(math.log(2.0))
EPSILON32 = np.float32(EPSILON)
SUM_UNITS = np.float64(2.0**SUM_EXPONENT)
#: Rates are weights in this unit.
RATE_UNITS = np.float32(2.0**32)
MOST_SLOPE32 = np.float32(MOST_SLOPE)


def prepare_density(density: Density, plan: EdgePlan, spec: OptimizerSpec) -> tuple[Any, ...]:
    """Make what the kernels need of densities."""
    n = plan.n_vertices
    return (
        np.zeros(2 * plan.heads.shape[0], np.float32),
        density.radii[plan.order],
        np.zeros(n, np.float32),
        np.zeros(2 * n, np.float32),
        np.zeros(3, np.int64),
        np.array([density.strength(spec), spec.density_shift, density.n_counted], np.float64),
    )


@inline
def _measure_walkers(
    dims: Any,
    n_components: Any,
    first: Any,
    last: Any,
    heads: Any,
    row_offsets: Any,
    tails: Any,
    positions: Any,
    b: Any,
    log2_a: Any,
    scratch: Any,
    sums: Any,
) -> None:
    """Sum phi and phi d² over the edges of each of the walkers `first` … `last` - 1."""
    d = dimensions(dims, n_components)
    stride = np.uint64(d)
    squared = scratch[0:LANES]
    phi = scratch[LANES : 2 * LANES]
    for w in range(np.uint64(first), np.uint64(last)):
        begin = np.uint64(row_offsets[w])
        count = np.uint64(row_offsets[w + U1]) - begin
        home = np.uint64(heads[w]) * stride
        for k in range(count):
            place = np.uint64(tails[begin + k]) * stride
            total = ZERO
            for axis in range(d):
                difference = positions[home + np.uint64(axis)] - positions[place + np.uint64(axis)]
                total += difference * difference
            squared[k] = total
        # Beyond the last edge is what others left there: finite, and nobody reads it.
        m = (np.int64(count) + LANES_STEP - 1) // LANES_STEP * LANES_STEP
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
def _log_radii(
    first: Any, last: Any, first_walkers: Any, sums: Any, radii: Any, logs: Any, totals: Any
) -> None:
    """Give the vertices `first` … `last` - 1 their radii, and add these to the totals."""
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
def _weigh(
    first: Any,
    last: Any,
    first_walkers: Any,
    sums: Any,
    radii: Any,
    logs: Any,
    terms: Any,
    totals: Any,
    constants: Any,
) -> None:
    """Give the vertices `first` … `last` - 1 their terms."""
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
def n_pieces(count: Any) -> Any:
    """Give the number of pieces that `count` walkers or vertices are."""
    return (count + PIECE - 1) // PIECE


@inline
def density_piece(
    stage: Any,
    piece: Any,
    dims: Any,
    n_components: Any,
    first_walkers: Any,
    heads: Any,
    row_offsets: Any,
    tails: Any,
    positions: Any,
    b: Any,
    log2_a: Any,
    scratch: Any,
    density: Any,
) -> None:
    """Do one piece of a stage: 0 measures walkers, 1 and 2 give vertices radii and terms."""
    sums, radii, logs, terms, totals, constants = density
    first = piece * PIECE
    if stage == 0:
        if piece == 0:
            totals[:] = 0
        _measure_walkers(
            dims, n_components, first, min(heads.shape[0], first + PIECE),
            heads, row_offsets, tails, positions, b, log2_a, scratch, sums,
        )  # fmt: skip
        return
    last = min(radii.shape[0], first + PIECE)
    if stage == 1:
        _log_radii(first, last, first_walkers, sums, radii, logs, totals)
    else:
        _weigh(first, last, first_walkers, sums, radii, logs, terms, totals, constants)


@inline
def begin_terms(n_walkers: Any, walker: Any, heads: Any, terms: Any, density: Any) -> None:
    """Fetch the terms of a group's heads.

    `terms` has the columns s and u of the heads, then s and u of their tails side by side, then
    the edges' rates.
    """
    of_vertices = density[3]
    for i in range(n_walkers):
        place = np.uint64(heads[np.uint64(walker[i])])
        terms[i] = of_vertices[place + place]
        terms[LANES + i] = of_vertices[place + place + U1]
    # Lanes past the live ones compute something finite.
    for i in range(LANES):
        terms[2 * LANES + i] = ZERO
        terms[3 * LANES + i] = ZERO
        terms[4 * LANES + i] = ONE


@inline
def meet(edge: Any, tails: Any, rates: Any, i: Any, terms: Any, density: Any) -> Any:
    """Give the tail of the edge that lane `i` is at, having fetched what belongs to it."""
    tail = tails[edge]
    lane = np.uint64(i)
    copy_pair(terms, np.uint64(LANES) + lane, density[3], np.uint64(tail))
    terms[np.uint64(4 * LANES) + lane] = np.float32(rates[edge])
    return tail


@inline
def attract_and_spread(
    dims: Any,
    d: Any,
    y: Any,
    apart: Any,
    squared: Any,
    power: Any,
    pull: Any,
    m: Any,
    factor: Any,
    limit: Any,
    unit: Any,
    b: Any,
    alpha: Any,
    terms: Any,
) -> None:
    """Do what `attract` does, with the gradient of the densities."""
    step_size = alpha * RATE_UNITS
    for i in range(m):
        p = exp2(power[i])
        slope = attraction(squared[i], p)
        phi = membership(p)
        squared[i] = factor * slope
        by_radius = (ONE - b * (ONE - phi)) * (terms[LANES + i] + terms[2 * LANES + 2 * i + 1])
        by_phi = b * (min(slope, MOST_SLOPE32) * (terms[i] + terms[2 * LANES + 2 * i]))
        share = step_size * (phi * reciprocal(terms[4 * LANES + i]))
        power[i] = share * (by_radius + by_phi)
    if len(dims) > 0:
        for i in range(m):
            for k in range(len(dims)):
                j = k * LANES + i
                difference = apart[j]
                step = clip(squared[i] * difference, limit) + clip(power[i] * difference, limit)
                y[j] += step
                pull[spot(dims, k, i)] = whole(step * unit)
    else:
        for k in range(d):
            for i in range(m):
                j = k * LANES + i
                difference = apart[j]
                step = clip(squared[i] * difference, limit) + clip(power[i] * difference, limit)
                y[j] += step
                pull[j] = whole(step * unit)
