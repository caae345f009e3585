"""The walk of new heads among vertices that do not move.

The vertices that act on a new head never move. So each head goes through all epochs independently
of the other heads. SIMD runs over heads: every lane has one head, at its own fire in its own epoch.
A lane whose head is done continues with the next head. The arithmetic of a round is split into
short loops over the lanes, as in :mod:`umapcore_numba.layout.walk`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from umapcore._kit.atomics import load_in_order
from umapcore._kit.jit import U0, U1, inline, kernel
from umapcore._kit.rng import HALF_WORD, LOW_HALF, mix64_of
from umapcore._kit.views import flat
from umapcore_numba.floats import TWO, ZERO, clip, exp2
from umapcore_numba.forces import CLIP, attraction, curve_exponent, repulsion

#: Number of lanes: heads that are walked at the same time.
HEADS = 64
#: Loops over lanes are rounded up to a multiple of this, the lanes of the widest vectors.
HEADS_STEP = 16


@inline
def _next_fire(rates: Any, row: Any, k: Any, n_epochs: Any, epoch: Any, edge: Any) -> Any:
    """Return epoch and edge of the first fire from (epoch, edge) on; epoch `n_epochs` if none."""
    while epoch < n_epochs:
        t = np.uint32(epoch)
        while edge < k:
            rate = rates[row + edge]
            # numba widens uint32 * uint32 to 64 bits; the schedule needs it modulo 2**32.
            if np.uint32(t * rate) < rate:
                return epoch, edge
            edge += U1
        edge = U0
        epoch += U1
    return epoch, edge


@inline
def _measure(
    d: Any, y: Any, other: Any, squared: Any, power: Any, m: Any, b: Any, log2_a: Any
) -> None:
    """Compute squared distances, summed in the order of the dimensions, and log2(a d^(2b))."""
    for i in range(m):
        squared[i] = ZERO
    for k in range(d):
        for i in range(m):
            difference = y[k * HEADS + i] - other[k * HEADS + i]
            squared[i] += difference * difference
    for i in range(m):
        power[i] = curve_exponent(squared[i], b, log2_a)


@inline
def _move(d: Any, y: Any, stand: Any, other: Any, coefficient: Any, alpha: Any, m: Any) -> None:
    """Move the heads by the forces that act on them at the positions `stand`."""
    for k in range(d):
        for i in range(m):
            j = k * HEADS + i
            y[j] += clip(coefficient[i] * (stand[j] - other[j]), CLIP * alpha[i])


class Law(NamedTuple):
    """The law of forces: number of dimensions, curve, weight and number of negative samples."""

    n_components: Any
    b: Any
    log2_a: Any
    gamma: Any
    n_samples: Any


@kernel(seconds=5)
def transform_rows(
    dims: Any,
    first: Any,
    last: Any,
    plan: Any,
    reference: Any,
    steps: Any,
    law: Any,
    positions: Any,
    stop: Any,
) -> None:
    """Walk the heads `first` … `last` - 1 from their start to their final positions.

    Parameters
    ----------
    dims
        A tuple whose length is the number of dimensions that the kernel is compiled for, or ``()``.
    plan
        A :class:`umapcore.layout.transform_plan.TransformPlan`, read-only.
    reference
        float32, flat: positions of the vertices that do not move.
    steps
        float32, (n_epochs,): step sizes; the first one is not used.
    law
        See :class:`Law`.
    positions
        float32, flat: positions of the heads, changed in place.
    stop
        int64, (1,): another thread can end the walk early by setting it; positions are then of no
        use.
    """
    tails, rates, keys = plan.tails, plan.rates, plan.keys
    b, log2_a, gamma, n_samples = law.b, law.log2_a, law.gamma, law.n_samples
    n_epochs = steps.shape[0]
    d = len(dims) if len(dims) > 0 else law.n_components
    stride = np.uint64(d)
    k = np.uint64(tails.shape[1])
    n_reference = np.uint64(reference.shape[0]) // stride
    tail = flat(tails)
    rate = flat(rates)
    y = np.zeros(d * HEADS, np.float32)
    stand = np.zeros(d * HEADS, np.float32)
    other = np.zeros(d * HEADS, np.float32)
    squared = np.zeros(HEADS, np.float32)
    power = np.zeros(HEADS, np.float32)
    alpha = np.zeros(HEADS, np.float32)
    word = np.zeros(HEADS, np.uint64)
    counters = np.zeros(HEADS, np.uint64)
    head = np.zeros(HEADS, np.uint64)
    epoch = np.zeros(HEADS, np.uint64)
    edge = np.zeros(HEADS, np.uint64)
    E = np.uint64(n_epochs)

    # All lanes begin as if they had just finished a head; `none` means that there was no head.
    none = ~U0
    head[:] = none
    epoch[:] = E
    waiting: Any = np.uint64(first)
    end = np.uint64(last)
    live = HEADS
    while load_in_order(stop, 0) == 0:
        # From the last lane down: a lane that replaces another has then been handled already.
        for i in range(live - 1, -1, -1):
            t, e = _next_fire(rate, head[i] * k, k, E, epoch[i], edge[i])
            while t >= E:
                if head[i] != none:
                    for c in range(d):
                        positions[head[i] * stride + np.uint64(c)] = y[c * HEADS + i]
                if waiting == end:
                    break
                head[i] = waiting
                counters[i] = keys[waiting]
                for c in range(d):
                    y[c * HEADS + i] = positions[waiting * stride + np.uint64(c)]
                waiting += U1
                t, e = _next_fire(rate, head[i] * k, k, E, U1, U0)
            if t < E:
                epoch[i] = t
                # The search for the next fire begins here.
                edge[i] = e + U1
                alpha[i] = steps[t]
                continue
            live -= 1
            head[i] = head[live]
            epoch[i] = epoch[live]
            edge[i] = edge[live]
            alpha[i] = alpha[live]
            counters[i] = counters[live]
            for c in range(d):
                y[c * HEADS + i] = y[c * HEADS + live]
        if live == 0:
            break
        m = (live + HEADS_STEP - 1) // HEADS_STEP * HEADS_STEP

        for i in range(live):
            place = np.uint64(tail[head[i] * k + edge[i] - U1]) * stride
            for c in range(d):
                other[c * HEADS + i] = reference[place + np.uint64(c)]
        _measure(d, y, other, squared, power, m, b, log2_a)
        for i in range(m):
            force = attraction(squared[i], exp2(power[i]))
            squared[i] = -TWO * b * alpha[i] * force
        _move(d, y, y, other, squared, alpha, m)

        for j in range(d * HEADS):
            stand[j] = y[j]
        for r in range(n_samples):
            if load_in_order(stop, 0) != 0:
                return
            # A hash gives two samples: the first from its upper half, the second from its lower.
            if r % 2 == 0:
                for i in range(m):
                    word[i] = mix64_of(counters[i])
                    counters[i] += U1
            for i in range(live):
                half = word[i] >> HALF_WORD if r % 2 == 0 else word[i] & LOW_HALF
                place = ((half * n_reference) >> HALF_WORD) * stride
                for c in range(d):
                    other[c * HEADS + i] = reference[place + np.uint64(c)]
            _measure(d, stand, other, squared, power, m, b, log2_a)
            for i in range(m):
                force = repulsion(squared[i], exp2(power[i]))
                squared[i] = TWO * gamma * b * alpha[i] * force
            _move(d, y, stand, other, squared, alpha, m)
